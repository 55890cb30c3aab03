//! Memory of a device.

use burn::tensor::{DType, Shape};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;

/// The tensor with its rows one after the other.
pub fn flat(x: CubeTensor) -> CubeTensor {
    assert!(x.dtype != DType::BF16 && x.dtype != DType::F16, "the kernels take f32");
    into_contiguous(x)
}

pub fn empty_like(x: &CubeTensor) -> CubeTensor {
    empty(x, x.meta.shape().clone())
}

/// A tensor of f32 beside `x`, of which nothing is known.
pub fn empty(x: &CubeTensor, shape: Shape) -> CubeTensor {
    empty_device_contiguous_dtype(x.client.clone(), x.device.clone(), shape, DType::F32)
}

/// The length of a tensor's rows.
pub fn columns(x: &CubeTensor) -> usize {
    x.meta.shape()[x.meta.num_dims() - 1]
}
