//! Kernels over rows of f32 for training only: backward passes and the optimizer.

use crate::rows::{dot_lanes, normal_cdf, sum_lanes};
use crate::simd::{fma, simd};

simd! {
    /// grad := grad · (Φ(x) + x·φ(x)).
    fn gelu_backward(x: &[f32], grad: &mut [f32]) {
        const INV_SQRT_2PI: f32 = 0.398_942_3;
        for (grad, &x) in grad.iter_mut().zip(x) {
            let (cdf, e) = normal_cdf::<FMA>(x);
            *grad *= fma::<FMA>(x * INV_SQRT_2PI, e, cdf);
        }
    }

    /// d_x := gradient of geglu's input from that of its output, which becomes the output.
    fn geglu_backward(x: &[f32], grad: &mut [f32], d_x: &mut [f32]) {
        const INV_SQRT_2PI: f32 = 0.398_942_3;
        let (x, gates) = x.split_at(grad.len());
        let (d_first, d_gates) = d_x.split_at_mut(grad.len());
        for i in 0..grad.len() {
            let (cdf, e) = normal_cdf::<FMA>(x[i]);
            let active = x[i] * cdf;
            d_first[i] = grad[i] * gates[i] * fma::<FMA>(x[i] * INV_SQRT_2PI, e, cdf);
            d_gates[i] = grad[i] * active;
            grad[i] = active * gates[i];
        }
    }

    /// grad := gradient of the LayerNorm's input. Adds to the gradients of gamma and beta.
    fn layer_norm_backward(
        grad: &mut [f32], normalised: &[f32], inv_std: f32, gamma: &[f32], d_gamma: &mut [f32],
        d_beta: &mut [f32],
    ) {
        for i in 0..grad.len() {
            d_gamma[i] = fma::<FMA>(grad[i], normalised[i], d_gamma[i]);
            d_beta[i] += grad[i];
            grad[i] *= gamma[i];
        }
        let count = grad.len() as f32;
        let mean = sum_lanes::<FMA>(grad) / count;
        let along = dot_lanes::<FMA>(grad, normalised) / count;
        for (grad, x) in grad.iter_mut().zip(normalised) {
            *grad = inv_std * (*grad - mean - x * along);
        }
    }

    /// grad := p · (grad − Σ grad·p) · scale, the gradient of softmax's scores.
    fn softmax_backward(grad: &mut [f32], p: &[f32], scale: f32) {
        let along = dot_lanes::<FMA>(grad, p);
        for (grad, p) in grad.iter_mut().zip(p) {
            *grad = (*grad - along) * p * scale;
        }
    }

    /// Σ x².
    fn squared_norm(x: &[f32]) -> f32 {
        dot_lanes::<FMA>(x, x)
    }

    /// One AdamW step over a slice (Loshchilov & Hutter 2019, with PyTorch's order of operations).
    fn adamw(w: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32], step: AdamWStep) {
        let AdamWStep {
            lr, beta1, beta2, eps, weight_decay, correction1, correction2_sqrt, grad_scale,
        } = step;
        let decay = 1.0 - lr * weight_decay;
        let rate = lr / correction1;
        for i in 0..w.len() {
            let grad = g[i] * grad_scale;
            m[i] = fma::<FMA>(1.0 - beta1, grad - m[i], m[i]);
            v[i] = fma::<FMA>(beta2, v[i], (1.0 - beta2) * grad * grad);
            let denominator = v[i].sqrt() / correction2_sqrt + eps;
            w[i] = w[i] * decay - rate * m[i] / denominator;
        }
    }
}

/// The parameters of one AdamW step.
#[derive(Clone, Copy, Debug)]
pub struct AdamWStep {
    pub lr: f32,
    pub beta1: f32,
    pub beta2: f32,
    pub eps: f32,
    pub weight_decay: f32,
    /// 1 − β₁ᵗ.
    pub correction1: f32,
    /// √(1 − β₂ᵗ).
    pub correction2_sqrt: f32,
    /// Factor on every gradient, for clipping and accumulation.
    pub grad_scale: f32,
}
