//! Kernels over rows of f32: activation, softmax, LayerNorm, dropout, and their backward passes.

use super::simd::{fma, simd};

/// Lanes of the partial sums: fixed, so that the order of additions is the same on every CPU.
const LANES: usize = 16;

/// e^x by range reduction and a degree-5 polynomial (Cephes `expf`); relative error about 1e-7, for
/// x up to 88.
#[inline(always)]
fn exp<const FMA: bool>(x: f32) -> f32 {
    let x = if x > -87.0 { x } else { -87.0 };
    let n = (x * std::f32::consts::LOG2_E).round_ties_even();
    let r = fma::<FMA>(n, -0.693_359_4, x);
    let r = fma::<FMA>(n, 2.121_944_4e-4, r);
    let p = fma::<FMA>(1.987_569_1e-4, r, 1.398_199_9e-3);
    let p = fma::<FMA>(p, r, 8.333_452e-3);
    let p = fma::<FMA>(p, r, 4.166_579_6e-2);
    let p = fma::<FMA>(p, r, 1.666_666_5e-1);
    let p = fma::<FMA>(p, r, 0.5);
    let p = fma::<FMA>(p, r * r, r) + 1.0;
    // SAFETY: n lies in -126..=127 for the x allowed above, well inside i32.
    let exponent = unsafe { n.to_int_unchecked::<i32>() } + 127;
    f32::from_bits((exponent << 23) as u32) * p
}

/// Returns (Φ(x), e^(-x²/2)). Near 0 by the rational approximation of erf that Eigen and XLA use,
/// in the tails by Abramowitz & Stegun 7.1.26: each where it errs least and without bias. A bias of
/// 1e-8 here is 1e-5 on the logit after six layers.
#[inline(always)]
fn normal_cdf<const FMA: bool>(x: f32) -> (f32, f32) {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let e = exp::<FMA>(-0.5 * x * x);
    let cdf =
        if z < std::f32::consts::SQRT_2 { near_cdf::<FMA>(x) } else { far_cdf::<FMA>(x, z, e) };
    (cdf, e)
}

#[inline(always)]
fn near_cdf<const FMA: bool>(x: f32) -> f32 {
    let z = x * std::f32::consts::FRAC_1_SQRT_2;
    let z2 = z * z;
    let p = fma::<FMA>(-2.726_142_3e-10, z2, 2.770_681_4e-8);
    let p = fma::<FMA>(p, z2, -2.101_024_1e-6);
    let p = fma::<FMA>(p, z2, -5.692_506_5e-5);
    let p = fma::<FMA>(p, z2, -7.349_906_4e-4);
    let p = fma::<FMA>(p, z2, -2.954_6e-3);
    let p = fma::<FMA>(p, z2, -1.609_603_3e-2);
    let q = fma::<FMA>(-1.456_607_2e-5, z2, -2.133_740_6e-4);
    let q = fma::<FMA>(q, z2, -1.682_827e-3);
    let q = fma::<FMA>(q, z2, -7.373_329_3e-3);
    let q = fma::<FMA>(q, z2, -1.426_474e-2);
    fma::<FMA>(0.5 * z, p / q, 0.5)
}

#[inline(always)]
fn far_cdf<const FMA: bool>(x: f32, z: f32, e: f32) -> f32 {
    let t = 1.0 / fma::<FMA>(0.327_591_1, z, 1.0);
    let p = fma::<FMA>(1.061_405_4, t, -1.453_152);
    let p = fma::<FMA>(p, t, 1.421_413_7);
    let p = fma::<FMA>(p, t, -0.284_496_74);
    let p = fma::<FMA>(p, t, 0.254_829_6);
    let tail = 0.5 * p * t * e;
    if x >= 0.0 { 1.0 - tail } else { tail }
}

#[inline(always)]
fn sum_lanes<const FMA: bool>(x: &[f32]) -> f32 {
    let mut lanes = [0f32; LANES];
    let chunks = x.chunks_exact(LANES);
    let rest: f32 = chunks.remainder().iter().sum();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += value;
        }
    }
    lanes.iter().sum::<f32>() + rest
}

