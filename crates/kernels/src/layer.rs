//! One post-norm encoder layer over packed tokens, on slices: its parts and its forward pass.
//!
//! Packed means that the tokens of all sequences follow each other, `[tokens, hidden]`. Attention
//! looks at one sequence at a time, so there is neither padding nor a mask.

use super::after_attention::{Steps, after_attention};
use super::attention::{Heads, attention};
use super::block::{Block, Growing};
use super::dropout::Dropout;
use super::gemm::View;
use super::precision::Precision;
use super::windows::{self, Attention};
use rayon::prelude::*;
use std::borrow::Cow;
use std::sync::Arc;

/// Rows per task of an element-wise pass. Fixed, so that sums are added in the same order
/// everywhere.
const ROWS: usize = 64;

/// The parameters of a layer besides its input and weights.
#[derive(Clone, Debug)]
pub struct LayerSpec {
    /// First token of each sequence, then the number of tokens: `[0, 3, 4]` for two sequences of
    /// three tokens and one. No sequence is empty; `[0]` is an empty batch.
    pub starts: Arc<[usize]>,
    /// Number of attention heads; it divides the hidden columns.
    pub heads: usize,
    /// Added to the variance by the LayerNorms.
    pub eps: f32,
    /// Computes only the first token of each sequence, which is all that a cross-encoder's head
    /// reads of the last layer. Keys and values still cover every token.
    pub first_only: bool,
    /// Precision of the products with weights. Attention's own products are small and stay f32.
    pub precision: Precision,
    /// Keeps only the layer's input for the backward pass, which then computes the layer again
    /// (gradient checkpointing: Chen et al. 2016). The gradients are the same.
    pub recompute: bool,
    /// Applied to the attention probabilities.
    pub attention_dropout: Dropout,
    /// Applied to attention's output, before the residual.
    pub output_dropout: Dropout,
    /// Applied to the feed-forward output, before the residual.
    pub ffn_dropout: Dropout,
}

/// The weights of a layer; matrices are `[in, out]`.
pub struct LayerWeights<'a> {
    pub query: &'a [f32],
    pub query_bias: &'a [f32],
    pub key: &'a [f32],
    pub key_bias: &'a [f32],
    pub value: &'a [f32],
    pub value_bias: &'a [f32],
    pub attention_output: &'a [f32],
    pub attention_output_bias: &'a [f32],
    pub attention_gamma: &'a [f32],
    pub attention_beta: &'a [f32],
    pub intermediate: &'a [f32],
    pub intermediate_bias: &'a [f32],
    pub output: &'a [f32],
    pub output_bias: &'a [f32],
    pub output_gamma: &'a [f32],
    pub output_beta: &'a [f32],
}

impl<'a> LayerWeights<'a> {
    /// Takes the weights in the order of the struct's fields.
    pub fn from_array(weights: [&'a [f32]; 16]) -> Self {
        let [
            query,
            query_bias,
            key,
            key_bias,
            value,
            value_bias,
            attention_output,
            attention_output_bias,
            attention_gamma,
            attention_beta,
            intermediate,
            intermediate_bias,
            output,
            output_bias,
            output_gamma,
            output_beta,
        ] = weights;
        Self {
            query,
            query_bias,
            key,
            key_bias,
            value,
            value_bias,
            attention_output,
            attention_output_bias,
            attention_gamma,
            attention_beta,
            intermediate,
            intermediate_bias,
            output,
            output_bias,
            output_gamma,
            output_beta,
        }
    }
}

/// What the backward pass needs from the forward pass.
#[derive(Debug)]
#[cfg_attr(not(feature = "train"), allow(dead_code))]
pub struct Saved {
    pub query: Vec<f32>,
    pub key: Vec<f32>,
    pub value: Vec<f32>,
    /// Attention probabilities before dropout: for each sequence, for each head, `[rows, len]`. Empty
    /// where a sequence is long.
    pub probabilities: Vec<f32>,
    pub attended: Vec<f32>,
    pub steps: Steps<Vec<f32>>,
}

/// x·W + bias.
fn linear(precision: Precision, x: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f32> {
    let (out, inner) = (bias.len(), weight.len() / bias.len());
    let mut y = Growing::new(x.len() / inner, out);
    y.block().row_chunks(ROWS).into_par_iter().for_each(|rows| {
        rows.repeat(bias);
    });
    let mut y = y.finish();
    let (x, weight) = (View::rows(x, inner), View::rows(weight, out));
    precision.gemm(Block::of(&mut y, out), inner, x, weight, true);
    y
}

/// Returns the rows of `x` whose outputs are computed.
pub fn computed_rows<'a>(x: &'a [f32], spec: &LayerSpec, hidden: usize) -> Cow<'a, [f32]> {
    if !spec.first_only {
        return Cow::Borrowed(x);
    }
    let starts = &spec.starts[..spec.starts.len() - 1];
    Cow::Owned(
        starts
            .iter()
            .flat_map(|&start| &x[start * hidden..(start + 1) * hidden])
            .copied()
            .collect(),
    )
}

