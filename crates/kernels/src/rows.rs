//! Forward kernels over rows of f32: activation, softmax and LayerNorm.

use super::simd::{fma, simd};

/// Lanes of the partial sums; fixed, so that every CPU adds in the same order.
const LANES: usize = 16;

/// e^x by range reduction and a degree-5 polynomial (Cephes `expf`); relative error about 1e-7, for
/// x up to 88.
#[inline(always)]
fn exp<const FMA: bool>(x: f32) -> f32 {
    let x = if x > -87.0 { x } else { -87.0 };
    // Adding this rounds to an integer, ties to even, and puts it in the lowest bits.
    const ROUND: f32 = 12_582_912.0; // 1.5 · 2²³
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = fma::<FMA>(n, -0.693_359_4, x);
    let r = fma::<FMA>(n, 2.121_944_4e-4, r);
    let p = fma::<FMA>(1.987_569_1e-4, r, 1.398_199_9e-3);
    let p = fma::<FMA>(p, r, 8.333_452e-3);
    let p = fma::<FMA>(p, r, 4.166_579_6e-2);
    let p = fma::<FMA>(p, r, 1.666_666_5e-1);
    let p = fma::<FMA>(p, r, 0.5);
    let p = fma::<FMA>(p, r * r, r) + 1.0;
    // 2ⁿ: n lies in -126..=127 for the x allowed above.
    f32::from_bits((rounded.to_bits() << 23).wrapping_add(127 << 23)) * p
}

/// Returns (Φ(x), e^(-x²/2)). Uses the rational approximation of erf from Eigen and XLA near 0, and
/// Abramowitz & Stegun 7.1.26 in the tails. Each has the smallest error there and no bias. A bias
/// of 1e-8 here would be 1e-5 on the logit after six layers.
#[inline(always)]
pub fn normal_cdf<const FMA: bool>(x: f32) -> (f32, f32) {
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
pub fn sum_lanes<const FMA: bool>(x: &[f32]) -> f32 {
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
pub fn dot_lanes<const FMA: bool>(x: &[f32], y: &[f32]) -> f32 {
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

simd! {
    /// x := x · Φ(x), the exact GELU.
    fn gelu(x: &mut [f32]) {
        for x in x {
            *x *= normal_cdf::<FMA>(*x).0;
        }
    }

    /// x := x · factors.
    #[cfg_attr(not(feature = "train"), allow(dead_code))]
    fn scale(x: &mut [f32], factors: &[f32]) {
        for (x, factor) in x.iter_mut().zip(factors) {
            *x *= factor;
        }
    }

    fn add(sum: &mut [f32], x: &[f32]) {
        for (sum, x) in sum.iter_mut().zip(x) {
            *sum += x;
        }
    }

    /// x := normalised (x + residual), y := x·gamma + beta. Returns 1/σ.
    fn layer_norm(
        x: &mut [f32], residual: &[f32], gamma: &[f32], beta: &[f32], y: &mut [f32], eps: f32,
    ) -> f32 {
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

    /// normalised := normalised x, y := normalised · gamma. Returns 1/σ.
    fn norm(x: &[f32], gamma: &[f32], normalised: &mut [f32], y: &mut [f32], eps: f32) -> f32 {
        let count = x.len() as f32;
        let mean = sum_lanes::<FMA>(x) / count;
        for (to, x) in normalised.iter_mut().zip(x) {
            *to = x - mean;
        }
        let inv_std = 1.0 / (dot_lanes::<FMA>(normalised, normalised) / count + eps).sqrt();
        for i in 0..x.len() {
            normalised[i] *= inv_std;
            y[i] = normalised[i] * gamma[i];
        }
        inv_std
    }

    /// y := gelu(first half of x) · second half.
    fn geglu(x: &[f32], y: &mut [f32]) {
        let (x, gates) = x.split_at(y.len());
        for i in 0..y.len() {
            y[i] = x[i] * normal_cdf::<FMA>(x[i]).0 * gates[i];
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{erf, numbers};
    use crate::simd::limit::at_each_level;

    #[test]
    fn gelu_is_the_exact_one() {
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
    fn every_level_gives_the_same() {
        // Lengths around the lanes of each level, and 0.
        for len in [0, 1, 3, 15, 16, 17, 31, 33, 100] {
            let (x, y) = (numbers(len, 1), numbers(len, 2));
            let runs = at_each_level(|| {
                let [mut active, mut sums, mut normed, mut soft] = [&x; 4].map(Vec::clone);
                let mut out = y.clone();
                gelu(&mut active);
                add(&mut sums, &y);
                let inv_std = layer_norm(&mut normed, &y, &x, &y, &mut out, 1e-5);
                softmax(&mut soft, 3.0);
                let inv_std = if len > 0 { vec![inv_std] } else { vec![] };
                [active, sums, normed, out, soft, inv_std].concat()
            });
            let (_, portable) = runs.last().expect("there is always the portable level");
            let vectors: Vec<_> = runs[..runs.len() - 1].iter().map(|(_, values)| values).collect();
            assert!(vectors.windows(2).all(|pair| pair[0] == pair[1]), "the same operations");
            for (a, b) in vectors.iter().flat_map(|values| values.iter().zip(portable)) {
                // Without a fused multiply-add, each of some hundred roundings may differ.
                assert!((a - b).abs() <= 2e-6 * b.abs().max(1.0), "{len}: {a} and {b}");
            }
        }
    }

    #[test]
    fn scores_far_apart_or_infinite_give_probabilities() {
        let inf = f32::INFINITY;
        for mut row in [vec![-1e30, 0.0, 1e30], vec![-inf, 0.0, -inf], vec![f32::MIN, f32::MAX]] {
            softmax(&mut row, 1.0);
            assert!(row.iter().all(|p| (0.0..=1.0).contains(p)), "{row:?}");
        }
    }
}
