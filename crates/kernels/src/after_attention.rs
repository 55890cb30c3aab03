//! What follows attention in a layer: its output matrix, the feed-forward part and both LayerNorms.
//! All of it goes row by row, so one task takes a block of rows through everything and finds them
//! in its cache.

use super::gemm::{View, share};
use super::layer::{LayerSpec, LayerWeights, buffer};
use super::precision::Right;
use super::rows::{self, Dropout};
use rayon::prelude::*;

/// What it computes on the way, which the backward pass needs, row by row.
#[derive(Debug)]
pub struct Steps<T> {
    pub attention_normalised: T,
    pub attention_inv_std: T,
    pub middle: T,
    pub before_gelu: T,
    pub after_gelu: T,
    pub output_normalised: T,
    pub output_inv_std: T,
}

impl<T> Steps<T> {
    fn from_array(
        [
            attention_normalised,
            attention_inv_std,
            middle,
            before_gelu,
            after_gelu,
            output_normalised,
            output_inv_std,
        ]: [T; 7],
    ) -> Self {
        Self {
            attention_normalised,
            attention_inv_std,
            middle,
            before_gelu,
            after_gelu,
            output_normalised,
            output_inv_std,
        }
    }
}

/// The number of a block, its rows of attention's output and of the layer's input, and where the
/// layer's output goes.
type Block<'a> = (usize, ((&'a [f32], &'a [f32]), &'a mut [f32]));

/// A layer's weights for this part, made ready once for all blocks.
struct Part<'a> {
    weights: &'a LayerWeights<'a>,
    spec: &'a LayerSpec,
    attention_output: Right<'a>,
    intermediate: Right<'a>,
    output: Right<'a>,
    /// Rows of every block but the last.
    block: usize,
}

/// Returns the layer's output from attention's, `[rows, hidden]` like the layer's input at these
/// rows, and with `keep` the steps to it.
pub fn after_attention(
    attended: &[f32],
    residual: &[f32],
    weights: &LayerWeights,
    spec: &LayerSpec,
    keep: bool,
) -> (Vec<f32>, Option<Steps<Vec<f32>>>) {
    let (hidden, ffn) = (weights.output_bias.len(), weights.intermediate_bias.len());
    let rows = attended.len() / hidden;
    let right = |weight, [k, n]: [usize; 2]| spec.precision.right(View::rows(weight, n), [k, n]);
    let block = share(rows, 12);
    let part = Part {
        weights,
        spec,
        attention_output: right(weights.attention_output, [hidden, hidden]),
        intermediate: right(weights.intermediate, [hidden, ffn]),
        output: right(weights.output, [ffn, hidden]),
        block,
    };
    let mut out = buffer(rows * hidden);
    let inputs = attended.par_chunks(block * hidden).zip(residual.par_chunks(block * hidden));
    let blocks = inputs.zip(out.par_chunks_mut(block * hidden)).enumerate();
    if keep {
        let columns = [hidden, 1, hidden, ffn, ffn, hidden, 1];
        let mut kept = columns.map(|columns| buffer(rows * columns));
        let mut chunks: Vec<_> = kept
            .iter_mut()
            .zip(columns)
            .map(|(kept, columns)| kept.chunks_mut(block * columns))
            .collect();
        let mut next = |i: usize| chunks[i].next().expect("as many chunks as blocks");
        let steps: Vec<[_; 7]> =
            (0..rows.div_ceil(block)).map(|_| std::array::from_fn(&mut next)).collect();
        blocks.zip(steps).for_each(|(block, steps)| part.run(block, Steps::from_array(steps)));
        (out, Some(Steps::from_array(kept)))
    } else {
        let columns = [hidden, 1, hidden, 0, ffn, hidden, 1];
        let own = || columns.map(|columns| buffer(block * columns));
        blocks.for_each_init(own, |own, block| {
            part.run(block, Steps::from_array(own.each_mut().map(Vec::as_mut_slice)));
        });
        (out, None)
    }
}

impl Part<'_> {
    /// Where `before_gelu` is empty, it is not kept.
    fn run(&self, (index, ((attended, residual), out)): Block, steps: Steps<&mut [f32]>) {
        let (w, spec) = (self.weights, self.spec);
        let (hidden, ffn) = (w.output_bias.len(), w.intermediate_bias.len());
        let (first, rows) = (index * self.block, out.len() / hidden);
        let y = &mut steps.attention_normalised[..rows * hidden];
        let middle = &mut steps.middle[..rows * hidden];
        linear(attended, &self.attention_output, w.attention_output_bias, y);
        drop_in_place(y, spec.output_dropout, first * hidden);
        let norm = Norm { gamma: w.attention_gamma, beta: w.attention_beta, eps: spec.eps };
        norm.add_and_norm(y, residual, middle, steps.attention_inv_std);

        let after_gelu = &mut steps.after_gelu[..rows * ffn];
        linear(middle, &self.intermediate, w.intermediate_bias, after_gelu);
        if !steps.before_gelu.is_empty() {
            steps.before_gelu.copy_from_slice(after_gelu);
        }
        rows::gelu(after_gelu);
        let y = &mut steps.output_normalised[..rows * hidden];
        linear(after_gelu, &self.output, w.output_bias, y);
        drop_in_place(y, spec.ffn_dropout, first * hidden);
        let norm = Norm { gamma: w.output_gamma, beta: w.output_beta, eps: spec.eps };
        norm.add_and_norm(y, middle, out, steps.output_inv_std);
    }
}

/// y := x·W + bias.
fn linear(x: &[f32], weight: &Right, bias: &[f32], y: &mut [f32]) {
    y.chunks_exact_mut(bias.len()).for_each(|row| row.copy_from_slice(bias));
    weight.add_product(x, y);
}

fn drop_in_place(x: &mut [f32], dropout: Dropout, first: usize) {
    if dropout.is_active() {
        rows::dropout_in_place(x, dropout, first as u32);
    }
}

struct Norm<'a> {
    gamma: &'a [f32],
    beta: &'a [f32],
    eps: f32,
}

impl Norm<'_> {
    /// out := LayerNorm(y + residual); y becomes the normalised values, `inv_std` 1/σ of every row.
    fn add_and_norm(&self, y: &mut [f32], residual: &[f32], out: &mut [f32], inv_std: &mut [f32]) {
        let hidden = self.gamma.len();
        let rows = y
            .chunks_exact_mut(hidden)
            .zip(residual.chunks_exact(hidden))
            .zip(out.chunks_exact_mut(hidden));
        for (((y, residual), out), inv_std) in rows.zip(inv_std) {
            *inv_std = rows::layer_norm(y, residual, self.gamma, self.beta, out, self.eps);
        }
    }
}