/// Returns the layer's output `[tokens, hidden]` (`[sequences, hidden]` with `first_only`). With
/// `keep`, also returns what the backward pass needs.
pub fn forward(
    x: &[f32],
    w: &LayerWeights,
    spec: &LayerSpec,
    keep: bool,
) -> (Vec<f32>, Option<Saved>) {
    let hidden = w.query_bias.len();
    let residual = computed_rows(x, spec, hidden);
    let query = linear(spec.precision, &residual, w.query, w.query_bias);
    let key = linear(spec.precision, x, w.key, w.key_bias);
    let value = linear(spec.precision, x, w.value, w.value_bias);
    let heads = Heads::new(spec, hidden);
    let parts = [&query[..], &key, &value];
    let (attended, probabilities) = match heads.are_long() {
        true => (windows::attention(&Attention::new(parts, (spec, None), hidden)), vec![]),
        false => attention(&heads, parts, spec, keep),
    };
    let (out, steps) = after_attention(&attended, &residual, w, spec, keep);
    (out, steps.map(|steps| Saved { query, key, value, probabilities, attended, steps }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{Factors, Layer, spec};
    use crate::simd::{Level, limit::at_each_level};

    /// Outputs are about 1, and sums have at most 80 terms. Seen: 1.2e-6.
    const TOLERANCE: f64 = 5e-6;
    /// Inputs of products err by 2⁻⁹ of themselves. Seen: 1.3e-2.
    const BF16_TOLERANCE: f64 = 3e-2;

    /// hidden, feed-forward columns, heads, and the lengths of the sequences.
    const SIZES: [(usize, usize, usize, &[usize]); 4] = [
        (1, 1, 1, &[1]),
        (12, 20, 3, &[1, 5, 3]),
        (33, 80, 1, &[17, 1, 40]),
        (48, 7, 4, &[33, 64, 2, 1]),
    ];

    fn furthest(exact: &[f64], found: &[f32]) -> f64 {
        assert_eq!(exact.len(), found.len());
        exact.iter().zip(found).map(|(a, b)| (a - f64::from(*b)).abs()).fold(0.0, f64::max)
    }

    fn check(precision: Precision, tolerance: f64) {
        for (hidden, ffn, heads, lengths) in SIZES {
            for first_only in [false, true] {
                let layer = Layer::new(hidden, ffn, lengths);
                let spec = spec(lengths, heads, first_only, precision);
                let exact = layer.exact().forward(&spec, &Factors::default());
                let runs = at_each_level(|| {
                    let without = forward(&layer.x, &layer.weights(), &spec, false).0;
                    let with = forward(&layer.x, &layer.weights(), &spec, true);
                    (without, with.0, with.1.is_some())
                });
                assert!(matches!(runs.last(), Some((Level::Portable, _))));
                for (level, (without, with, is_kept)) in runs {
                    let error = furthest(&exact, &without);
                    assert!(error < tolerance, "{level:?}, {lengths:?}: off by {error}");
                    assert!(is_kept && with == without, "keeping the steps changes nothing");
                }
            }
        }
    }

    #[test]
    fn every_level_computes_the_layer_as_written_down_in_f64() {
        check(Precision::F32, TOLERANCE);
    }

    #[test]
    fn bfloat16_computes_the_layer_to_its_precision() {
        check(Precision::Bf16, BF16_TOLERANCE);
    }

    #[test]
    fn an_empty_batch_gives_no_rows() {
        for precision in [Precision::F32, Precision::Bf16] {
            let layer = Layer::new(12, 20, &[]);
            let (out, saved) =
                forward(&layer.x, &layer.weights(), &spec(&[], 3, false, precision), true);
            assert!(out.is_empty() && saved.is_some());
        }
    }
}
