//! What training needs from an engine: backward passes, and the optimizer's step.
//!
//! On the CPU the kernels do a parameter's step in one pass over its memory. Elsewhere every
//! operation is a launch, so all parameters lie one after the other and take their step together.

use super::Engine;
use burn::tensor::{Tensor, TensorData};
use whetstone_kernels::{self as kernels, AdamWStep, Precision};

/// The flat values that one step of AdamW changes.
#[derive(Clone)]
pub struct AdamWState {
    pub weight: Tensor<1>,
    pub first_moment: Tensor<1>,
    pub second_moment: Tensor<1>,
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

    /// Has a GPU take its memory in pieces that a tensor of so many bytes fits into.
    pub fn make_room(&self, bytes: u64) {
        #[cfg(feature = "gpu")]
        if kernels::gpu::serves(&self.device) {
            kernels::gpu::make_room(&self.device, bytes as usize);
        }
        let _ = bytes;
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

    /// Joins flat tensors, none of them under autodiff, with zeros up to `len`.
    pub fn join(&self, mut parts: Vec<Tensor<1>>, len: usize) -> Tensor<1> {
        #[cfg(feature = "gpu")]
        if kernels::gpu::serves(&self.device) {
            return kernels::gpu::join(parts, len);
        }
        let joined: usize = parts.iter().map(|part| part.dims()[0]).sum();
        if joined < len {
            parts.push(self.zeros(len - joined));
        }
        Tensor::cat(parts, 0)
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
            #[cfg(feature = "gpu")]
            if kernels::gpu::serves(&self.device) {
                return kernels::gpu::squares(x.clone());
            }
            let rows = (x.clone() * x.clone()).reshape([Self::CHUNK, x.dims()[0] / Self::CHUNK]);
            let sums = rows.sum_dim(1).reshape([1, Self::CHUNK]); // [1, chunk]
            sums.sum_dim(1).reshape([1]) // [1]
        });
        squares.reduce(|sum, square| sum + square).expect("a network has parameters").sqrt()
    }

    /// One step of AdamW over flat memory, decided on the device. Its gradients have this norm, `[1]`,
    /// and are scaled down to `max_norm`, unless that is 0. A norm that is no number changes nothing.
    /// `step.grad_scale` is ignored.
    pub fn adamw_together(
        &self,
        state: AdamWState,
        gradient: Tensor<1>,
        (norm, max_norm): (&Tensor<1>, f64),
        step: AdamWStep,
    ) -> AdamWState {
        let AdamWState { weight: w, first_moment: m, second_moment: v } = state;
        #[cfg(feature = "gpu")]
        if kernels::gpu::serves(&self.device) {
            let how = (step, max_norm as f32);
            let [weight, first_moment, second_moment] =
                kernels::gpu::adamw([w, m, v], gradient, norm.clone(), how);
            return AdamWState { weight, first_moment, second_moment };
        }
        let factor = match max_norm > 0.0 {
            true => ((norm.clone() + 1e-6).recip() * max_norm).clamp_max(1.0),
            false => norm.ones_like(),
        };
        let len = w.dims();
        let g = gradient * factor.expand(len);
        let first = m.clone() * step.beta1 + g.clone() * (1.0 - step.beta1);
        let second = v.clone() * step.beta2 + g.clone() * g * (1.0 - step.beta2);
        let denominator = second.clone().sqrt() / step.correction2_sqrt + step.eps;
        let weight = w.clone() * (1.0 - step.lr * step.weight_decay)
            - first.clone() / denominator * (step.lr / step.correction1);
        let is_void = norm.clone().is_finite().bool_not().expand(len);
        AdamWState {
            weight: weight.mask_where(is_void.clone(), w),
            first_moment: first.mask_where(is_void.clone(), m),
            second_moment: second.mask_where(is_void, v),
        }
    }
}
