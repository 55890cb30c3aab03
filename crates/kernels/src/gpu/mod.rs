//! What burn computes on a GPU in many passes over memory, each in one: attention's weights, norms,
//! biases and activations, dropout, the rows of a table. Forward and backward; every sum has a fixed
//! order, so a run repeats to the bit.
//!
//! The kernels run on every device of cubecl. They take f32.

mod activation;
mod attention;
#[cfg(feature = "train")]
mod autodiff;
mod columns;
mod device;
mod dropped;
mod lanes;
mod layer_ops;
mod norm;
mod op;
mod rows;

pub use rows::Taken;

use crate::dropout::Dropout;
use attention::Weighing;
use burn::backend::{Dispatch, DispatchDevice};
use burn::tensor::{Device, Int, Tensor};
use dropped::Drops;
use layer_ops::LayerOps;
use norm::Norming;

/// Whether the kernels run on this device.
pub fn serves(device: &Device) -> bool {
    matches!(device.clone().inner().as_dispatch(), DispatchDevice::Cube(_))
}

/// Returns the weights that attention gives its values: the softmax of the scaled scores over the
/// keys that a token sees, after dropout. A token that sees none has weights of 0.
///
/// # Shapes
/// - scores: `[batch, heads, seq, seq]`
/// - is_hidden: `[batch, seq]`, 1 for keys that nobody sees, else 0
/// - output: `[batch, heads, seq, seq]`
///
/// `reach` is how many places away a token sees; None for all.
pub fn attention_weights(
    scores: Tensor<4>,
    is_hidden: Tensor<2>,
    (scale, reach): (f32, Option<usize>),
    dropout: Dropout,
) -> Tensor<4> {
    let reach = reach.unwrap_or(scores.dims()[3]);
    let weighing = Weighing { scale, reach, drops: Drops::of(dropout) };
    let (scores, is_hidden) = (scores.into_dispatch(), is_hidden.into_dispatch());
    Tensor::from_dispatch(<Dispatch as LayerOps>::weighed(scores, is_hidden, weighing))
}

/// Returns the values by these weights. The backward pass computes the weights again, so that none
/// are kept.
///
/// # Shapes
/// - query, key, value, output: `[batch, heads, seq, size]`
/// - is_hidden: `[batch, seq]`
pub fn attention(
    [query, key, value]: [Tensor<4>; 3],
    is_hidden: Tensor<2>,
    (scale, reach): (f32, Option<usize>),
    dropout: Dropout,
) -> Tensor<4> {
    let reach = reach.unwrap_or(key.dims()[2]);
    let weighing = Weighing { scale, reach, drops: Drops::of(dropout) };
    let [query, key, value] = [query, key, value].map(Tensor::into_dispatch);
    let is_hidden = is_hidden.into_dispatch();
    Tensor::from_dispatch(<Dispatch as LayerOps>::attended(query, key, value, is_hidden, weighing))
}

/// Gamma and beta of a layer norm, `[columns]`, and what is added to the variance.
pub struct NormWeights {
    pub gamma: Tensor<1>,
    pub beta: Option<Tensor<1>>,
    pub eps: f32,
}

/// Normalises rows (Ba et al. 2016).
///
/// # Shapes
/// - x, output: `[rows, columns]`
pub fn layer_norm(x: Tensor<2>, weights: NormWeights) -> Tensor<2> {
    let none = weights.gamma.clone().into_dispatch();
    let norming = Norming {
        eps: weights.eps,
        is_sum: false,
        has_beta: weights.beta.is_some(),
        drops: Drops::default(),
    };
    let beta = weights.beta.map_or(none.clone(), Tensor::into_dispatch);
    let gamma = weights.gamma.into_dispatch();
    let x = x.into_dispatch();
    let out = <Dispatch as LayerOps>::normed(x, none.clone(), none, gamma, beta, norming);
    Tensor::from_dispatch(out)
}

/// Normalises rows of dropout(x + bias) + residual.
///
/// # Shapes
/// - x, residual, output: `[rows, columns]`
/// - bias: `[columns]`
pub fn add_and_norm(
    (x, bias): (Tensor<2>, Tensor<1>),
    residual: Tensor<2>,
    weights: NormWeights,
    dropout: Dropout,
) -> Tensor<2> {
    let norming = Norming {
        eps: weights.eps,
        is_sum: true,
        has_beta: weights.beta.is_some(),
        drops: Drops::of(dropout),
    };
    let gamma = weights.gamma.into_dispatch();
    let beta = weights.beta.map_or(gamma.clone(), Tensor::into_dispatch);
    let (x, bias, residual) = (x.into_dispatch(), bias.into_dispatch(), residual.into_dispatch());
    let out = <Dispatch as LayerOps>::normed(x, bias, residual, gamma, beta, norming);
    Tensor::from_dispatch(out)
}

/// x + bias. The bias's gradient is what this is for: burn adds it up on a few threads.
///
/// # Shapes
/// - x, output: `[rows, columns]`
/// - bias: `[columns]`
pub fn add_bias(x: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
    let (x, bias) = (x.into_dispatch(), bias.into_dispatch());
    Tensor::from_dispatch(<Dispatch as LayerOps>::with_bias(x, bias))
}

/// The exact GELU of x + bias, with shapes as for [`add_bias`].
pub fn add_bias_and_gelu(x: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
    let (x, bias) = (x.into_dispatch(), bias.into_dispatch());
    Tensor::from_dispatch(<Dispatch as LayerOps>::activated(x, bias))
}

/// Drops the values that the CPU's kernels drop in a tensor of this shape, and scales the others.
pub fn drop<const D: usize>(x: Tensor<D>, dropout: Dropout) -> Tensor<D> {
    match Drops::of(dropout) {
        drops if drops.any() => {
            Tensor::from_dispatch(<Dispatch as LayerOps>::thinned(x.into_dispatch(), drops))
        }
        _ => x,
    }
}

/// Takes rows of a table by their numbers. Places that `taken` leaves out give no gradient.
///
/// # Shapes
/// - table: `[rows, columns]`
/// - ids: `[taken]`
/// - output: `[taken, columns]`
pub fn take_rows(table: Tensor<2>, ids: Tensor<1, Int>, taken: Taken<Tensor<1, Int>>) -> Tensor<2> {
    let Taken { places, stretches, starts, rows } = taken;
    let [ids, places, stretches, starts, rows] =
        [ids, places, stretches, starts, rows].map(Tensor::into_dispatch);
    let table = table.into_dispatch();
    let out = <Dispatch as LayerOps>::taken(table, ids, places, stretches, starts, rows);
    Tensor::from_dispatch(out)
}
