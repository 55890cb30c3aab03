//! One BERT encoder layer over packed tokens, forward and backward, on slices.
//!
//! Packed means that the tokens of all sequences stand one after the other, `[tokens, hidden]`, and attention looks at
//! one sequence at a time: no work is done on padding, and there is no mask.

use super::gemm::{Shared, View, gemm_one};
use super::precision::Precision;
use super::rows::{self, Dropout};
use rayon::prelude::*;
use std::borrow::Cow;
use std::sync::Arc;

/// Rows that one task of an element-wise pass handles. Fixed, so that sums are added in the same order everywhere.
const ROWS: usize = 64;
/// Rows of one partial sum over tokens.
const SUM_ROWS: usize = 512;

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
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
    /// Attention probabilities before dropout: for each sequence, for each head, `[rows, len]`.
    probabilities: Vec<f32>,
    attended: Vec<f32>,
    attention_normalised: Vec<f32>,
    attention_inv_std: Vec<f32>,
    middle: Vec<f32>,
    before_gelu: Vec<f32>,
    after_gelu: Vec<f32>,
    output_normalised: Vec<f32>,
    output_inv_std: Vec<f32>,
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

/// One (sequence, head): where its rows start, how many there are, and where its probabilities lie.
struct Task {
    /// Offset of the first value of this head in the buffer of queries, `[rows of all sequences, hidden]`.
    query_at: usize,
    /// The same for keys and values, `[tokens, hidden]`.
    at: usize,
    /// Rows of queries.
    rows: usize,
    /// Keys and values.
    len: usize,
    /// `[rows, len]` from here on.
    probabilities: usize,
}

/// Returns the tasks, how many probabilities there are in all, and how many the largest task has.
fn tasks(spec: &LayerSpec, hidden: usize) -> (Vec<Task>, usize, usize) {
    let head_size = hidden / spec.heads;
    let mut tasks = Vec::with_capacity((spec.starts.len() - 1) * spec.heads);
    let (mut probabilities, mut largest) = (0, 0);
    for (index, pair) in spec.starts.windows(2).enumerate() {
        let len = pair[1] - pair[0];
        let (first_row, rows) = if spec.first_only { (index, 1) } else { (pair[0], len) };
        largest = largest.max(rows * len);
        for head in 0..spec.heads {
            let column = head * head_size;
            tasks.push(Task {
                query_at: first_row * hidden + column,
                at: pair[0] * hidden + column,
                rows,
                len,
                probabilities,
            });
            probabilities += rows * len;
        }
    }
    (tasks, probabilities, largest)
}

/// The rows of `x` whose outputs are computed.
fn computed_rows<'a>(x: &'a [f32], spec: &LayerSpec, hidden: usize) -> Cow<'a, [f32]> {
    if !spec.first_only {
        return Cow::Borrowed(x);
    }
    let starts = &spec.starts[..spec.starts.len() - 1];
    Cow::Owned(starts.iter().flat_map(|&start| &x[start * hidden..(start + 1) * hidden]).copied().collect())
}

