//! The backward pass of attention.

use super::rows::softmax_backward;
use super::windows;
use crate::attention::{Heads, Task};
use crate::block::{Block, Growing};
use crate::gemm::{View, product};
use crate::layer::{LayerSpec, Saved};
use crate::windows::Attention;
use rayon::prelude::*;

/// Returns the gradients of Q, K and V from that of the attended values, `[rows, hidden]`.
pub fn attention_backward(
    d_attended: &[f32],
    saved: &Saved,
    hidden: usize,
    spec: &LayerSpec,
) -> [Vec<f32>; 3] {
    let heads = Heads::new(spec, hidden);
    if heads.are_long() {
        let parts = [&saved.query[..], &saved.key, &saved.value];
        let attention = Attention::new(parts, (spec, None), hidden);
        return windows::attention_backward(&attention, d_attended);
    }
    let [mut d_query, mut d_key, mut d_value] = [d_attended, &saved.key, &saved.value]
        .map(|like| Growing::new(like.len() / hidden, hidden));
    let d_queries = heads.split(d_query.block(), |task| task.rows);
    let d_keys = heads.split(d_key.block(), |task| task.len);
    let d_values = heads.split(d_value.block(), |task| task.len);
    let scratch = || (vec![0.0; heads.largest()], Vec::new());
    let tasks = heads.tasks.par_iter().zip(d_queries).zip(d_keys).zip(d_values);
    tasks.for_each_init(scratch, |(d_scores, dropped), (((task, dq), dk), dv)| {
        let Task { query_at, at, rows, len, probabilities } = *task;
        let p = &saved.probabilities[probabilities..probabilities + rows * len];
        let d_out = heads.head(d_attended, query_at);
        let weights = View::rows(spec.attention_dropout.of(p, probabilities, dropped), len);
        product(dv, rows, weights.transposed(), d_out, false);

        let d_scores = &mut d_scores[..rows * len];
        let value = heads.head(&saved.value, at);
        product(Block::of(d_scores, len), heads.size, d_out, value.transposed(), false);
        spec.attention_dropout.apply(d_scores, probabilities);
        d_scores
            .chunks_exact_mut(len)
            .zip(p.chunks_exact(len))
            .for_each(|(grad, p)| softmax_backward(grad, p, heads.scale));
        let d_scores = View::rows(d_scores, len);
        product(dq, len, d_scores, heads.head(&saved.key, at), false);
        product(dk, rows, d_scores.transposed(), heads.head(&saved.query, query_at), false);
    });
    [d_query, d_key, d_value].map(Growing::finish)
}
