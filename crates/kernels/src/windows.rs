//! Attention block by block of queries. A block computes the keys that its queries may see, so that
//! windows save work, and memory grows with the length and not with its square.

use super::attention::{Heads, Task};
use super::block::{Block, Growing};
use super::gemm::{View, product};
use super::layer::LayerSpec;
use super::rows;
use rayon::prelude::*;
use std::ops::Range;

/// Queries of a block: enough for an efficient product, few enough that the keys of a window of 128
/// tokens are not many more than those that a single query sees.
const QUERIES: usize = 64;

/// Some queries of a (sequence, head), and the keys that at least one of them sees.
pub struct Window {
    pub queries: Range<usize>,
    pub keys: Range<usize>,
    reach: Option<usize>,
}

/// The queries, keys and values of all tasks.
pub struct Attention<'a> {
    spec: &'a LayerSpec,
    /// How many tokens a query sees on either side; None sees the whole sequence.
    pub reach: Option<usize>,
    pub heads: Heads,
    pub hidden: usize,
    pub query: &'a [f32],
    pub key: &'a [f32],
    pub value: &'a [f32],
}

/// Returns the windows of a task, in the order of their queries.
pub fn windows(task: Task, reach: Option<usize>) -> impl Iterator<Item = Window> {
    let Task { rows, len, .. } = task;
    (0..rows).step_by(QUERIES).map(move |first| {
        let last = rows.min(first + QUERIES);
        let keys = match reach {
            None => 0..len,
            Some(reach) => first.saturating_sub(reach)..len.min(last.saturating_add(reach)),
        };
        Window { queries: first..last, keys, reach }
    })
}

impl Window {
    /// How many probabilities there are, `[queries, keys]`.
    pub fn len(&self) -> usize {
        self.queries.len() * self.keys.len()
    }

    /// Returns the columns of the keys that a query sees, counted from `self.keys`.
    pub fn seen(&self, row: usize) -> Range<usize> {
        let Some(reach) = self.reach else { return 0..self.keys.len() };
        let query = self.queries.start + row;
        let first = query.saturating_sub(reach).max(self.keys.start);
        let last = query.saturating_add(reach + 1).min(self.keys.end);
        first - self.keys.start..last - self.keys.start
    }

    /// Calls a function with the values of each query at the keys that it sees, and clears the
    /// others.
    pub fn for_each_row(&self, values: &mut [f32], mut call: impl FnMut(usize, &mut [f32])) {
        for (row, values) in values.chunks_exact_mut(self.keys.len()).enumerate() {
            let seen = self.seen(row);
            values[..seen.start].fill(0.0);
            values[seen.end..].fill(0.0);
            call(row, &mut values[seen]);
        }
    }
}

impl<'a> Attention<'a> {
    pub fn new(
        [query, key, value]: [&'a [f32]; 3],
        (spec, reach): (&'a LayerSpec, Option<usize>),
        hidden: usize,
    ) -> Self {
        Self { spec, reach, heads: Heads::new(spec, hidden), hidden, query, key, value }
    }

    /// Whether probabilities are dropped.
    pub fn is_dropped(&self) -> bool {
        self.spec.attention_dropout != Default::default()
    }

    /// Returns the number of probabilities of the largest window.
    pub fn largest(&self) -> usize {
        let windows = self.heads.tasks.iter().flat_map(|&task| windows(task, self.reach));
        windows.map(|window| window.len()).max().unwrap_or(0)
    }

    /// Returns the columns of a head from a row of its sequence on, in a buffer like the queries.
    pub fn at_queries<'x>(&self, x: &'x [f32], task: Task, window: &Window) -> View<'x> {
        self.heads.head(x, task.query_at + window.queries.start * self.hidden)
    }

    /// The same in a buffer like the keys.
    pub fn at_keys<'x>(&self, x: &'x [f32], task: Task, window: &Window) -> View<'x> {
        self.heads.head(x, task.at + window.keys.start * self.hidden)
    }

    /// Writes the probabilities of a window before dropout, `[queries, keys]`, to the front of
    /// `scratch`.
    pub fn probabilities<'s>(
        &self,
        task: Task,
        window: &Window,
        scratch: &'s mut [f32],
    ) -> &'s mut [f32] {
        let scores = Block::of(&mut scratch[..window.len()], window.keys.len());
        let query = self.at_queries(self.query, task, window);
        let key = self.at_keys(self.key, task, window).transposed();
        let scores = product(scores, self.heads.size, query, key, false).into_slice();
        window.for_each_row(scores, |_, row| rows::softmax(row, self.heads.scale));
        scores
    }

    /// Drops probabilities, or their gradients.
    pub fn drop(&self, task: Task, window: &Window, values: &mut [f32]) {
        if !self.is_dropped() {
            return;
        }
        let dropout = self.spec.attention_dropout;
        window.for_each_row(values, |row, values| {
            let key = window.keys.start + window.seen(row).start;
            let query = window.queries.start + row;
            dropout.apply(values, task.probabilities + query * task.len + key);
        });
    }
}

/// Computes softmax(Q·Kᵀ/√d)·V for every sequence and head, each query within its reach.
pub fn attention(attention: &Attention) -> Vec<f32> {
    let hidden = attention.hidden;
    let mut attended = Growing::new(attention.query.len() / hidden, hidden);
    let outputs = attention.heads.split(attended.block(), |task| task.rows);
    let largest = attention.largest();
    let scratch = || vec![0.0; largest];
    let tasks = attention.heads.tasks.par_iter().zip(outputs);
    tasks.for_each_init(scratch, |scratch, (&task, out)| {
        let mut rest = out;
        for window in windows(task, attention.reach) {
            let (out, after) = rest.split_rows(window.queries.len());
            rest = after;
            let weights = attention.probabilities(task, &window, scratch);
            attention.drop(task, &window, weights);
            let keys = window.keys.len();
            let value = attention.at_keys(attention.value, task, &window);
            product(out, keys, View::rows(weights, keys), value, false);
        }
    });
    attended.finish()
}
