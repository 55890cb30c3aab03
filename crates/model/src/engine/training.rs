//! What training needs from an engine: backward passes, and the optimizer's step, which the kernels
//! do in one pass over the memory.

use super::{Engine, Layout};
use burn::tensor::{Tensor, TensorData};
use whetstone_kernels::{self as kernels, AdamWStep, Precision};

/// The flat values that one step of AdamW changes.
pub struct AdamWState {
    pub weight: Tensor<1>,
    pub first_moment: Tensor<1>,
    pub second_moment: Tensor<1>,
}

impl Engine {
    /// The same device with backward passes, and the large products of a network in `precision`.
    pub fn for_training(&self, precision: Precision) -> Self {
        Self { device: self.device.clone().autodiff(), precision, ..self.clone() }
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

    /// Brings a gradient to the device, without autodiff.
    pub fn fetch(&self, gradient: Tensor<1>) -> Tensor<1> {
        gradient.to_device(&self.device.clone().inner())
    }

    /// Returns Σ x².
    pub fn squared_norm(&self, x: Tensor<1>) -> f64 {
        match self.layout {
            Layout::Packed => f64::from(kernels::squared_norm(x)),
            Layout::Padded => f64::from((x.clone() * x).sum().into_scalar::<f32>()),
        }
    }

    /// One step of AdamW (Loshchilov & Hutter 2019).
    pub fn adamw(&self, state: AdamWState, gradient: Tensor<1>, step: AdamWStep) -> AdamWState {
        let AdamWState { weight: w, first_moment: m, second_moment: v } = state;
        let (weight, first_moment, second_moment) = match self.layout {
            Layout::Packed => kernels::adamw(w, gradient, m, v, step),
            Layout::Padded => {
                let g = gradient * step.grad_scale;
                let m = m * step.beta1 + g.clone() * (1.0 - step.beta1);
                let v = v * step.beta2 + g.clone() * g * (1.0 - step.beta2);
                let denominator = v.clone().sqrt() / step.correction2_sqrt + step.eps;
                let w = w * (1.0 - step.lr * step.weight_decay)
                    - m.clone() / denominator * (step.lr / step.correction1);
                (w, m, v)
            }
        };
        AdamWState { weight, first_moment, second_moment }
    }
}