#[inline(always)]
fn dot_lanes<const FMA: bool>(x: &[f32], y: &[f32]) -> f32 {
    let mut lanes = [0f32; LANES];
    let (xs, ys) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
    let rest: f32 = xs.remainder().iter().zip(ys.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in xs.zip(ys) {
        for i in 0..LANES {
            lanes[i] = fma::<FMA>(a[i], b[i], lanes[i]);
        }
    }
    lanes.iter().sum::<f32>() + rest
}

/// Which elements dropout keeps: a pure function of a key and the element's index, so that the
/// backward pass and a resumed run find the same mask without storing it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Dropout {
    key: u32,
    threshold: u32,
    scale: f32,
}

impl Dropout {
    /// Keeps each element with probability `1 - rate` and scales it by `1 / (1 - rate)`; `rate` in
    /// [0, 1).
    pub fn new(rate: f32, seed: u64, site: u64) -> Self {
        let mixed =
            (seed ^ site.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        let key = (mixed ^ (mixed >> 32)) as u32;
        Self {
            key,
            threshold: (f64::from(rate) * 4_294_967_296.0) as u32,
            scale: 1.0 / (1.0 - rate),
        }
    }

    pub fn is_active(&self) -> bool {
        self.threshold > 0
    }

    /// The factors of the elements 0..len.
    pub fn factors(&self, len: usize) -> Vec<f32> {
        (0..len as u32).map(|index| self.factor(index)).collect()
    }

    /// The factor of element `index`: 0 or 1 / (1 - rate). lowbias32 of Chris Wellons' hash
    /// prospector.
    #[inline(always)]
    fn factor(&self, index: u32) -> f32 {
        let mut x = index.wrapping_mul(0x9e37_79b9).wrapping_add(self.key);
        x ^= x >> 16;
        x = x.wrapping_mul(0x21f0_aaad);
        x ^= x >> 15;
        x = x.wrapping_mul(0x735a_2d97);
        x ^= x >> 15;
        if x >= self.threshold { self.scale } else { 0.0 }
    }
}

simd! {
    /// x := x · Φ(x), the exact GELU.
    fn gelu(x: &mut [f32]) {
        for x in x {
            *x *= normal_cdf::<FMA>(*x).0;
        }
    }

    /// grad := grad · (Φ(x) + x·φ(x)).
    fn gelu_backward(x: &[f32], grad: &mut [f32]) {
        const INV_SQRT_2PI: f32 = 0.398_942_3;
        for (grad, &x) in grad.iter_mut().zip(x) {
            let (cdf, e) = normal_cdf::<FMA>(x);
            *grad *= fma::<FMA>(x * INV_SQRT_2PI, e, cdf);
        }
    }

    fn add(sum: &mut [f32], x: &[f32]) {
        for (sum, x) in sum.iter_mut().zip(x) {
            *sum += x;
        }
    }

    /// x := normalised (x + residual), y := x·gamma + beta; returns 1/σ.
    fn layer_norm(x: &mut [f32], residual: &[f32], gamma: &[f32], beta: &[f32], y: &mut [f32], eps: f32) -> f32 {
        for (x, r) in x.iter_mut().zip(residual) {
            *x += r;
        }
        let count = x.len() as f32;
        let mean = sum_lanes::<FMA>(x) / count;
        for x in x.iter_mut() {
            *x -= mean;
        }
        let inv_std = 1.0 / (dot_lanes::<FMA>(x, x) / count + eps).sqrt();
        for i in 0..x.len() {
            x[i] *= inv_std;
            y[i] = fma::<FMA>(x[i], gamma[i], beta[i]);
        }
        inv_std
    }

    /// grad := gradient of the LayerNorm's input; adds to those of gamma and beta.
    fn layer_norm_backward(
        grad: &mut [f32], normalised: &[f32], inv_std: f32, gamma: &[f32], d_gamma: &mut [f32], d_beta: &mut [f32],
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

    /// scores := softmax(scores · scale).
    fn softmax(scores: &mut [f32], scale: f32) {
        let mut lanes = [f32::MIN; LANES];
        let chunks = scores.chunks_exact(LANES);
        for &value in chunks.remainder() {
            lanes[0] = if value > lanes[0] { value } else { lanes[0] };
        }
        for chunk in chunks {
            for (lane, &value) in lanes.iter_mut().zip(chunk) {
                *lane = if value > *lane { value } else { *lane };
            }
        }
        let max = lanes.iter().fold(f32::MIN, |a, &b| a.max(b)) * scale;
        for value in scores.iter_mut() {
            *value = exp::<FMA>(fma::<FMA>(*value, scale, -max));
        }
        let inverse = 1.0 / sum_lanes::<FMA>(scores);
        for value in scores.iter_mut() {
            *value *= inverse;
        }
    }

    /// grad := p · (grad − Σ grad·p) · scale, the gradient of the scores before [`softmax`].
    fn softmax_backward(grad: &mut [f32], p: &[f32], scale: f32) {
        let along = dot_lanes::<FMA>(grad, p);
        for (grad, p) in grad.iter_mut().zip(p) {
            *grad = (*grad - along) * p * scale;
        }
    }

    /// y := dropout(x); `first` is the index of x[0] in the whole tensor.
    fn dropout(x: &[f32], y: &mut [f32], dropout: Dropout, first: u32) {
        for (i, (y, x)) in y.iter_mut().zip(x).enumerate() {
            *y = x * dropout.factor(first.wrapping_add(i as u32));
        }
    }

    /// x := dropout(x).
    fn dropout_in_place(x: &mut [f32], dropout: Dropout, first: u32) {
        for (i, x) in x.iter_mut().enumerate() {
            *x *= dropout.factor(first.wrapping_add(i as u32));
        }
    }

    /// Σ x².
    fn squared_norm(x: &[f32]) -> f32 {
        dot_lanes::<FMA>(x, x)
    }

    /// One AdamW step over a slice (Loshchilov & Hutter 2019, with PyTorch's order of operations).
    fn adamw(w: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32], step: AdamWStep) {
        let AdamWStep { lr, beta1, beta2, eps, weight_decay, correction1, correction2_sqrt, grad_scale } = step;
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

/// The numbers of one AdamW step.
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
    /// What every gradient is multiplied by first: clipping and accumulation.
    pub grad_scale: f32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gelu_is_the_exact_one() {
        // erf by its Maclaurin series in f64, an independent way to the same numbers.
        let erf = |x: f64| {
            let (mut term, mut sum) = (x, x);
            for n in 1..200 {
                term *= -x * x / n as f64;
                sum += term / (2 * n + 1) as f64;
            }
            sum * 2.0 / std::f64::consts::PI.sqrt()
        };
        let x: Vec<f32> = (-400..=400).map(|i| i as f32 * 0.01).collect();
        let mut y = x.clone();
        gelu(&mut y);
        for (&x, &y) in x.iter().zip(&y) {
            let exact = 0.5 * f64::from(x) * (1.0 + erf(f64::from(x) / std::f64::consts::SQRT_2));
            assert!((f64::from(y) - exact).abs() < 5e-7, "gelu({x}) = {y}, not {exact}");
        }
    }

    #[test]
    fn softmax_sums_to_one_at_any_length_and_magnitude() {
        for len in [1, 7, 16, 33, 100] {
            for scale in [1e-3, 1.0, 80.0] {
                let mut row: Vec<f32> =
                    (0..len).map(|i| ((i * 37 % 11) as f32 - 5.0) * scale).collect();
                softmax(&mut row, 0.7);
                assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5);
                assert!(row.iter().all(|p| p.is_finite() && *p >= 0.0));
            }
        }
    }

    #[test]
    fn dropout_keeps_the_stated_share_and_the_mean() {
        let ones = vec![1f32; 1 << 16];
        let mut y = vec![0f32; ones.len()];
        dropout(&ones, &mut y, Dropout::new(0.1, 7, 3), 5);
        let kept = y.iter().filter(|v| **v > 0.0).count() as f64 / y.len() as f64;
        assert!((kept - 0.9).abs() < 0.005, "kept {kept}");
        let mut other = vec![0f32; ones.len()];
        dropout(&ones, &mut other, Dropout::new(0.1, 8, 3), 5);
        assert_ne!(y, other);
    }
}
