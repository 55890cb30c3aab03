//! One BERT encoder layer over packed tokens, on slices: what it is made of, and its forward pass.
//!
//! Packed means that the tokens of all sequences stand one after the other, `[tokens, hidden]`, and
//! attention looks at one sequence at a time: no work is done on padding, and there is no mask.

use super::after_attention::{Steps, after_attention};
use super::attention::attention;
use super::gemm::View;
use super::precision::Precision;
use super::rows::Dropout;
use rayon::prelude::*;
use std::borrow::Cow;
use std::sync::Arc;

/// Rows that one task of an element-wise pass handles. Fixed, so that sums are added in the same
/// order everywhere.
const ROWS: usize = 64;

/// What a layer must know besides its input and weights.
#[derive(Clone, Debug)]
pub struct LayerSpec {
    /// First token of each sequence, and the number of tokens at the end.
    pub starts: Arc<[usize]>,
    pub heads: usize,
    pub eps: f32,
    /// Compute only the first token of each sequence: all that the head of a cross-encoder reads of
    /// the last layer. Keys and values are still those of every token.
    pub first_only: bool,
    /// Of the products with weights; attention's own are small and stay f32.
    pub precision: Precision,
    /// On the attention probabilities.
    pub attention_dropout: Dropout,
    /// On the output of attention, before the residual.
    pub output_dropout: Dropout,
    /// On the output of the feed-forward part, before the residual.
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

/// The gradients of [`LayerWeights`], in the same order.
pub type LayerGradients = [Vec<f32>; 16];

/// What the backward pass needs from the forward pass.
#[derive(Debug)]
pub struct Saved {
    pub query: Vec<f32>,
    pub key: Vec<f32>,
    pub value: Vec<f32>,
    /// Attention probabilities before dropout: for each sequence, for each head, `[rows, len]`.
    pub probabilities: Vec<f32>,
    pub attended: Vec<f32>,
    pub steps: Steps<Vec<f32>>,
}

/// A buffer whose contents the caller overwrites in full.
pub fn buffer(len: usize) -> Vec<f32> {
    let mut buffer = Vec::with_capacity(len);
    // SAFETY: f32 has no invalid bit patterns, and every caller writes each element before it is
    // read.
    #[allow(clippy::uninit_vec)]
    unsafe {
        buffer.set_len(len)
    };
    buffer
}

/// x·W + bias.
fn linear(
    precision: Precision,
    tokens: usize,
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
) -> Vec<f32> {
    let (out, inner) = (bias.len(), weight.len() / bias.len());
    let mut y = buffer(tokens * out);
    y.par_chunks_mut(out * ROWS)
        .for_each(|rows| rows.chunks_exact_mut(out).for_each(|row| row.copy_from_slice(bias)));
    precision.gemm(
        [tokens, out, inner],
        &mut y,
        View::rows(x, inner),
        View::rows(weight, out),
        true,
    );
    y
}

/// The rows of `x` whose outputs are computed.
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

/// Returns the layer's output `[tokens, hidden]` (`[sequences, hidden]` with `first_only`), and
/// with `keep` what [`backward`] needs.
pub fn forward(
    x: &[f32],
    w: &LayerWeights,
    spec: &LayerSpec,
    keep: bool,
) -> (Vec<f32>, Option<Saved>) {
    let hidden = w.query_bias.len();
    let tokens = x.len() / hidden;
    let residual = computed_rows(x, spec, hidden);
    let rows = residual.len() / hidden;
    let query = linear(spec.precision, rows, &residual, w.query, w.query_bias);
    let key = linear(spec.precision, tokens, x, w.key, w.key_bias);
    let value = linear(spec.precision, tokens, x, w.value, w.value_bias);
    let (attended, probabilities) = attention(&query, &key, &value, hidden, spec, keep);
    let (out, steps) = after_attention(&attended, &residual, w, spec, keep);
    (out, steps.map(|steps| Saved { query, key, value, probabilities, attended, steps }))
}