/// softmax(Q·Kᵀ/√d)·V for every sequence and head; returns the result and, if asked, the probabilities.
fn attention(q: &[f32], k: &[f32], v: &[f32], hidden: usize, spec: &LayerSpec, keep: bool) -> (Vec<f32>, Vec<f32>) {
    let head_size = hidden / spec.heads;
    let scale = 1.0 / (head_size as f32).sqrt();
    let (tasks, total, largest) = tasks(spec, hidden);
    let mut attended = buffer(q.len());
    let mut kept = if keep { buffer(total) } else { Vec::new() };
    let (attended_at, kept_at) = (Shared::new(&mut attended), Shared::new(&mut kept));
    let drop = spec.attention_dropout.is_active();
    let scratch = || (buffer(if keep { 0 } else { largest }), buffer(if drop { largest } else { 0 }));
    tasks.par_iter().for_each_init(scratch, |(own, dropped), task| {
        let Task { query_at, at, rows, len, probabilities } = *task;
        // SAFETY: `probabilities..+rows·len` and the head's columns of `attended` belong to this task alone.
        unsafe {
            let scores = if keep { kept_at.at(probabilities) } else { own.as_mut_ptr() };
            let query = (q[query_at..].as_ptr(), hidden, 1);
            let key = (k[at..].as_ptr(), 1, hidden);
            let value = (v[at..].as_ptr(), hidden, 1);
            gemm_one([rows, len, head_size], scores, len, query, key, false);
            let scores = std::slice::from_raw_parts_mut(scores, rows * len);
            scores.chunks_exact_mut(len).for_each(|row| rows::softmax(row, scale));
            let mut weights: &[f32] = scores;
            if drop {
                rows::dropout(scores, &mut dropped[..rows * len], spec.attention_dropout, probabilities as u32);
                weights = &dropped[..rows * len];
            }
            let weights = (weights.as_ptr(), len, 1);
            gemm_one([rows, head_size, len], attended_at.at(query_at), hidden, weights, value, false);
        }
    });
    (attended, kept)
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

/// Turns the gradient of a LayerNorm's output into that of its input; returns those of gamma and beta.
fn norm_backward(grad: &mut [f32], normalised: &[f32], inv_std: &[f32], gamma: &[f32]) -> (Vec<f32>, Vec<f32>) {
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
                rows::layer_norm_backward(grad, normalised, inv_std, gamma, &mut d_gamma, &mut d_beta);
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

/// The inverse of [`computed_rows`]: `[tokens, hidden]`, zero but for the first token of each sequence.
fn scatter_rows(rows: &[f32], spec: &LayerSpec, hidden: usize) -> Vec<f32> {
    let mut x = vec![0.0; spec.starts.last().map_or(0, |tokens| tokens * hidden)];
    for (row, &start) in rows.chunks_exact(hidden).zip(spec.starts.iter()) {
        x[start * hidden..(start + 1) * hidden].copy_from_slice(row);
    }
    x
}

/// Gradients of Q, K and V from that of the attended values.
fn attention_backward(d_attended: &[f32], saved: &Saved, hidden: usize, spec: &LayerSpec) -> [Vec<f32>; 3] {
    let head_size = hidden / spec.heads;
    let scale = 1.0 / (head_size as f32).sqrt();
    let (tasks, _, largest) = tasks(spec, hidden);
    let [mut d_query, mut d_key, mut d_value] = [d_attended, &saved.key, &saved.value].map(|like| buffer(like.len()));
    let [dq, dk, dv] = [&mut d_query, &mut d_key, &mut d_value].map(|grad| Shared::new(grad));
    let drop = spec.attention_dropout.is_active();
    let scratch = || (buffer(largest), buffer(if drop { largest } else { 0 }));
    tasks.par_iter().for_each_init(scratch, |(d_scores, dropped), task| {
        let Task { query_at, at, rows, len, probabilities } = *task;
        let p = &saved.probabilities[probabilities..probabilities + rows * len];
        let d_scores = &mut d_scores[..rows * len];
        let head = |x: &[f32], at: usize| (x[at..].as_ptr(), hidden, 1);
        let transposed = |(data, row, col): (*const f32, usize, usize)| (data, col, row);
        let first = probabilities as u32;
        // SAFETY: the head's columns of dq, dk and dv belong to this task alone.
        unsafe {
            let mut weights = p;
            if drop {
                rows::dropout(p, &mut dropped[..rows * len], spec.attention_dropout, first);
                weights = &dropped[..rows * len];
            }
            let by_rows = (weights.as_ptr(), len, 1);
            let d_out = head(d_attended, query_at);
            gemm_one([len, head_size, rows], dv.at(at), hidden, transposed(by_rows), d_out, false);
            let value = transposed(head(&saved.value, at));
            gemm_one([rows, len, head_size], d_scores.as_mut_ptr(), len, d_out, value, false);
            if drop {
                rows::dropout_in_place(d_scores, spec.attention_dropout, first);
            }
            d_scores
                .chunks_exact_mut(len)
                .zip(p.chunks_exact(len))
                .for_each(|(grad, p)| rows::softmax_backward(grad, p, scale));
            let by_rows = (d_scores.as_ptr(), len, 1);
            gemm_one([rows, head_size, len], dq.at(query_at), hidden, by_rows, head(&saved.key, at), false);
            let query = head(&saved.query, query_at);
            gemm_one([len, head_size, rows], dk.at(at), hidden, transposed(by_rows), query, false);
        }
    });
    [d_query, d_key, d_value]
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

/// Returns the gradient of the layer's input and of its weights, from that of its output.
pub fn backward(
    x: &[f32],
    w: &LayerWeights,
    saved: &Saved,
    spec: &LayerSpec,
    d_out: Vec<f32>,
) -> (Vec<f32>, LayerGradients) {
    let hidden = w.query_bias.len();
    let ffn = w.intermediate_bias.len();
    let tokens = x.len() / hidden;
    let residual = computed_rows(x, spec, hidden);
    let rows = residual.len() / hidden;

    // Feed-forward part: out = norm(middle + drop(gelu(middle·W1)·W2)).
    let mut d_sum = d_out;
    let (d_output_gamma, d_output_beta) =
        norm_backward(&mut d_sum, &saved.output_normalised, &saved.output_inv_std, w.output_gamma);
    let masked = through_dropout(&d_sum, spec.ffn_dropout);
    let d_ffn = masked.as_deref().unwrap_or(&d_sum);
    let d_output = weight_gradient(spec.precision, rows, &saved.after_gelu, d_ffn);
    let d_output_bias = column_sums(d_ffn, hidden);
    let mut d_gelu = buffer(rows * ffn);
    input_gradient(spec.precision, d_ffn, (w.output, hidden), &mut d_gelu, false);
    d_gelu
        .par_chunks_mut(1 << 14)
        .zip(saved.before_gelu.par_chunks(1 << 14))
        .for_each(|(grad, x)| rows::gelu_backward(x, grad));
    let d_intermediate = weight_gradient(spec.precision, rows, &saved.middle, &d_gelu);
    let d_intermediate_bias = column_sums(&d_gelu, ffn);
    let mut d_middle = d_sum;
    input_gradient(spec.precision, &d_gelu, (w.intermediate, ffn), &mut d_middle, true);
    drop(d_gelu);

    // Attention part: middle = norm(x + drop(attended·Wo)).
    let (d_attention_gamma, d_attention_beta) =
        norm_backward(&mut d_middle, &saved.attention_normalised, &saved.attention_inv_std, w.attention_gamma);
    let masked = through_dropout(&d_middle, spec.output_dropout);
    let d_projected = masked.as_deref().unwrap_or(&d_middle);
    let d_attention_output = weight_gradient(spec.precision, rows, &saved.attended, d_projected);
    let d_attention_output_bias = column_sums(d_projected, hidden);
    let mut d_attended = buffer(rows * hidden);
    input_gradient(spec.precision, d_projected, (w.attention_output, hidden), &mut d_attended, false);
    let [d_query, d_key, d_value] = attention_backward(&d_attended, saved, hidden, spec);
    let mut d_residual = d_middle;
    input_gradient(spec.precision, &d_query, (w.query, hidden), &mut d_residual, true);
    let mut d_x = if spec.first_only { scatter_rows(&d_residual, spec, hidden) } else { d_residual };
    for (grad, weight) in [(&d_key, w.key), (&d_value, w.value)] {
        input_gradient(spec.precision, grad, (weight, hidden), &mut d_x, true);
    }
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
