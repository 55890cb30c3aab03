//! The optimizer's step and the gradients' norm, in place and over flat slices.

use super::rows::{self, AdamWStep};
use crate::op::{contiguous, slice, tensor};
use burn::backend::{Dispatch, Flex, TensorMetadata, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;
use burn_flex::FlexTensor;
use rayon::prelude::*;

/// Values per task.
const CHUNK: usize = 1 << 15;

#[backend_extension(Flex)]
pub trait FusedOptimizer: burn::backend::Backend {
    /// Returns (weight, first moment, second moment) after one step; all have one shape.
    fn fused_adamw(
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        step: AdamWStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// Returns `[1]`: the sum of squares.
    fn fused_squared_norm(x: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl FusedOptimizer for Flex {
    fn fused_adamw(
        weight: FlexTensor,
        gradient: FlexTensor,
        first: FlexTensor,
        second: FlexTensor,
        step: AdamWStep,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let [mut weight, mut first, mut second] = [weight, first, second].map(whole);
        let gradient = contiguous(gradient);
        // In place if nobody else holds the tensor; burn-flex copies on write otherwise.
        weight
            .storage_mut::<f32>()
            .par_chunks_mut(CHUNK)
            .zip(first.storage_mut::<f32>().par_chunks_mut(CHUNK))
            .zip(second.storage_mut::<f32>().par_chunks_mut(CHUNK))
            .zip(slice(&gradient).par_chunks(CHUNK))
            .for_each(|(((w, m), v), g)| rows::adamw(w, g, m, v, step));
        (weight, first, second)
    }

    fn fused_squared_norm(x: FlexTensor) -> FlexTensor {
        let x = x.to_contiguous();
        // Partial sums, added in order and in f64, are the same on any number of threads.
        let parts: Vec<f32> = slice(&x).par_chunks(CHUNK).map(rows::squared_norm).collect();
        let total: f64 = parts.iter().map(|&part| f64::from(part)).sum();
        tensor(vec![total as f32], &[1])
    }
}

/// Returns a tensor that spans all of its memory as it is, so that it can be written in place.
/// Copies a part of one.
fn whole(x: FlexTensor) -> FlexTensor {
    let x = contiguous(x);
    let values = slice(&x);
    if values.len() == x.storage::<f32>().len() {
        return x;
    }
    tensor(values.to_vec(), &x.shape())
}

/// Returns (weight, first moment, second moment) after one step of AdamW (Loshchilov & Hutter
/// 2019). Works in place if nothing else holds the tensors.
///
/// # Panics
/// If the shapes differ, or the tensors are not f32 on burn-flex without autodiff.
pub fn adamw<const D: usize>(
    weight: Tensor<D>,
    gradient: Tensor<D>,
    first: Tensor<D>,
    second: Tensor<D>,
    step: AdamWStep,
) -> (Tensor<D>, Tensor<D>, Tensor<D>) {
    for (name, tensor) in
        [("gradient", &gradient), ("first moment", &first), ("second moment", &second)]
    {
        let (dims, expected) = (tensor.dims(), weight.dims());
        assert!(dims == expected, "the weight is {expected:?}, its {name} {dims:?}");
    }
    let (weight, first, second) = <Dispatch as FusedOptimizer>::fused_adamw(
        weight.into_dispatch(),
        gradient.into_dispatch(),
        first.into_dispatch(),
        second.into_dispatch(),
        step,
    );
    (Tensor::from_dispatch(weight), Tensor::from_dispatch(first), Tensor::from_dispatch(second))
}

/// Returns Σ x².
///
/// # Panics
/// If the tensor is not f32 on burn-flex without autodiff.
pub fn squared_norm<const D: usize>(x: Tensor<D>) -> f32 {
    let sum: Tensor<1> =
        Tensor::from_dispatch(<Dispatch as FusedOptimizer>::fused_squared_norm(x.into_dispatch()));
    sum.into_scalar()
}
