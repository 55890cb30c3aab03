//! The backward pass of attention block by block of queries. It computes the probabilities again.

use super::rows::softmax_backward;
use crate::attention::Task;
use crate::block::{Block, Growing};
use crate::gemm::{View, product};
use crate::windows::{Attention, Window, windows};
use rayon::prelude::*;

/// The probabilities of a window, the same after dropout, and the gradient of the scores.
type Scratch = [Vec<f32>; 3];

/// The gradients of a task's keys and values, and of the queries of one window.
struct Gradients<'a, 'b> {
    query: Block<'a>,
    key: &'b mut Block<'a>,
    value: &'b mut Block<'a>,
}

/// Returns the gradients of Q, K and V, as attention read them, from that of the attended values.
pub fn attention_backward(attention: &Attention, d_attended: &[f32]) -> [Vec<f32>; 3] {
    let hidden = attention.hidden;
    let mut d_query = Growing::new(d_attended.len() / hidden, hidden);
    // Windows overlap, so keys and values sum up what several of them give.
    let [mut d_key, mut d_value] =
        [attention.key, attention.value].map(|like| vec![0.0; like.len()]);
    let heads = &attention.heads;
    let d_queries = heads.split(d_query.block(), |task| task.rows);
    let d_keys = heads.split(Block::of(&mut d_key, hidden), |task| task.len);
    let d_values = heads.split(Block::of(&mut d_value, hidden), |task| task.len);
    let is_dropped = attention.is_dropped();
    let largest = attention.largest();
    let scratch =
        || [largest, if is_dropped { largest } else { 0 }, largest].map(|len| vec![0.0; len]);
    let tasks = heads.tasks.par_iter().zip(d_queries).zip(d_keys).zip(d_values);
    tasks.for_each_init(scratch, |scratch, (((&task, query), mut key), mut value)| {
        let mut rest = query;
        for window in windows(task, attention.reach) {
            let (query, after) = rest.split_rows(window.queries.len());
            rest = after;
            let gradients = Gradients { query, key: &mut key, value: &mut value };
            attention.backward(task, &window, d_attended, (scratch, gradients));
        }
    });
    [d_query.finish(), d_key, d_value]
}

impl Attention<'_> {
    fn backward(
        &self,
        task: Task,
        window: &Window,
        d_attended: &[f32],
        (scratch, gradients): (&mut Scratch, Gradients),
    ) {
        let ([probabilities, dropped, d_scores], keys) = (scratch, window.keys.len());
        let p = &*self.probabilities(task, window, probabilities);
        let weights = if dropped.is_empty() {
            p
        } else {
            let dropped = &mut dropped[..p.len()];
            dropped.copy_from_slice(p);
            self.drop(task, window, dropped);
            dropped
        };
        let (rows, size) = (window.queries.len(), self.heads.size);
        let d_out = self.at_queries(d_attended, task, window);
        let d_value = gradients.value.part(window.keys.clone());
        product(d_value, rows, View::rows(weights, keys).transposed(), d_out, true);

        let d_scores = &mut d_scores[..window.len()];
        let value = self.at_keys(self.value, task, window).transposed();
        product(Block::of(d_scores, keys), size, d_out, value, false);
        self.drop(task, window, d_scores);
        window.for_each_row(d_scores, |row, d_scores| {
            let seen = window.seen(row);
            softmax_backward(d_scores, &p[row * keys..][seen], self.heads.scale);
        });
        let d_scores = View::rows(d_scores, keys);
        product(gradients.query, keys, d_scores, self.at_keys(self.key, task, window), false);
        let (d_key, query) =
            (gradients.key.part(window.keys.clone()), self.at_queries(self.query, task, window));
        product(d_key, rows, d_scores.transposed(), query, true);
    }
}
