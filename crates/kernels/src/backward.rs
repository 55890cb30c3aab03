//! The backward pass of the layer, in the reverse order of its forward pass.

use super::attention::attention_backward;
use super::gemm::View;
use super::layer::{LayerGradients, LayerSpec, LayerWeights, Saved, buffer, computed_rows};
use super::precision::Precision;
use super::rows::{self, Dropout};
use rayon::prelude::*;

/// Rows of one partial sum over tokens. Fixed, so that sums are added in the same order everywhere.
const SUM_ROWS: usize = 512;

/// Turns the gradient of a LayerNorm's output into that of its input; returns those of gamma and
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
    // Added in order, so that the result does not depend on which thread was first.
    let mut sums = (vec![0.0; hidden], vec![0.0; hidden]);
    for (d_gamma, d_beta) in &partial {
        rows::add(&mut sums.0, d_gamma);
        rows::add(&mut sums.1, d_beta);
    }
    sums
}

/// Σ over rows: the gradient of a bias.
fn column_sums(grad: &[f32], cols: usize) -> Vec<f32> {
    let partial: Vec<Vec<f32>> = grad
        .par_chunks(cols * SUM_ROWS)
        .map(|rows| {
            let mut sum = vec![0.0; cols];
            rows.chunks_exact(cols).for_each(|row| rows::add(&mut sum, row));
            sum
        })
        .collect();
    let mut sum = vec![0.0; cols];
    partial.iter().for_each(|part| rows::add(&mut sum, part));
    sum
}

/// xᵀ·grad: the gradient of a weight `[in, out]`.
fn weight_gradient(precision: Precision, tokens: usize, x: &[f32], grad: &[f32]) -> Vec<f32> {
    let (inner, out) = (x.len() / tokens, grad.len() / tokens);
    let mut d_weight = buffer(inner * out);
    let x = View::rows(x, inner).transposed();
    precision.gemm([inner, out, tokens], &mut d_weight, x, View::rows(grad, out), false);
    d_weight
}

/// d_x (+)= grad·Wᵀ.
fn input_gradient(
    precision: Precision,
    grad: &[f32],
    (weight, out): (&[f32], usize),
    d_x: &mut [f32],
    accumulate: bool,
) {
    let (tokens, inner) = (grad.len() / out, weight.len() / out);
    let weight = View::rows(weight, out).transposed();
    precision.gemm([tokens, inner, out], d_x, View::rows(grad, out), weight, accumulate);
}

/// The inverse of [`computed_rows`]: `[tokens, hidden]`, zero but for the first token of each
/// sequence.
fn scatter_rows(rows: &[f32], spec: &LayerSpec, hidden: usize) -> Vec<f32> {
    let mut x = vec![0.0; spec.starts.last().map_or(0, |tokens| tokens * hidden)];
    for (row, &start) in rows.chunks_exact(hidden).zip(spec.starts.iter()) {
        x[start * hidden..(start + 1) * hidden].copy_from_slice(row);
    }
    x
}

/// The gradient before dropout: `grad` itself where there is none.
fn through_dropout(grad: &[f32], dropout: Dropout) -> Option<Vec<f32>> {
    dropout.is_active().then(|| {
        let mut masked = buffer(grad.len());
        masked
            .par_chunks_mut(1 << 14)
            .zip(grad.par_chunks(1 << 14))
            .enumerate()
            .for_each(|(i, (y, x))| rows::dropout(x, y, dropout, (i << 14) as u32));
        masked
    })
}

/// The feed-forward part, out = norm(middle + drop(gelu(middle·W1)·W2)): the gradient of middle,
/// and of the weights.
fn feed_forward_backward(
    w: &LayerWeights,
    saved: &Saved,
    spec: &LayerSpec,
    d_out: Vec<f32>,
) -> (Vec<f32>, [Vec<f32>; 6]) {
    let (hidden, ffn) = (w.output_bias.len(), w.intermediate_bias.len());
    let rows = d_out.len() / hidden;
    let mut d_sum = d_out;
    let (d_output_gamma, d_output_beta) = norm_backward(
        &mut d_sum,
        &saved.steps.output_normalised,
        &saved.steps.output_inv_std,
        w.output_gamma,
    );
    let masked = through_dropout(&d_sum, spec.ffn_dropout);
    let d_ffn = masked.as_deref().unwrap_or(&d_sum);
    let d_output = weight_gradient(spec.precision, rows, &saved.steps.after_gelu, d_ffn);
    let d_output_bias = column_sums(d_ffn, hidden);
    let mut d_gelu = buffer(rows * ffn);
    input_gradient(spec.precision, d_ffn, (w.output, hidden), &mut d_gelu, false);
    d_gelu
        .par_chunks_mut(1 << 14)
        .zip(saved.steps.before_gelu.par_chunks(1 << 14))
        .for_each(|(grad, x)| rows::gelu_backward(x, grad));
    let d_intermediate = weight_gradient(spec.precision, rows, &saved.steps.middle, &d_gelu);
    let d_intermediate_bias = column_sums(&d_gelu, ffn);
    let mut d_middle = d_sum;
    input_gradient(spec.precision, &d_gelu, (w.intermediate, ffn), &mut d_middle, true);
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

/// Returns the gradient of the layer's input and of its weights, from that of its output.
pub fn backward(
    x: &[f32],
    w: &LayerWeights,
    saved: &Saved,
    spec: &LayerSpec,
    d_out: Vec<f32>,
) -> (Vec<f32>, LayerGradients) {
    let hidden = w.query_bias.len();
    let tokens = x.len() / hidden;
    let residual = computed_rows(x, spec, hidden);
    let rows = residual.len() / hidden;

    let (mut d_middle, feed_forward) = feed_forward_backward(w, saved, spec, d_out);

    // Attention part: middle = norm(x + drop(attended·Wo)).
    let (d_attention_gamma, d_attention_beta) = norm_backward(
        &mut d_middle,
        &saved.steps.attention_normalised,
        &saved.steps.attention_inv_std,
        w.attention_gamma,
    );
    let masked = through_dropout(&d_middle, spec.output_dropout);
    let d_projected = masked.as_deref().unwrap_or(&d_middle);
    let d_attention_output = weight_gradient(spec.precision, rows, &saved.attended, d_projected);
    let d_attention_output_bias = column_sums(d_projected, hidden);
    let mut d_attended = buffer(rows * hidden);
    input_gradient(
        spec.precision,
        d_projected,
        (w.attention_output, hidden),
        &mut d_attended,
        false,
    );
    let [d_query, d_key, d_value] = attention_backward(&d_attended, saved, hidden, spec);
    let mut d_residual = d_middle;
    input_gradient(spec.precision, &d_query, (w.query, hidden), &mut d_residual, true);
    let mut d_x =
        if spec.first_only { scatter_rows(&d_residual, spec, hidden) } else { d_residual };
    for (grad, weight) in [(&d_key, w.key), (&d_value, w.value)] {
        input_gradient(spec.precision, grad, (weight, hidden), &mut d_x, true);
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
        weight_gradient(spec.precision, rows, &residual, &d_query),
        column_sums(&d_query, hidden),
        weight_gradient(spec.precision, tokens, x, &d_key),
        column_sums(&d_key, hidden),
        weight_gradient(spec.precision, tokens, x, &d_value),
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
