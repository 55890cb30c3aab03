//! Memory of a device.

use burn::backend::cubecl::dtype_to_storage_type;
use burn::tensor::{DType, Shape};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::{empty_device_contiguous_dtype, zeros_client};
use burn_cubecl::tensor::CubeTensor;
use cubecl::ir::ElemType;
#[cfg(feature = "train")]
use {
    super::op::DeviceKernels,
    burn::backend::{Backend, Dispatch},
    burn::tensor::{Device, Tensor},
};

/// The tensor with its rows one after the other.
pub fn flat(x: CubeTensor) -> CubeTensor {
    into_contiguous(x)
}

/// A tensor that may be written to, of one with its rows one after the other.
pub fn own(x: CubeTensor) -> CubeTensor {
    if x.can_mut() {
        return x;
    }
    let shape = x.meta.shape().clone();
    let len = Shape::new([shape.num_elements()]);
    // As one row, between whose values burn leaves no gaps.
    shaped(shaped(x, len).copy(), shape)
}

/// Zeros beside `x`, in f32.
pub fn zeros(x: &CubeTensor, shape: Shape) -> CubeTensor {
    let len = Shape::new([shape.num_elements()]);
    shaped(zeros_client(x.client.clone(), x.device.clone(), len, DType::F32), shape)
}

pub fn empty_like(x: &CubeTensor) -> CubeTensor {
    empty(x, x.meta.shape().clone(), x.dtype)
}

/// A tensor beside `x`, of which nothing is known.
pub fn empty(x: &CubeTensor, shape: Shape, dtype: DType) -> CubeTensor {
    empty_device_contiguous_dtype(x.client.clone(), x.device.clone(), shape, dtype)
}

/// The length of a tensor that stands for none: as much as one thread may ask for at once, or a
/// driver refuses it.
pub const NOTHING: usize = 4;

/// A tensor that a kernel neither reads nor writes.
pub fn nothing(x: &CubeTensor, dtype: DType) -> CubeTensor {
    empty(x, Shape::new([NOTHING]), dtype)
}

/// Has a device take its memory in pieces that so many bytes fit into. They would grow with the
/// tensors that come, and outgrown ones stay as long as a weight lies in them.
#[cfg(feature = "train")]
pub fn make_room(device: &Device, bytes: usize) {
    let any = Tensor::<1>::zeros([NOTHING], &device.clone().inner());
    let held = <Dispatch as DeviceKernels>::with_room(any.into_dispatch(), bytes);
    Dispatch::flush(device.as_dispatch()).expect("the device takes what it is given");
    drop(held);
}

/// The same memory as another shape.
pub fn shaped(x: CubeTensor, shape: Shape) -> CubeTensor {
    CubeTensor::new_contiguous(x.client, x.device, shape, x.handle, x.dtype)
}

/// The length of a tensor's rows.
pub fn columns(x: &CubeTensor) -> usize {
    x.meta.shape()[x.meta.num_dims() - 1]
}

/// What its values are stored as.
pub fn elem(x: &CubeTensor) -> ElemType {
    dtype_to_storage_type(x.dtype)
}
