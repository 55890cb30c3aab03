//! What training needs from an engine: backward passes, and the optimizer's step.
//!
//! On the CPU the kernels do a parameter's step in one pass over its memory. Elsewhere every
//! operation is a launch, so all parameters lie one after the other and take their step together.

use super::Engine;
use burn::tensor::{Bool, Tensor, TensorData};
use whetstone_kernels::{self as kernels, AdamWStep, Precision};

/// The flat values that one step of AdamW changes.
#[derive(Clone)]
pub struct AdamWState {
    pub weight: Tensor<1>,
    pub first_moment: Tensor<1>,
    pub second_moment: Tensor<1>,
}

/// What a device does to the gradients before a step, decided there without a word to the host.
pub struct Clipping {
    /// Factor on every gradient, `[1]`.
    factor: Tensor<1>,
    /// Whether the norm is no number, `[1]`. Such a step changes nothing.
    is_void: Tensor<1, Bool>,
}

impl Engine {
    /// The length of flat memory is a multiple of this. So its parts begin where a device can look
    /// at them without a copy, and its sums are of a fixed shape.
    pub const CHUNK: usize = 4096;

    /// The same device with backward passes, and the large products of a network in `precision`, as
    /// far as it has that.
    pub fn for_training(&self, precision: Precision) -> Self {
        let precision = if self.supports(precision) { precision } else { Precision::F32 };
        Self { device: self.device.clone().autodiff(), precision, ..self.clone() }
    }

    /// The same device, which computes each layer again in the backward pass instead of keeping what
    /// that needs (gradient checkpointing: Chen et al. 2016). Gradients are the same to the bit. Only
    /// the kernels can do it.
    pub fn with_gradient_checkpointing(self, recompute: bool) -> Self {
        Self { recompute, ..self }
    }

    /// The same device without backward passes, in f32.
    pub fn for_inference(&self) -> Self {
        let device = self.device.clone().inner();
        Self { device, precision: Precision::F32, ..self.clone() }
    }

    /// Puts flat values on the device, without autodiff.
    pub fn tensor(&self, values: Vec<f32>) -> Tensor<1> {
        let len = values.len();
        Tensor::from_data(TensorData::new(values, [len]), &self.device.clone().inner())
    }

    /// Returns flat zeros on the device, without autodiff.
    pub fn zeros(&self, len: usize) -> Tensor<1> {
        Tensor::zeros([len], &self.device.clone().inner())
    }

    /// Brings a gradient to the device, without autodiff.
    pub fn fetch(&self, gradient: Tensor<1>) -> Tensor<1> {
        gradient.to_device(&self.device.clone().inner())
    }

    /// Reads tensors of this device back, all at once.
    pub fn read(&self, tensors: Vec<Tensor<1>>) -> Vec<Vec<f32>> {
        let lengths: Vec<usize> = tensors.iter().map(|tensor| tensor.dims()[0]).collect();
        if lengths.is_empty() {
            return Vec::new();
        }
        let all = Tensor::cat(tensors.into_iter().map(Tensor::inner).collect(), 0);
        let all: Vec<f32> = all.into_data().try_into_vec().expect("the values are f32");
        let mut rest = all.as_slice();
        lengths
            .into_iter()
            .map(|len| rest.split_off(..len).expect("all are there").to_vec())
            .collect()
    }

    /// Returns Σ x² on the CPU.
    pub fn squared_norm(&self, x: Tensor<1>) -> f64 {
        f64::from(kernels::squared_norm(x))
    }

    /// One step of AdamW (Loshchilov & Hutter 2019) on the CPU.
    pub fn adamw(&self, state: AdamWState, gradient: Tensor<1>, step: AdamWStep) -> AdamWState {
        let AdamWState { weight: w, first_moment: m, second_moment: v } = state;
        let (weight, first_moment, second_moment) = kernels::adamw(w, gradient, m, v, step);
        AdamWState { weight, first_moment, second_moment }
    }

    /// Returns √Σ x² over flat memory, `[1]`, without waiting for it. The sums have a fixed order.
    pub fn norm(&self, parts: &[Tensor<1>]) -> Tensor<1> {
        let squares = parts.iter().map(|x| {
            let rows = (x.clone() * x.clone()).reshape([Self::CHUNK, x.dims()[0] / Self::CHUNK]);
            let sums = rows.sum_dim(1).reshape([1, Self::CHUNK]); // [1, chunk]
            sums.sum_dim(1).reshape([1]) // [1]
        });
        squares.reduce(|sum, square| sum + square).expect("a network has parameters").sqrt()
    }

    /// Decides on the device how gradients of this norm are scaled: down to `max_norm`, unless that
    /// is 0.
    pub fn clipping(&self, norm: &Tensor<1>, max_norm: f64) -> Clipping {
        let factor = match max_norm > 0.0 {
            true => ((norm.clone() + 1e-6).recip() * max_norm).clamp_max(1.0),
            false => norm.ones_like(),
        };
        Clipping { factor, is_void: norm.clone().is_finite().bool_not() }
    }

    /// One step of AdamW over flat memory, in plain operations. `step.grad_scale` is ignored.
    pub fn adamw_together(
        &self,
        state: AdamWState,
        gradient: Tensor<1>,
        clipping: &Clipping,
        step: AdamWStep,
    ) -> AdamWState {
        let AdamWState { weight: w, first_moment: m, second_moment: v } = state;
        let len = w.dims();
        let g = gradient * clipping.factor.clone().expand(len);
        let first = m.clone() * step.beta1 + g.clone() * (1.0 - step.beta1);
        let second = v.clone() * step.beta2 + g.clone() * g * (1.0 - step.beta2);
        let denominator = second.clone().sqrt() / step.correction2_sqrt + step.eps;
        let weight = w.clone() * (1.0 - step.lr * step.weight_decay)
            - first.clone() / denominator * (step.lr / step.correction1);
        let is_void = clipping.is_void.clone().expand(len);
        AdamWState {
            weight: weight.mask_where(is_void.clone(), w),
            first_moment: first.mask_where(is_void.clone(), m),
            second_moment: second.mask_where(is_void, v),
        }
    }
}
