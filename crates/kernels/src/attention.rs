//! Self-attention within each sequence, one (sequence, head) at a time, with all its probabilities.

use super::block::{Block, Growing};
use super::gemm::{View, product};
use super::layer::LayerSpec;
use super::rows;
use rayon::prelude::*;

/// The longest sequence whose probabilities are computed at once and kept for the backward pass.
/// Longer ones are taken block by block of queries, in `windows.rs`: their memory would
/// grow with the square of the length, and computing probabilities again is cheap.
pub const KEPT_LENGTH: usize = 512;

/// How a layer's tokens and columns divide into sequences and heads.
pub struct Heads {
    hidden: usize,
    /// Columns per head.
    pub size: usize,
    /// Factor on the scores: 1/√size.
    pub scale: f32,
    /// Ordered by sequence, then by head.
    pub tasks: Vec<Task>,
}

/// One (sequence, head): where its values are in the buffers, and how many.
#[derive(Clone, Copy)]
pub struct Task {
    /// Offset of this head's first value in the queries, `[rows of all sequences, hidden]`.
    pub query_at: usize,
    /// The same in keys and values, `[tokens, hidden]`.
    pub at: usize,
    /// Number of queries.
    pub rows: usize,
    /// Number of keys and values.
    pub len: usize,
    /// Offset of its probabilities, `[rows, len]`.
    pub probabilities: usize,
}

impl Heads {
    pub fn new(spec: &LayerSpec, hidden: usize) -> Self {
        let size = hidden / spec.heads;
        let mut tasks = Vec::with_capacity(spec.starts.len() * spec.heads);
        let mut probabilities = 0;
        for (index, pair) in spec.starts.windows(2).enumerate() {
            let len = pair[1] - pair[0];
            let (first_row, rows) = if spec.first_only { (index, 1) } else { (pair[0], len) };
            for column in (0..hidden).step_by(size) {
                let (query_at, at) = (first_row * hidden + column, pair[0] * hidden + column);
                tasks.push(Task { query_at, at, rows, len, probabilities });
                probabilities += rows * len;
            }
        }
        Self { hidden, size, scale: 1.0 / (size as f32).sqrt(), tasks }
    }

    /// Returns the number of probabilities of all tasks.
    fn probabilities(&self) -> usize {
        self.tasks.last().map_or(0, |last| last.probabilities + last.rows * last.len)
    }

    /// Returns the number of probabilities of the largest task.
    pub fn largest(&self) -> usize {
        self.tasks.iter().map(|task| task.rows * task.len).max().unwrap_or(0)
    }

    /// Whether some sequence is too long for its probabilities to be computed at once.
    pub fn are_long(&self) -> bool {
        self.largest() > KEPT_LENGTH * KEPT_LENGTH
    }

    /// Returns the columns of a head in `[rows, hidden]`, from an offset on.
    pub fn head<'a>(&self, x: &'a [f32], at: usize) -> View<'a> {
        View::rows(&x[at..], self.hidden)
    }

    /// Splits `[rows, hidden]` into the parts of the tasks; `rows` gives the rows of each.
    pub fn split<'a>(&self, x: Block<'a>, rows: impl Fn(&Task) -> usize) -> Vec<Block<'a>> {
        let mut parts = Vec::with_capacity(self.tasks.len());
        let mut rest = x;
        for sequence in self.tasks.chunks_exact(self.hidden / self.size) {
            let (own, after) = rest.split_rows(rows(&sequence[0]));
            parts.append(&mut own.col_chunks(self.size));
            rest = after;
        }
        parts
    }

    /// Splits the one row of all probabilities into those of each task.
    fn split_probabilities<'a>(&self, all: Block<'a>) -> Vec<Block<'a>> {
        let mut parts = Vec::with_capacity(self.tasks.len());
        let mut rest = all;
        for &Task { rows, len, .. } in &self.tasks {
            let (own, after) = rest.split_cols(rows * len);
            parts.push(own.reshaped(rows, len));
            rest = after;
        }
        parts
    }
}

/// Computes softmax(Q·Kᵀ/√d)·V for every sequence and head. Returns the result and, if `keep` is
/// set, the probabilities.
pub fn attention(
    heads: &Heads,
    [q, k, v]: [&[f32]; 3],
    spec: &LayerSpec,
    keep: bool,
) -> (Vec<f32>, Vec<f32>) {
    let mut attended = Growing::new(q.len() / heads.hidden, heads.hidden);
    let mut kept = Growing::new(1, if keep { heads.probabilities() } else { 0 });
    let outputs = heads.split(attended.block(), |task| task.rows);
    let places: Vec<Option<Block>> = if keep {
        heads.split_probabilities(kept.block()).into_iter().map(Some).collect()
    } else {
        outputs.iter().map(|_| None).collect()
    };
    let largest = if keep { 0 } else { heads.largest() };
    let scratch = || (Growing::new(1, largest), Vec::new());
    let tasks = heads.tasks.par_iter().zip(outputs).zip(places);
    tasks.for_each_init(scratch, |(own, dropped), ((task, out), place)| {
        let Task { query_at, at, rows, len, probabilities } = *task;
        let scores =
            place.unwrap_or_else(|| own.block().split_cols(rows * len).0.reshaped(rows, len));
        let (query, key) = (heads.head(q, query_at), heads.head(k, at));
        let scores = product(scores, heads.size, query, key.transposed(), false).into_slice();
        scores.chunks_exact_mut(len).for_each(|row| rows::softmax(row, heads.scale));
        let weights = spec.attention_dropout.of(scores, probabilities, dropped);
        product(out, len, View::rows(weights, len), heads.head(v, at), false);
    });
    (attended.finish(), kept.finish())
}
