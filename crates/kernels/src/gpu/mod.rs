//! What burn computes on a GPU in many passes over memory, each in one: attention's weights, norms,
//! biases and activations, dropout, the rows of a table. Forward and backward; every sum has a fixed
//! order, so a run repeats to the bit.
//!
//! The kernels run on every device of cubecl.

mod activation;
mod attention;
#[cfg(feature = "train")]
mod autodiff;
mod columns;
mod device;
mod dropped;
mod heads;
mod joined;
mod lanes;
mod layer;
mod layer_ops;
mod norm;
mod norm_gradient;
mod op;
#[cfg(feature = "train")]
mod optimizer;
mod pack;
mod product;
mod reading;
mod rows;
mod thirds;
mod tokens;

#[cfg(feature = "train")]
pub use device::make_room;
pub use reading::Reading;
pub use rows::Taken;

#[cfg(feature = "train")]
use crate::AdamWStep;
use crate::dropout::Dropout;
use attention::Weighing;
use burn::backend::fusion::custom::StreamId;
use burn::backend::{Dispatch, DispatchDevice};
use burn::tensor::{Device, FloatDType, Int, Tensor};
use dropped::Drops;
use joined::{PARTS, Parts};
use layer::{LayerPlan, LayerTensors, LinearTensors, NormTensors};
use layer_ops::LayerOps;
use norm::Norming;
use op::DeviceKernels;

/// Whether the kernels run on this device.
pub fn serves(device: &Device) -> bool {
    matches!(device.clone().inner().as_dispatch(), DispatchDevice::Cube(_))
}

/// Does work in one stream, whichever thread it is done on. What one thread loads and another uses
/// would lie in two, and every use would wait for an event.
pub fn in_one_stream<T>(work: impl FnOnce() -> T) -> T {
    StreamId { value: u64::MAX }.executes(work)
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

/// x · matrix in f32, the factors rounded to `dtype`.
///
/// # Shapes
/// - x: `[rows, in]`
/// - matrix: `[in, out]`
/// - output: `[rows, out]`
pub fn multiply(x: Tensor<2>, matrix: Tensor<2>, dtype: FloatDType) -> Tensor<2> {
    let (x, matrix) = (x.into_dispatch(), matrix.into_dispatch());
    Tensor::from_dispatch(<Dispatch as LayerOps>::weighted(x, matrix, dtype))
}

/// A linear layer.
pub struct LinearWeights {
    /// `[in, out]`.
    pub matrix: Tensor<2>,
    /// `[out]`.
    pub bias: Tensor<1>,
}

/// The parameters of a transformer layer with its norms after the sub-layers.
pub struct LayerWeights {
    pub query: LinearWeights,
    pub key: LinearWeights,
    pub value: LinearWeights,
    pub attention_output: LinearWeights,
    pub intermediate: LinearWeights,
    pub output: LinearWeights,
    pub attention_norm: NormWeights,
    pub output_norm: NormWeights,
}

/// What is dropped in a layer: attention's weights, its output and that of the feed-forward part.
pub struct LayerDrops {
    pub attention: Dropout,
    pub attention_output: Dropout,
    pub output: Dropout,
}

/// How a layer is computed.
#[derive(Clone, Copy, Debug)]
pub struct LayerSettings {
    pub heads: usize,
    /// How far a token sees; None for all of the sequence.
    pub reach: Option<usize>,
    /// What the products read and what lies between them.
    pub dtype: FloatDType,
    /// Whether only the first token of each sequence comes out, though it sees them all.
    pub first_only: bool,
}

/// Runs a whole layer. Its input and output, the sums of norms and the gradients of parameters are
/// f32.
///
/// # Shapes
/// - x: `[batch, seq, hidden]`
/// - is_hidden: `[batch, seq]`
/// - output: `[batch, seq, hidden]`, or `[batch, 1, hidden]` of first tokens
pub fn layer(
    x: Tensor<3>,
    is_hidden: Tensor<2>,
    weights: LayerWeights,
    drops: &LayerDrops,
    settings: LayerSettings,
) -> Tensor<3> {
    let [_, seq, hidden] = x.dims();
    let plan = LayerPlan {
        heads: settings.heads,
        eps: weights.output_norm.eps,
        dtype: settings.dtype.into(),
        first_only: settings.first_only,
        weighing: Weighing {
            scale: 1.0 / ((hidden / settings.heads) as f32).sqrt(),
            reach: settings.reach.unwrap_or(seq),
            drops: Drops::of(drops.attention),
        },
        attention_drops: Drops::of(drops.attention_output),
        output_drops: Drops::of(drops.output),
    };
    let linear = |LinearWeights { matrix, bias }: LinearWeights| LinearTensors {
        matrix: matrix.into_dispatch(),
        bias: bias.into_dispatch(),
    };
    let norm = |NormWeights { gamma, beta, .. }: NormWeights| NormTensors {
        gamma: gamma.into_dispatch(),
        beta: beta.expect("these layers shift what they normalise").into_dispatch(),
    };
    let tensors = LayerTensors {
        query: linear(weights.query),
        key: linear(weights.key),
        value: linear(weights.value),
        attention_output: linear(weights.attention_output),
        intermediate: linear(weights.intermediate),
        output: linear(weights.output),
        attention_norm: norm(weights.attention_norm),
        output_norm: norm(weights.output_norm),
    };
    let (x, is_hidden) = (x.into_dispatch(), is_hidden.into_dispatch());
    let out = <Dispatch as LayerOps>::encoded(x, is_hidden, tensors, plan);
    Tensor::from_dispatch(out)
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

/// Joins vectors on a device without autodiff, with zeros up to `len`.
pub fn join(parts: Vec<Tensor<1>>, len: usize) -> Tensor<1> {
    let mut joined = Tensor::<1>::zeros([len], &parts[0].device()).into_dispatch();
    let mut start = 0;
    for parts in parts.chunks(PARTS) {
        let at = |index: usize| parts[index.min(parts.len() - 1)].clone().into_dispatch();
        let some = Parts::of(std::array::from_fn(at));
        joined = <Dispatch as DeviceKernels>::write_parts(joined, some, start, parts.len());
        start += parts.iter().map(|part| part.dims()[0]).sum::<usize>();
    }
    Tensor::from_dispatch(joined)
}

/// Σ x² of a vector without autodiff, `[1]`. The sum has a fixed order.
#[cfg(feature = "train")]
pub fn squares(x: Tensor<1>) -> Tensor<1> {
    Tensor::from_dispatch(<Dispatch as DeviceKernels>::squares(x.into_dispatch()))
}

/// One step of AdamW (Loshchilov & Hutter 2019) over flat weights and moments without autodiff. The
/// gradients have this norm, `[1]`, and are scaled down to `max_norm`, unless that is 0; a norm that
/// is no number changes nothing. `step.grad_scale` is ignored.
#[cfg(feature = "train")]
pub fn adamw(
    state: [Tensor<1>; 3],
    gradients: Tensor<1>,
    norm: Tensor<1>,
    (step, max_norm): (AdamWStep, f32),
) -> [Tensor<1>; 3] {
    let [weights, first, second] = state.map(Tensor::into_dispatch);
    let (gradients, norm) = (gradients.into_dispatch(), norm.into_dispatch());
    let (weights, first, second) = <Dispatch as DeviceKernels>::stepped(
        weights, first, second, gradients, norm, step, max_norm,
    );
    [weights, first, second].map(Tensor::from_dispatch)
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
