//! The backward pass of the encoder layer, in the reverse order of its forward pass.

use super::attention::attention_backward;
use super::rows;
use crate::block::{Block, Growing};
use crate::dropout::Dropout;
use crate::gemm::View;
use crate::layer::{LayerSpec, LayerWeights, Saved, computed_rows};
use crate::precision::Precision;
use crate::rows::add;
use rayon::prelude::*;
use std::borrow::Cow;

/// The gradients of [`LayerWeights`], in the same order.
pub type LayerGradients = [Vec<f32>; 16];

/// Rows per partial sum over tokens. Fixed, so that sums are added in the same order everywhere.
const SUM_ROWS: usize = 512;

/// Turns the gradient of a LayerNorm's output into that of its input. Returns those of gamma and
/// beta.
pub fn norm_backward(
    grad: &mut [f32],
    normalised: &[f32],
    inv_std: &[f32],
    gamma: &[f32],
) -> (Vec<f32>, Vec<f32>) {
    let hidden = gamma.len();
    let partial: Vec<(Vec<f32>, Vec<f32>)> = grad
        .par_chunks_mut(hidden * SUM_ROWS)
        .zip(normalised.par_chunks(hidden * SUM_ROWS))
        .zip(inv_std.par_chunks(SUM_ROWS))
        .map(|((grad, normalised), inv_std)| {
            let (mut d_gamma, mut d_beta) = (vec![0.0; hidden], vec![0.0; hidden]);
            for (i, &inv_std) in inv_std.iter().enumerate() {
                let row = i * hidden..(i + 1) * hidden;
                let (grad, normalised) = (&mut grad[row.clone()], &normalised[row]);
                rows::layer_norm_backward(
                    grad,
                    normalised,
                    inv_std,
                    gamma,
                    &mut d_gamma,
                    &mut d_beta,
                );
            }
            (d_gamma, d_beta)
        })
        .collect();
    // Added in order, so that the result does not depend on thread timing.
    let mut sums = (vec![0.0; hidden], vec![0.0; hidden]);
    for (d_gamma, d_beta) in &partial {
        add(&mut sums.0, d_gamma);
        add(&mut sums.1, d_beta);
    }
    sums
}

/// Returns the sum over rows: the gradient of a bias.
fn column_sums(grad: &[f32], cols: usize) -> Vec<f32> {
    let partial: Vec<Vec<f32>> = grad
        .par_chunks(cols * SUM_ROWS)
        .map(|rows| {
            let mut sum = vec![0.0; cols];
            rows.chunks_exact(cols).for_each(|row| add(&mut sum, row));
            sum
        })
        .collect();
    let mut sum = vec![0.0; cols];
    partial.iter().for_each(|part| add(&mut sum, part));
    sum
}

/// Returns xᵀ·grad, the gradient of a weight `[inner, out]`.
pub fn weight_gradient(
    precision: Precision,
    (x, inner): (&[f32], usize),
    (grad, out): (&[f32], usize),
) -> Vec<f32> {
    let mut d_weight = Growing::new(inner, out);
    let (tokens, x) = (x.len() / inner, View::rows(x, inner).transposed());
    precision.gemm(d_weight.block(), tokens, x, View::rows(grad, out), false);
    d_weight.finish()
}

/// Returns grad·Wᵀ, the gradient of the input of x·W. `out` is the number of W's columns.
pub fn input_gradient(precision: Precision, grad: &[f32], (w, out): (&[f32], usize)) -> Vec<f32> {
    let mut d_x = Growing::new(grad.len() / out, w.len() / out);
    let w = View::rows(w, out).transposed();
    precision.gemm(d_x.block(), out, View::rows(grad, out), w, false);
    d_x.finish()
}

/// d_x += grad·Wᵀ.
fn add_input_gradient(
    precision: Precision,
    grad: &[f32],
    (w, out): (&[f32], usize),
    d_x: &mut [f32],
) {
    let d_x = Block::of(d_x, w.len() / out);
    let w = View::rows(w, out).transposed();
    precision.gemm(d_x, out, View::rows(grad, out), w, true);
}

/// Inverts [`computed_rows`]. Returns `[tokens, hidden]`, zero except for each sequence's first
/// token.
pub fn scatter_rows(rows: &[f32], spec: &LayerSpec, hidden: usize) -> Vec<f32> {
    let mut x = vec![0.0; spec.starts.last().map_or(0, |tokens| tokens * hidden)];
    for (row, &start) in rows.chunks_exact(hidden).zip(spec.starts.iter()) {
        x[start * hidden..(start + 1) * hidden].copy_from_slice(row);
    }
    x
}

