//! The part of a layer after attention: its output matrix, the feed-forward part and both
//! LayerNorms. All of it works row by row, so one task takes a block of rows through everything
//! while they stay in its cache.

use super::block::{Block, Growing};
use super::gemm::{View, share};
use super::layer::{LayerSpec, LayerWeights};
use super::precision::Right;
use super::rows;
use rayon::prelude::*;

/// The intermediate values that the backward pass needs, row by row.
#[derive(Debug)]
#[cfg_attr(not(feature = "train"), allow(dead_code))]
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

/// A block of rows on its way through the layer.
struct Rows<'a> {
    /// The number of the first row.
    first: usize,
    /// Attention's output at these rows.
    attended: &'a [f32],
    /// The layer's input at these rows.
    residual: &'a [f32],
    /// Receives the layer's output.
    out: Block<'a>,
}

/// The weights of this part, prepared once for all blocks.
struct Part<'a> {
    weights: &'a LayerWeights<'a>,
    spec: &'a LayerSpec,
    attention_output: Right<'a>,
    intermediate: Right<'a>,
    output: Right<'a>,
}

/// Returns the layer's output from attention's; both are `[rows, hidden]`, like the layer's input
/// at these rows. With `keep`, also returns the intermediate values.
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
    };
    let mut out = Growing::new(rows, hidden);
    let inputs = attended.par_chunks(block * hidden).zip(residual.par_chunks(block * hidden));
    let outputs = out.block().row_chunks(block).into_par_iter();
    let blocks = inputs.zip(outputs).enumerate().map(|(index, ((attended, residual), out))| Rows {
        first: index * block,
        attended,
        residual,
        out,
    });
    if keep {
        let mut kept =
            [hidden, 1, hidden, ffn, ffn, hidden, 1].map(|cols| Growing::new(rows, cols));
        let mut chunks = kept.each_mut().map(|kept| kept.block().row_chunks(block).into_iter());
        let mut next = |i: usize| chunks[i].next().expect("as many chunks as blocks");
        let steps: Vec<[_; 7]> =
            (0..rows.div_ceil(block)).map(|_| std::array::from_fn(&mut next)).collect();
        blocks.zip(steps).for_each(|(rows, steps)| part.run(rows, Steps::from_array(steps)));
        (out.finish(), Some(Steps::from_array(kept.map(Growing::finish))))
    } else {
        let cols = [hidden, 1, hidden, 0, ffn, hidden, 1];
        let own = || cols.map(|cols| Growing::new(block, cols));
        blocks.for_each_init(own, |own, rows| {
            let own = own.each_mut().map(|own| own.block().split_rows(rows.out.rows()).0);
            part.run(rows, Steps::from_array(own));
        });
        (out.finish(), None)
    }
}

impl Part<'_> {
    /// `before_gelu` is kept only if it has columns.
    fn run(&self, Rows { first, attended, residual, out }: Rows, steps: Steps<Block>) {
        let (w, spec) = (self.weights, self.spec);
        let first = first * w.output_bias.len();
        let y = linear(
            attended,
            &self.attention_output,
            w.attention_output_bias,
            steps.attention_normalised,
        );
        spec.output_dropout.apply(y, first);
        let norm = Norm { gamma: w.attention_gamma, beta: w.attention_beta, eps: spec.eps };
        let middle = norm.add_and_norm(y, residual, steps.middle, steps.attention_inv_std);

        let after_gelu = linear(middle, &self.intermediate, w.intermediate_bias, steps.after_gelu);
        if !steps.before_gelu.is_empty() {
            steps.before_gelu.copy(after_gelu);
        }
        rows::gelu(after_gelu);
        let y = linear(after_gelu, &self.output, w.output_bias, steps.output_normalised);
        spec.ffn_dropout.apply(y, first);
        let norm = Norm { gamma: w.output_gamma, beta: w.output_beta, eps: spec.eps };
        norm.add_and_norm(y, middle, out, steps.output_inv_std);
    }
}

/// Writes x·W + bias to `y` and returns it.
fn linear<'a>(x: &[f32], weight: &Right, bias: &[f32], y: Block<'a>) -> &'a mut [f32] {
    let y = y.repeat(bias);
    weight.add_product(x, y);
    y
}

struct Norm<'a> {
    gamma: &'a [f32],
    beta: &'a [f32],
    eps: f32,
}

impl Norm<'_> {
    /// Writes LayerNorm(y + residual) to `out` and returns it. `y` becomes the normalised values
    /// and `inv_std` the 1/σ of every row.
    fn add_and_norm<'o>(
        &self,
        y: &mut [f32],
        residual: &[f32],
        out: Block<'o>,
        inv_std: Block,
    ) -> &'o mut [f32] {
        let Self { gamma, beta, eps } = *self;
        let mut rows = y.chunks_exact_mut(gamma.len()).zip(residual.chunks_exact(gamma.len()));
        let mut inv_std = inv_std.fill_rows(|_, _| ()).iter_mut();
        out.fill_rows(|_, out| {
            let (y, residual) = rows.next().expect("as many rows as the output has");
            let inv_std = inv_std.next().expect("as many as there are rows");
            *inv_std = rows::layer_norm(y, residual, gamma, beta, out, eps);
        })
    }
}
