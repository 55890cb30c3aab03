//! One BERT encoder layer over packed tokens, on slices: what it is made of, and its forward pass.
//!
//! Packed means that the tokens of all sequences stand one after the other, `[tokens, hidden]`, and attention looks at
//! one sequence at a time: no work is done on padding, and there is no mask.

use super::attention::attention;
use super::gemm::View;
use super::precision::Precision;
use super::rows::{self, Dropout};
use rayon::prelude::*;
use std::borrow::Cow;
use std::sync::Arc;

/// Rows that one task of an element-wise pass handles. Fixed, so that sums are added in the same order everywhere.
const ROWS: usize = 64;

/// What a layer must know besides its input and weights.
#[derive(Clone, Debug)]
pub struct LayerSpec {
    /// First token of each sequence, and the number of tokens at the end.
    pub starts: Arc<[usize]>,
    pub heads: usize,
    pub eps: f32,
    /// Compute only the first token of each sequence: all that the head of a cross-encoder reads of the last layer. Keys and
    /// values are still those of every token.
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
    pub attention_normalised: Vec<f32>,
    pub attention_inv_std: Vec<f32>,
    pub middle: Vec<f32>,
    pub before_gelu: Vec<f32>,
    pub after_gelu: Vec<f32>,
    pub output_normalised: Vec<f32>,
    pub output_inv_std: Vec<f32>,
}

/// A buffer whose contents the caller overwrites in full.
pub fn buffer(len: usize) -> Vec<f32> {
    let mut buffer = Vec::with_capacity(len);
    // SAFETY: f32 has no invalid bit patterns, and every caller writes each element before it is read.
    #[allow(clippy::uninit_vec)]
    unsafe {
        buffer.set_len(len)
    };
    buffer
}

/// x·W + bias.
fn linear(precision: Precision, tokens: usize, x: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f32> {
    let (out, inner) = (bias.len(), weight.len() / bias.len());
    let mut y = buffer(tokens * out);
    y.par_chunks_mut(out * ROWS).for_each(|rows| rows.chunks_exact_mut(out).for_each(|row| row.copy_from_slice(bias)));
    precision.gemm([tokens, out, inner], &mut y, View::rows(x, inner), View::rows(weight, out), true);
    y
}

/// LayerNorm(y + residual): returns the output, the normalised values and 1/σ of every row.
fn add_and_norm(
    mut y: Vec<f32>,
    residual: &[f32],
    gamma: &[f32],
    beta: &[f32],
    eps: f32,
) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let hidden = gamma.len();
    let mut out = buffer(y.len());
    let mut inv_std = buffer(y.len() / hidden);
    y.par_chunks_mut(hidden * ROWS)
        .zip(out.par_chunks_mut(hidden * ROWS))
        .zip(residual.par_chunks(hidden * ROWS))
        .zip(inv_std.par_chunks_mut(ROWS))
        .for_each(|(((y, out), residual), inv_std)| {
            for (i, inv_std) in inv_std.iter_mut().enumerate() {
                let row = i * hidden..(i + 1) * hidden;
                *inv_std =
                    rows::layer_norm(&mut y[row.clone()], &residual[row.clone()], gamma, beta, &mut out[row], eps);
            }
        });
    (out, y, inv_std)
}

fn drop_in_place(x: &mut [f32], dropout: Dropout) {
    const CHUNK: usize = 1 << 14;
    if dropout.is_active() {
        x.par_chunks_mut(CHUNK)
            .enumerate()
            .for_each(|(i, chunk)| rows::dropout_in_place(chunk, dropout, (i * CHUNK) as u32));
    }
}

/// The rows of `x` whose outputs are computed.
pub fn computed_rows<'a>(x: &'a [f32], spec: &LayerSpec, hidden: usize) -> Cow<'a, [f32]> {
    if !spec.first_only {
        return Cow::Borrowed(x);
    }
    let starts = &spec.starts[..spec.starts.len() - 1];
    Cow::Owned(starts.iter().flat_map(|&start| &x[start * hidden..(start + 1) * hidden]).copied().collect())
}

/// Returns the layer's output `[tokens, hidden]` (`[sequences, hidden]` with `first_only`), and with `keep` what
/// [`backward`] needs.
pub fn forward(x: &[f32], w: &LayerWeights, spec: &LayerSpec, keep: bool) -> (Vec<f32>, Option<Saved>) {
    let hidden = w.query_bias.len();
    let tokens = x.len() / hidden;
    let residual = computed_rows(x, spec, hidden);
    let rows = residual.len() / hidden;
    let query = linear(spec.precision, rows, &residual, w.query, w.query_bias);
    let key = linear(spec.precision, tokens, x, w.key, w.key_bias);
    let value = linear(spec.precision, tokens, x, w.value, w.value_bias);
    let (attended, probabilities) = attention(&query, &key, &value, hidden, spec, keep);
    let mut y = linear(spec.precision, rows, &attended, w.attention_output, w.attention_output_bias);
    drop_in_place(&mut y, spec.output_dropout);
    let (middle, attention_normalised, attention_inv_std) =
        add_and_norm(y, &residual, w.attention_gamma, w.attention_beta, spec.eps);

    let mut before_gelu = linear(spec.precision, rows, &middle, w.intermediate, w.intermediate_bias);
    let after_gelu = if keep {
        let mut after = buffer(before_gelu.len());
        after.par_chunks_mut(1 << 14).zip(before_gelu.par_chunks(1 << 14)).for_each(|(y, x)| rows::gelu(x, y));
        after
    } else {
        before_gelu.par_chunks_mut(1 << 14).for_each(rows::gelu_in_place);
        std::mem::take(&mut before_gelu)
    };
    let mut y = linear(spec.precision, rows, &after_gelu, w.output, w.output_bias);
    drop_in_place(&mut y, spec.ffn_dropout);
    let (out, output_normalised, output_inv_std) = add_and_norm(y, &middle, w.output_gamma, w.output_beta, spec.eps);
    let saved = keep.then_some(Saved {
        query,
        key,
        value,
        probabilities,
        attended,
        attention_normalised,
        attention_inv_std,
        middle,
        before_gelu,
        after_gelu,
        output_normalised,
        output_inv_std,
    });
    (out, saved)
}
