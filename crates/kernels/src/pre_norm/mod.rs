//! One pre-norm encoder layer over packed tokens, on slices: its parts and its forward pass. Norms
//! stand before the sub-layers, positions enter by rotation, and nothing has a bias.

mod after_attention;
pub(crate) mod op;
#[cfg(test)]
pub(crate) mod reference;
pub(crate) mod rotation;

use super::block::Growing;
use super::embeddings::Normalised;
use super::gemm::View;
use super::layer::{LayerSpec, computed_rows};
use super::precision::Precision;
use super::rows;
use super::windows::{Attention, attention};
use after_attention::after_attention;
use rayon::prelude::*;
use rotation::Rotation;
use std::borrow::Cow;
use std::sync::Arc;

/// Rows per task of an element-wise pass.
const ROWS: usize = 64;

/// The parameters of a pre-norm layer besides its input and weights.
#[derive(Clone, Debug)]
pub struct PreNormSpec {
    /// As for a post-norm layer, but `ffn_dropout` applies to the values between the two
    /// feed-forward matrices.
    pub layer: LayerSpec,
    /// Turns queries and keys. It covers the longest sequence.
    pub rotation: Arc<Rotation>,
    /// How many tokens attention sees on either side; None sees the whole sequence.
    pub reach: Option<usize>,
}

/// The weights of a pre-norm layer; matrices are `[in, out]`.
pub struct PreNormWeights<'a> {
    /// Of the norm before attention; empty without one.
    pub attention_gamma: &'a [f32],
    /// Query, key and value side by side.
    pub qkv: &'a [f32],
    pub attention_output: &'a [f32],
    /// Of the norm before the feed-forward part.
    pub ffn_gamma: &'a [f32],
    /// What goes through GELU, then the gates.
    pub intermediate: &'a [f32],
    pub output: &'a [f32],
}

