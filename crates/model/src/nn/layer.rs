//! One transformer layer.

#[cfg(feature = "gpu")]
use super::fused;
use super::fused::{HiddenKeys, add_and_normalise, add_bias_and_gelu, attention};
use super::norm;
use super::product::{linear, product};
use crate::spec::Spec;
use burn::module::Module;
use burn::nn::{LayerNorm, Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
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
    pub(super) spec: Spec,
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
    /// - output: `[batch, seq, hidden]`, or `[batch, 1, hidden]` if only first tokens are wanted
    pub fn forward(
        &self,
        x: Tensor<3>,
        hidden: &HiddenKeys,
        dropout: LayerDropout,
        (precision, first_only): (Precision, bool),
    ) -> Tensor<3> {
        #[cfg(feature = "gpu")]
        if let Some(out) = fused::layer(self, &x, hidden, dropout, (precision, first_only)) {
            return out;
        }
        let heads = self.heads(&x, precision); // [batch, heads, seq, size] each
        let scale = 1.0 / (heads[0].dims()[3] as f32).sqrt();
        let attended = attention(heads, scale, hidden, dropout.attention);
        self.after_attention(x, attended, dropout, (precision, first_only))
    }

    /// Queries, keys and values of every head, `[batch, heads, seq, size]` each.
    pub(super) fn heads(&self, x: &Tensor<3>, precision: Precision) -> [Tensor<4>; 3] {
        let [batch, seq, hidden] = x.dims();
        let heads = self.spec.heads;
        let flat = x.clone().reshape([batch * seq, hidden]);
        [&self.query, &self.key, &self.value].map(|layer| {
            let x = linear(layer, flat.clone(), precision); // [batch · seq, hidden]
            x.reshape([batch, seq, heads, hidden / heads]).swap_dims(1, 2)
        })
    }

    /// What a layer does with its input `x` and what attention gave, `[batch, seq, hidden]` both.
    pub(super) fn after_attention(
        &self,
        x: Tensor<3>,
        attended: Tensor<3>,
        dropout: LayerDropout,
        (precision, first_only): (Precision, bool),
    ) -> Tensor<3> {
        let [x, attended] = [x, attended].map(|x| wanted(x, first_only));
        let [batch, seq, hidden] = x.dims();
        let [x, attended] = [x, attended].map(|x| x.reshape([batch * seq, hidden]));
        let product = |layer: &Linear, x: Tensor<2>| product(layer, x, precision);
        let sum = (&self.attention_output, product(&self.attention_output, attended));
        let norm = (&self.attention_norm, self.spec.eps);
        let x = add_and_normalise(sum, x, norm, dropout.attention_output); // [batch · seq, hidden]
        let inner = product(&self.intermediate, x.clone()); // [batch · seq, ffn]
        let inner = add_bias_and_gelu(&self.intermediate, inner);
        let sum = (&self.output, product(&self.output, inner)); // [batch · seq, hidden]
        let norm = (&self.output_norm, self.spec.eps);
        let x = add_and_normalise(sum, x, norm, dropout.ffn_output);
        x.reshape([batch, seq, hidden])
    }
}

/// Of `[batch, seq, hidden]` the tokens that a layer computes: all, or `[batch, 1, hidden]`.
pub(super) fn wanted(x: Tensor<3>, first_only: bool) -> Tensor<3> {
    if first_only { x.narrow(1, 0, 1) } else { x }
}
