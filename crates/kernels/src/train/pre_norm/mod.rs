//! The backward pass of the pre-norm layer, in the reverse order of its forward pass.

mod op;
#[cfg(test)]
mod tests;

use super::layer::{input_gradient, norm_backward, scatter_rows, through_dropout, weight_gradient};
use super::rows::geglu_backward;
use super::windows::attention_backward;
use crate::block::{Block, Growing};
use crate::dropout::Dropout;
use crate::embeddings::Normalised;
use crate::gemm::View;
use crate::layer::computed_rows;
use crate::pre_norm::{PreNormSpec, PreNormWeights, Saved};
use crate::rows::{add, scale};
use crate::windows::Attention;
use rayon::prelude::*;
use std::borrow::Cow;

/// The gradients of [`PreNormWeights`], in the same order.
pub type PreNormGradients = [Vec<f32>; 6];

/// Rows per task of an element-wise pass.
const ROWS: usize = 64;

/// Returns the output of a norm from what was kept of it.
fn normed(kept: &Normalised, gamma: &[f32]) -> Vec<f32> {
    let hidden = gamma.len();
    let mut out = Growing::new(kept.inv_std.len(), hidden);
    let chunks = out.block().row_chunks(ROWS).into_par_iter();
    chunks.zip(kept.values.par_chunks(ROWS * hidden)).for_each(|(out, values)| {
        out.copy(values).chunks_exact_mut(hidden).for_each(|row| scale(row, gamma));
    });
    out.finish()
}

/// Returns the gradient of the gates from that of the gated values, which become what they were in
/// the forward pass.
fn through_gates(d_gated: &mut [f32], gates: &[f32], ffn: usize, dropout: Dropout) -> Vec<f32> {
    let mut d_gates = Growing::new(gates.len() / (2 * ffn), 2 * ffn);
    let chunks = d_gates.block().row_chunks(ROWS).into_par_iter();
    let chunks =
        chunks.zip(d_gated.par_chunks_mut(ROWS * ffn)).zip(gates.par_chunks(ROWS * 2 * ffn));
    chunks.enumerate().for_each(|(index, ((d_gates, d_gated), gates))| {
        dropout.apply(d_gated, index * ROWS * ffn);
        d_gates.fill_rows(|i, d_gates| {
            let gates = &gates[i * 2 * ffn..][..2 * ffn];
            geglu_backward(gates, &mut d_gated[i * ffn..][..ffn], d_gates);
        });
        dropout.apply(d_gated, index * ROWS * ffn);
    });
    d_gates.finish()
}

/// Backward pass of out = middle + drop(geglu(norm(middle)·W1))·W2. Returns the gradients of middle
/// and of the weights.
fn feed_forward_backward(
    w: &PreNormWeights,
    saved: &Saved,
    spec: &PreNormSpec,
    d_out: Vec<f32>,
) -> (Vec<f32>, [Vec<f32>; 3]) {
    let (precision, hidden, ffn) = (spec.layer.precision, w.hidden(), w.ffn());
    let mut gated = input_gradient(precision, &d_out, (w.output, hidden));
    let d_gates = through_gates(&mut gated, &saved.gates, ffn, spec.layer.ffn_dropout);
    let d_output = weight_gradient(precision, (&gated, ffn), (&d_out, hidden));
    drop(gated);
    let normed = normed(&saved.before_ffn, w.ffn_gamma);
    let d_intermediate = weight_gradient(precision, (&normed, hidden), (&d_gates, 2 * ffn));
    drop(normed);
    let mut d_normed = input_gradient(precision, &d_gates, (w.intermediate, 2 * ffn));
    let Normalised { values, inv_std } = &saved.before_ffn;
    let (d_gamma, _) = norm_backward(&mut d_normed, values, inv_std, w.ffn_gamma);
    let mut d_middle = d_out;
    add_all(&mut d_middle, &d_normed);
    (d_middle, [d_gamma, d_intermediate, d_output])
}

