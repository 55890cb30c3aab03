//! One to three tensors of one shape, as the arguments of a kernel, which needs a fixed number.

use super::device::nothing;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// The tensors, and others that nobody reads in place of those that are missing.
pub fn arguments(tensors: &[CubeTensor]) -> [TensorArg; 3] {
    let of = |index| tensors.get(index).cloned();
    let of = |index| of(index).unwrap_or_else(|| nothing(&tensors[0], tensors[0].dtype));
    [0, 1, 2].map(|index| of(index).into_tensor_arg())
}

/// Reads one of three tensors.
#[cube]
pub fn pick<P: CubePrimitive>(
    which: usize,
    at: usize,
    first: &Tensor<P>,
    second: &Tensor<P>,
    third: &Tensor<P>,
) -> P {
    if which == 0 {
        first[at]
    } else if which == 1 {
        second[at]
    } else {
        third[at]
    }
}

/// Writes to one of three tensors.
#[cube]
pub fn put<P: CubePrimitive>(
    value: P,
    which: usize,
    at: usize,
    first: &mut Tensor<P>,
    second: &mut Tensor<P>,
    third: &mut Tensor<P>,
) {
    if which == 0 {
        first[at] = value;
    } else if which == 1 {
        second[at] = value;
    } else {
        third[at] = value;
    }
}
