//! Attention of each sequence to itself, forward and backward, one (sequence, head) at a time.

use super::gemm::{Shared, gemm_one};
use super::layer::{LayerSpec, Saved, buffer};
use super::rows;
use rayon::prelude::*;

/// One (sequence, head): where its rows start, how many there are, and where its probabilities lie.
struct Task {
    /// Offset of the first value of this head in the buffer of queries, `[rows of all sequences,
    /// hidden]`.
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

/// softmax(Q·Kᵀ/√d)·V for every sequence and head; returns the result and, if asked, the
/// probabilities.
pub fn attention(
    q: &[f32],
    k: &[f32],
    v: &[f32],
    hidden: usize,
    spec: &LayerSpec,
    keep: bool,
) -> (Vec<f32>, Vec<f32>) {
    let head_size = hidden / spec.heads;
    let scale = 1.0 / (head_size as f32).sqrt();
    let (tasks, total, largest) = tasks(spec, hidden);
    let mut attended = buffer(q.len());
    let mut kept = if keep { buffer(total) } else { Vec::new() };
    let (attended_at, kept_at) = (Shared::new(&mut attended), Shared::new(&mut kept));
    let drop = spec.attention_dropout.is_active();
    let scratch =
        || (buffer(if keep { 0 } else { largest }), buffer(if drop { largest } else { 0 }));
    tasks.par_iter().for_each_init(scratch, |(own, dropped), task| {
        let Task { query_at, at, rows, len, probabilities } = *task;
        // SAFETY: `probabilities..+rows·len` and the head's columns of `attended` belong to this
        // task alone.
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
                rows::dropout(
                    scores,
                    &mut dropped[..rows * len],
                    spec.attention_dropout,
                    probabilities as u32,
                );
                weights = &dropped[..rows * len];
            }
            let weights = (weights.as_ptr(), len, 1);
            gemm_one(
                [rows, head_size, len],
                attended_at.at(query_at),
                hidden,
                weights,
                value,
                false,
            );
        }
    });
    (attended, kept)
}

/// Gradients of Q, K and V from that of the attended values.
pub fn attention_backward(
    d_attended: &[f32],
    saved: &Saved,
    hidden: usize,
    spec: &LayerSpec,
) -> [Vec<f32>; 3] {
    let head_size = hidden / spec.heads;
    let scale = 1.0 / (head_size as f32).sqrt();
    let (tasks, _, largest) = tasks(spec, hidden);
    let [mut d_query, mut d_key, mut d_value] =
        [d_attended, &saved.key, &saved.value].map(|like| buffer(like.len()));
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
            gemm_one(
                [rows, head_size, len],
                dq.at(query_at),
                hidden,
                by_rows,
                head(&saved.key, at),
                false,
            );
            let query = head(&saved.query, query_at);
            gemm_one([len, head_size, rows], dk.at(at), hidden, transposed(by_rows), query, false);
        }
    });
    [d_query, d_key, d_value]
}
