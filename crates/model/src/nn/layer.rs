//! One transformer layer.

use super::product::linear;
use super::{drop, norm};
use crate::spec::Spec;
use burn::module::Module;
use burn::nn::{LayerNorm, Linear, LinearConfig};
use burn::tensor::activation::softmax;
use burn::tensor::{Bool, Device, Tensor};
use whetstone_kernels::{Dropout, Precision};

/// Self-attention, then the feed-forward part, each added to its input and normalised.
#[derive(Module, Debug)]
pub struct EncoderLayer {
    pub(crate) query: Linear,
    pub(crate) key: Linear,
    pub(crate) value: Linear,
    pub(crate) attention_output: Linear,
    pub(crate) attention_norm: LayerNorm,
    pub(crate) intermediate: Linear,
    pub(crate) output: Linear,
    pub(crate) output_norm: LayerNorm,
    #[module(skip)]
    spec: Spec,
}

/// What is dropped in one layer.
#[derive(Clone, Copy, Debug)]
pub struct LayerDropout {
    /// Of the attention probabilities.
    pub attention: Dropout,
    /// Of the output of attention, before the residual.
    pub attention_output: Dropout,
    /// Of the output of the feed-forward part, before the residual.
    pub ffn_output: Dropout,
    /// Of the vectors of distances, where positions are relative.
    pub distances: Dropout,
}

impl EncoderLayer {
    pub fn init(spec: &Spec, device: &Device) -> Self {
        let linear = |from, to| LinearConfig::new(from, to).init(device);
        Self {
            query: linear(spec.hidden, spec.hidden),
            key: linear(spec.hidden, spec.hidden),
            value: linear(spec.hidden, spec.hidden),
            attention_output: linear(spec.hidden, spec.hidden),
            attention_norm: norm(spec.hidden, spec, device),
            intermediate: linear(spec.hidden, spec.ffn),
            output: linear(spec.ffn, spec.hidden),
            output_norm: norm(spec.hidden, spec, device),
            spec: *spec,
        }
    }

    /// # Shapes
    /// - x: `[batch, seq, hidden]`
    /// - is_padding: `[batch, 1, 1, seq]`
    /// - output: `[batch, seq, hidden]`
    pub fn forward(
        &self,
        x: Tensor<3>,
        is_padding: &Tensor<4, Bool>,
        dropout: LayerDropout,
        precision: Precision,
    ) -> Tensor<3> {
        let [query, key, value] = self.heads(&x, precision); // [batch, heads, seq, size] each
        let size = query.dims()[3];
        let scores = query.matmul(key.swap_dims(2, 3)) / (size as f32).sqrt();
        let attended = attend(scores, value, is_padding, dropout.attention);
        self.after_attention(x, attended, dropout, precision)
    }

    /// Queries, keys and values of every head, `[batch, heads, seq, size]` each.
    pub(super) fn heads(&self, x: &Tensor<3>, precision: Precision) -> [Tensor<4>; 3] {
        let [batch, seq, hidden] = x.dims();
        let heads = self.spec.heads;
        [&self.query, &self.key, &self.value].map(|layer| {
            let x = linear(layer, x.clone(), precision); // [batch, seq, hidden]
            x.reshape([batch, seq, heads, hidden / heads]).swap_dims(1, 2)
        })
    }

    /// What a layer does with its input `x` and what attention gave, `[batch, seq, hidden]` both.
    pub(super) fn after_attention(
        &self,
        x: Tensor<3>,
        attended: Tensor<3>,
        dropout: LayerDropout,
        precision: Precision,
    ) -> Tensor<3> {
        let [batch, seq, hidden] = x.dims();
        let flat = |x: Tensor<3>| x.reshape([batch * seq, hidden]);
        let deep = |x: Tensor<2>| x.reshape([batch, seq, hidden]);
        let product = |layer: &Linear, x: Tensor<3>| linear(layer, x, precision);
        let attended = product(&self.attention_output, attended); // [batch, seq, hidden]
        let attended = deep(drop(flat(attended), dropout.attention_output));
        let x = self.attention_norm.forward(attended + x); // [batch, seq, hidden]
        let inner = gelu(product(&self.intermediate, x.clone())); // [batch, seq, ffn]
        let ffn = product(&self.output, inner); // [batch, seq, hidden]
        let ffn = deep(drop(flat(ffn), dropout.ffn_output));
        self.output_norm.forward(ffn + x) // [batch, seq, hidden]
    }
}

/// Returns the values by the weights that the scores give them.
///
/// # Shapes
/// - scores: `[batch, heads, seq, seq]`
/// - value: `[batch, heads, seq, size]`
/// - is_padding: `[batch, 1, 1, seq]`
/// - output: `[batch, seq, hidden]`
pub(super) fn attend(
    scores: Tensor<4>,
    value: Tensor<4>,
    is_padding: &Tensor<4, Bool>,
    dropout: Dropout,
) -> Tensor<3> {
    let [batch, heads, seq, size] = value.dims();
    let scores = scores.mask_fill(is_padding.clone().expand([batch, heads, seq, seq]), -1e9);
    let weights = softmax(scores, 3).reshape([batch * heads * seq, seq]);
    let weights = drop(weights, dropout).reshape([batch, heads, seq, seq]);
    weights.matmul(value).swap_dims(1, 2).reshape([batch, seq, heads * size])
}

/// The exact GELU, written out: burn's own has the tanh approximation as its gradient on most
/// backends.
pub(super) fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    x.clone() * ((x / std::f32::consts::SQRT_2).erf() + 1.0) * 0.5
}