impl<'a> PreNormWeights<'a> {
    /// Takes the weights in the order of the struct's fields.
    pub fn from_array(weights: [&'a [f32]; 6]) -> Self {
        let [attention_gamma, qkv, attention_output, ffn_gamma, intermediate, output] = weights;
        Self { attention_gamma, qkv, attention_output, ffn_gamma, intermediate, output }
    }

    pub fn hidden(&self) -> usize {
        self.ffn_gamma.len()
    }

    /// Columns between the two feed-forward matrices.
    pub fn ffn(&self) -> usize {
        self.output.len() / self.hidden()
    }

    /// Query, key and value, `[hidden, hidden]` each.
    pub fn projections(&self) -> [View<'a>; 3] {
        let all = View::rows(self.qkv, 3 * self.hidden());
        [0, 1, 2].map(|part| all.skip_cols(part * self.hidden()))
    }
}

/// What the backward pass needs from the forward pass. Attention's probabilities are not among it:
/// they grow with the square of the length, and computing them again is cheap.
#[derive(Debug)]
#[cfg_attr(not(feature = "train"), allow(dead_code))]
pub struct Saved {
    /// Of the norm before attention; None without one.
    pub before_attention: Option<Normalised>,
    /// Turned.
    pub query: Vec<f32>,
    /// Turned.
    pub key: Vec<f32>,
    pub value: Vec<f32>,
    pub attended: Vec<f32>,
    /// Of the norm before the feed-forward part.
    pub before_ffn: Normalised,
    /// The product with `intermediate`.
    pub gates: Vec<f32>,
}

/// Returns normalised x times gamma, and what the backward pass needs.
fn norm(x: &[f32], gamma: &[f32], eps: f32) -> (Vec<f32>, Normalised) {
    let hidden = gamma.len();
    let tokens = x.len() / hidden;
    let mut all = [hidden, hidden, 1].map(|cols| Growing::new(tokens, cols));
    let [outs, values, inv_stds] = all.each_mut().map(|all| all.block().row_chunks(ROWS));
    let chunks = x.par_chunks(ROWS * hidden).zip(outs).zip(values).zip(inv_stds);
    chunks.for_each(|(((x, out), values), inv_stds)| {
        let (values, inv_stds) = (values.fill_rows(|_, _| ()), inv_stds.fill_rows(|_, _| ()));
        out.fill_rows(|i, out| {
            let row = i * hidden..(i + 1) * hidden;
            inv_stds[i] = rows::norm(&x[row.clone()], gamma, &mut values[row], out, eps);
        });
    });
    let [out, values, inv_std] = all.map(Growing::finish);
    (out, Normalised { values, inv_std })
}

/// x·W for one of the `[hidden, hidden]` parts of `qkv`.
fn project(precision: Precision, x: &[f32], weight: View, hidden: usize) -> Vec<f32> {
    let mut y = Growing::new(x.len() / hidden, hidden);
    precision.gemm(y.block(), hidden, View::rows(x, hidden), weight, false);
    y.finish()
}

/// Returns the layer's output `[tokens, hidden]` (`[sequences, hidden]` with `first_only`). With
/// `keep`, also returns what the backward pass needs.
pub fn forward(
    x: &[f32],
    w: &PreNormWeights,
    spec: &PreNormSpec,
    keep: bool,
) -> (Vec<f32>, Option<Saved>) {
    let (hidden, layer) = (w.hidden(), &spec.layer);
    let (normed, before_attention) = if w.attention_gamma.is_empty() {
        (Cow::Borrowed(x), None)
    } else {
        let (normed, kept) = norm(x, w.attention_gamma, layer.eps);
        (Cow::Owned(normed), Some(kept))
    };
    let queried = computed_rows(&normed, layer, hidden);
    let [of_query, of_key, of_value] = w.projections();
    let mut query = project(layer.precision, &queried, of_query, hidden);
    let mut key = project(layer.precision, &normed, of_key, hidden);
    let value = project(layer.precision, &normed, of_value, hidden);
    drop(queried);
    drop(normed);
    if !layer.first_only {
        // A first token stands at position 0, where turning changes nothing.
        spec.rotation.turn(&mut query, &layer.starts, hidden);
    }
    spec.rotation.turn(&mut key, &layer.starts, hidden);
    let attended = attention(&Attention::new([&query, &key, &value], (layer, spec.reach), hidden));
    let residual = computed_rows(x, layer, hidden);
    let (out, steps) = after_attention(&attended, &residual, w, layer, keep);
    let saved = steps.map(|(before_ffn, gates)| Saved {
        before_attention,
        query,
        key,
        value,
        attended,
        before_ffn,
        gates,
    });
    (out, saved)
}

#[cfg(test)]
mod tests {
    use super::reference::{CASES, PreNormLayer};
    use super::*;
    use crate::simd::{Level, limit::at_each_level};

    /// Relative to the largest output; sums have at most 150 terms.
    const TOLERANCE: f64 = 5e-6;
    /// Inputs of products err by 2⁻⁹ of themselves.
    const BF16_TOLERANCE: f64 = 3e-2;

    fn furthest(exact: &[f64], found: &[f32]) -> f64 {
        assert_eq!(exact.len(), found.len());
        exact.iter().zip(found).map(|(a, b)| (a - f64::from(*b)).abs()).fold(0.0, f64::max)
    }

    fn check(precision: Precision, tolerance: f64) {
        for case in CASES {
            for first_only in [false, true] {
                let layer = PreNormLayer::new(&case);
                let spec = case.spec(first_only, precision);
                let exact = layer.exact().forward(&spec);
                let largest = exact.iter().fold(1.0, |a: f64, b| a.max(b.abs()));
                let runs = at_each_level(|| {
                    let without = forward(&layer.x, &layer.weights(), &spec, false).0;
                    let with = forward(&layer.x, &layer.weights(), &spec, true);
                    (without, with.0, with.1.is_some())
                });
                assert!(matches!(runs.last(), Some((Level::Portable, _))));
                for (level, (without, with, is_kept)) in runs {
                    let error = furthest(&exact, &without);
                    assert!(
                        error < tolerance * largest,
                        "{level:?}, {case:?}: {error} of {largest}"
                    );
                    assert!(is_kept && with == without, "keeping the steps changes nothing");
                }
            }
        }
    }

    #[test]
    fn every_level_computes_the_pre_norm_layer_as_written_down_in_f64() {
        check(Precision::F32, TOLERANCE);
    }

    #[test]
    fn bfloat16_computes_the_pre_norm_layer_to_its_precision() {
        check(Precision::Bf16, BF16_TOLERANCE);
    }
}