/// sum += x, over threads.
fn add_all(sum: &mut [f32], x: &[f32]) {
    sum.par_chunks_mut(1 << 14).zip(x.par_chunks(1 << 14)).for_each(|(sum, x)| add(sum, x));
}

/// Returns the gradients of the projections' input and of `qkv`.
fn projections_backward(
    input: &[f32],
    w: &PreNormWeights,
    [d_query, d_key, d_value]: [Vec<f32>; 3],
    spec: &PreNormSpec,
) -> (Vec<f32>, Vec<f32>) {
    let (hidden, precision) = (w.hidden(), spec.layer.precision);
    let queried = computed_rows(input, &spec.layer, hidden);
    let mut d_qkv = Growing::new(hidden, 3 * hidden);
    let mut rest = d_qkv.block();
    for (x, grad) in [(&*queried, &d_query), (input, &d_key), (input, &d_value)] {
        let (part, after) = rest.split_cols(hidden);
        rest = after;
        let (tokens, x) = (x.len() / hidden, View::rows(x, hidden).transposed());
        precision.gemm(part, tokens, x, View::rows(grad, hidden), false);
    }
    let [query, key, value] = w.projections().map(View::transposed);
    let mut d_input = Growing::new(d_query.len() / hidden, hidden);
    precision.gemm(d_input.block(), hidden, View::rows(&d_query, hidden), query, false);
    let mut d_input = match spec.layer.first_only {
        true => scatter_rows(&d_input.finish(), &spec.layer, hidden),
        false => d_input.finish(),
    };
    for (grad, weight) in [(&d_key, key), (&d_value, value)] {
        let d_input = Block::of(&mut d_input, hidden);
        precision.gemm(d_input, hidden, View::rows(grad, hidden), weight, true);
    }
    (d_input, d_qkv.finish())
}

/// Returns the gradients of the layer's input and weights from that of its output.
pub fn backward(
    x: &[f32],
    w: &PreNormWeights,
    saved: &Saved,
    spec: &PreNormSpec,
    d_out: Vec<f32>,
) -> (Vec<f32>, PreNormGradients) {
    let (hidden, layer) = (w.hidden(), &spec.layer);
    let (d_middle, [d_ffn_gamma, d_intermediate, d_output]) =
        feed_forward_backward(w, saved, spec, d_out);

    // Attention part: middle = x + drop(attended·Wo).
    let d_projected = through_dropout(&d_middle, layer.output_dropout);
    let d_attention_output =
        weight_gradient(layer.precision, (&saved.attended, hidden), (&d_projected, hidden));
    let d_attended = input_gradient(layer.precision, &d_projected, (w.attention_output, hidden));
    drop(d_projected);
    let read = [&saved.query[..], &saved.key, &saved.value];
    let attention = Attention::new(read, (layer, spec.reach), hidden);
    let mut parts = attention_backward(&attention, &d_attended);
    drop(d_attended);
    let [d_query, d_key, _] = &mut parts;
    if !layer.first_only {
        spec.rotation.turn_back(d_query, &layer.starts, hidden);
    }
    spec.rotation.turn_back(d_key, &layer.starts, hidden);
    let input = match &saved.before_attention {
        Some(kept) => Cow::Owned(normed(kept, w.attention_gamma)),
        None => Cow::Borrowed(x),
    };
    let (mut d_x, d_qkv) = projections_backward(&input, w, parts, spec);
    drop(input);
    let d_attention_gamma = saved.before_attention.as_ref().map_or_else(Vec::new, |kept| {
        norm_backward(&mut d_x, &kept.values, &kept.inv_std, w.attention_gamma).0
    });
    let d_residual = match layer.first_only {
        true => scatter_rows(&d_middle, layer, hidden),
        false => d_middle,
    };
    add_all(&mut d_x, &d_residual);
    let gradients =
        [d_attention_gamma, d_qkv, d_attention_output, d_ffn_gamma, d_intermediate, d_output];
    (d_x, gradients)
}
