//! The part of a pre-norm layer after attention: its output matrix and the gated feed-forward part
//! (GeGLU: Shazeer 2020). One task takes a block of rows through everything.

use super::PreNormWeights;
use crate::block::{Block, Growing};
use crate::embeddings::Normalised;
use crate::gemm::{View, share};
use crate::layer::LayerSpec;
use crate::precision::Right;
use crate::rows;
use rayon::prelude::*;

/// Values on the way: normalised, 1/σ, normed, gates, gated.
type Steps<T> = [T; 5];

/// A block of rows on its way through the layer.
struct Rows<'a> {
    /// The number of the first row.
    first: usize,
    attended: &'a [f32],
    /// The layer's input at these rows.
    residual: &'a [f32],
    /// Receives the layer's output.
    out: Block<'a>,
}

/// The weights of this part, prepared once for all blocks.
struct Part<'a> {
    weights: &'a PreNormWeights<'a>,
    spec: &'a LayerSpec,
    attention_output: Right<'a>,
    intermediate: Right<'a>,
    output: Right<'a>,
}

/// Returns the layer's output from attention's; both are `[rows, hidden]`, like the layer's input
/// at these rows. With `keep`, also returns the norm's values and the gates.
pub fn after_attention(
    attended: &[f32],
    residual: &[f32],
    weights: &PreNormWeights,
    spec: &LayerSpec,
    keep: bool,
) -> (Vec<f32>, Option<(Normalised, Vec<f32>)>) {
    let (hidden, ffn) = (weights.hidden(), weights.ffn());
    let (rows, block) = (attended.len() / hidden, share(attended.len() / hidden, 12));
    let right = |weight, [k, n]: [usize; 2]| spec.precision.right(View::rows(weight, n), [k, n]);
    let part = Part {
        weights,
        spec,
        attention_output: right(weights.attention_output, [hidden, hidden]),
        intermediate: right(weights.intermediate, [hidden, 2 * ffn]),
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
    let mut kept = [hidden, 1, 2 * ffn].map(|cols| Growing::new(if keep { rows } else { 0 }, cols));
    let own = || [hidden, 1, hidden, 2 * ffn, ffn].map(|cols| Growing::new(block, cols));
    if keep {
        let [values, inv_stds, gates] = kept.each_mut().map(|kept| kept.block().row_chunks(block));
        let places = values.into_par_iter().zip(inv_stds).zip(gates);
        blocks.zip(places).for_each_init(own, |own, (rows, ((values, inv_std), gates))| {
            let [_, _, normed, _, gated] = fronts(own, rows.out.rows());
            part.run(rows, [values, inv_std, normed, gates, gated]);
        });
    } else {
        blocks.for_each_init(own, |own, rows| {
            let steps = fronts(own, rows.out.rows());
            part.run(rows, steps);
        });
    }
    let [values, inv_std, gates] = kept.map(Growing::finish);
    (out.finish(), keep.then_some((Normalised { values, inv_std }, gates)))
}

/// Returns the first rows of each buffer.
fn fronts(own: &mut Steps<Growing>, rows: usize) -> Steps<Block<'_>> {
    own.each_mut().map(|own| own.block().split_rows(rows).0)
}

impl Part<'_> {
    fn run(&self, Rows { first, attended, residual, out }: Rows, steps: Steps<Block>) {
        let (w, spec) = (self.weights, self.spec);
        let (hidden, ffn) = (w.hidden(), w.ffn());
        let [normalised, inv_std, normed, gates, gated] = steps;
        let out = out.fill_rows(|_, _| ());
        self.attention_output.add_product(attended, out);
        spec.output_dropout.apply(out, first * hidden);
        rows::add(out, residual);

        let normalised = normalised.fill_rows(|_, _| ());
        let inv_std = inv_std.fill_rows(|_, _| ());
        let normed = normed.fill_rows(|i, normed| {
            let row = i * hidden..(i + 1) * hidden;
            let normalised = &mut normalised[row.clone()];
            inv_std[i] = rows::norm(&out[row], w.ffn_gamma, normalised, normed, spec.eps);
        });
        let gates = gates.fill_rows(|_, _| ());
        self.intermediate.add_product(normed, gates);
        let gated =
            gated.fill_rows(|i, gated| rows::geglu(&gates[i * 2 * ffn..][..2 * ffn], gated));
        spec.ffn_dropout.apply(gated, first * ffn);
        self.output.add_product(gated, out);
    }
}