/// Returns the gradient before dropout: `grad` itself if there is none.
pub fn through_dropout(grad: &[f32], dropout: Dropout) -> Cow<'_, [f32]> {
    const CHUNK: usize = 1 << 14;
    if !dropout.mask.is_active() {
        return Cow::Borrowed(grad);
    }
    let mut masked = Growing::new(1, grad.len());
    let chunks = masked.block().col_chunks(CHUNK).into_par_iter().zip(grad.par_chunks(CHUNK));
    chunks.enumerate().for_each(|(i, (to, from))| dropout.apply(to.copy(from), i * CHUNK));
    Cow::Owned(masked.finish())
}

/// Backward pass of out = norm(middle + drop(gelu(middle·W1)·W2)). Returns the gradients of middle
/// and of the weights.
fn feed_forward_backward(
    w: &LayerWeights,
    saved: &Saved,
    spec: &LayerSpec,
    d_out: Vec<f32>,
) -> (Vec<f32>, [Vec<f32>; 6]) {
    let (steps, precision) = (&saved.steps, spec.precision);
    let (hidden, ffn) = (w.output_bias.len(), w.intermediate_bias.len());
    let mut d_sum = d_out;
    let (d_output_gamma, d_output_beta) =
        norm_backward(&mut d_sum, &steps.output_normalised, &steps.output_inv_std, w.output_gamma);
    let d_ffn = through_dropout(&d_sum, spec.ffn_dropout);
    let d_output = weight_gradient(precision, (&steps.after_gelu, ffn), (&d_ffn, hidden));
    let d_output_bias = column_sums(&d_ffn, hidden);
    let mut d_gelu = input_gradient(precision, &d_ffn, (w.output, hidden));
    d_gelu
        .par_chunks_mut(1 << 14)
        .zip(steps.before_gelu.par_chunks(1 << 14))
        .for_each(|(grad, x)| rows::gelu_backward(x, grad));
    let d_intermediate = weight_gradient(precision, (&steps.middle, hidden), (&d_gelu, ffn));
    let d_intermediate_bias = column_sums(&d_gelu, ffn);
    drop(d_ffn);
    let mut d_middle = d_sum;
    add_input_gradient(precision, &d_gelu, (w.intermediate, ffn), &mut d_middle);
    let gradients = [
        d_intermediate,
        d_intermediate_bias,
        d_output,
        d_output_bias,
        d_output_gamma,
        d_output_beta,
    ];
    (d_middle, gradients)
}

/// Returns the gradients of the layer's input and weights from that of its output.
pub fn backward(
    x: &[f32],
    w: &LayerWeights,
    saved: &Saved,
    spec: &LayerSpec,
    d_out: Vec<f32>,
) -> (Vec<f32>, LayerGradients) {
    let (hidden, precision) = (w.query_bias.len(), spec.precision);
    let residual = computed_rows(x, spec, hidden);

    let (mut d_middle, feed_forward) = feed_forward_backward(w, saved, spec, d_out);

    // Attention part: middle = norm(x + drop(attended·Wo)).
    let (d_attention_gamma, d_attention_beta) = norm_backward(
        &mut d_middle,
        &saved.steps.attention_normalised,
        &saved.steps.attention_inv_std,
        w.attention_gamma,
    );
    let d_projected = through_dropout(&d_middle, spec.output_dropout);
    let weight_gradient =
        |x: &[f32], grad: &[f32]| weight_gradient(precision, (x, hidden), (grad, hidden));
    let d_attention_output = weight_gradient(&saved.attended, &d_projected);
    let d_attention_output_bias = column_sums(&d_projected, hidden);
    let d_attended = input_gradient(precision, &d_projected, (w.attention_output, hidden));
    drop(d_projected);
    let [d_query, d_key, d_value] = attention_backward(&d_attended, saved, hidden, spec);
    let mut d_residual = d_middle;
    add_input_gradient(precision, &d_query, (w.query, hidden), &mut d_residual);
    let mut d_x =
        if spec.first_only { scatter_rows(&d_residual, spec, hidden) } else { d_residual };
    for (grad, weight) in [(&d_key, w.key), (&d_value, w.value)] {
        add_input_gradient(precision, grad, (weight, hidden), &mut d_x);
    }
    let [
        d_intermediate,
        d_intermediate_bias,
        d_output,
        d_output_bias,
        d_output_gamma,
        d_output_beta,
    ] = feed_forward;
    let gradients = [
        weight_gradient(&residual, &d_query),
        column_sums(&d_query, hidden),
        weight_gradient(x, &d_key),
        column_sums(&d_key, hidden),
        weight_gradient(x, &d_value),
        column_sums(&d_value, hidden),
        d_attention_output,
        d_attention_output_bias,
        d_attention_gamma,
        d_attention_beta,
        d_intermediate,
        d_intermediate_bias,
        d_output,
        d_output_bias,
        d_output_gamma,
        d_output_beta,
    ];
    (d_x, gradients)
}
