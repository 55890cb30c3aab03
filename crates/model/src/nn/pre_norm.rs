//! One transformer layer with its norms before the sub-layers, rotary positions and a gated
//! feed-forward part (ModernBERT: Warner et al. 2024).

use super::fused::{HiddenKeys, attention, drop, gelu, normalise};
use super::layer::wanted;
use super::product::linear;
use super::{LayerDropout, norm};
use crate::spec::{Rotary, Spec};
use burn::module::Module;
use burn::nn::{LayerNorm, Linear, LinearConfig};
use burn::tensor::{Device, Tensor, TensorData};
use whetstone_kernels::{Precision, Rotation};

/// Self-attention, then the feed-forward part. Each reads its input normalised and is added to it.
#[derive(Module, Debug)]
pub struct PreNormLayer {
    /// None in the first layer, since the embeddings are normalised already.
    pub(crate) attention_norm: Option<LayerNorm>,
    /// Query, key and value side by side.
    pub(crate) qkv: Linear,
    pub(crate) attention_output: Linear,
    pub(crate) ffn_norm: LayerNorm,
    /// What goes through GELU, then the gates.
    pub(crate) intermediate: Linear,
    pub(crate) output: Linear,
    #[module(skip)]
    heads: usize,
    /// Whether attention sees the whole sequence.
    #[module(skip)]
    pub(crate) is_global: bool,
    #[module(skip)]
    eps: f64,
}

/// What all layers that see as far share in one batch.
pub struct Sight {
    hidden: HiddenKeys,
    /// `[1, 1, seq, hidden / heads]`, as the next.
    cos: Tensor<4>,
    sin: Tensor<4>,
}

/// What the global layers see, and what the others do.
pub struct Sights {
    global: Sight,
    local: Sight,
}

impl Sights {
    /// With blind tokens, some may be too far from all that they are let see.
    pub fn new(rotary: &Rotary, size: usize, hidden: HiddenKeys, has_blind_tokens: bool) -> Self {
        let sight = |theta, hidden: HiddenKeys| {
            Sight::new(&Rotation::new(theta, size, hidden.seq()), hidden)
        };
        let local = hidden.within(rotary.reach, has_blind_tokens);
        Self { global: sight(rotary.global_theta, hidden), local: sight(rotary.local_theta, local) }
    }

    pub fn of(&self, layer: &PreNormLayer) -> &Sight {
        if layer.is_global { &self.global } else { &self.local }
    }
}

impl Sight {
    fn new(rotation: &Rotation, hidden: HiddenKeys) -> Self {
        let (seq, half) = (rotation.positions(), rotation.size() / 2);
        let device = hidden.device();
        let table = |values: &[f32]| {
            let values = TensorData::new(values.to_vec(), [seq * half]);
            let half = Tensor::<1>::from_data(values, &device).reshape([1, 1, seq, half]);
            Tensor::cat(vec![half.clone(), half], 3)
        };
        Self { hidden, cos: table(rotation.cos()), sin: table(rotation.sin()) }
    }

    /// Turns queries or keys, `[batch, heads, seq, hidden / heads]`.
    fn turn(&self, x: Tensor<4>) -> Tensor<4> {
        let halves = x.clone().chunk(2, 3);
        let [first, second] = halves.try_into().expect("two halves");
        let turned: Tensor<4> = Tensor::cat(vec![second.neg(), first], 3);
        x * self.cos.clone() + turned * self.sin.clone()
    }
}

impl PreNormLayer {
    pub fn init(spec: &Spec, rotary: &Rotary, index: usize, device: &Device) -> Self {
        let linear = |from, to| LinearConfig::new(from, to).with_bias(false).init(device);
        Self {
            attention_norm: (index > 0).then(|| norm(spec.hidden, spec, device)),
            qkv: linear(spec.hidden, 3 * spec.hidden),
            attention_output: linear(spec.hidden, spec.hidden),
            ffn_norm: norm(spec.hidden, spec, device),
            intermediate: linear(spec.hidden, 2 * spec.ffn),
            output: linear(spec.ffn, spec.hidden),
            heads: spec.heads,
            is_global: rotary.is_global(index),
            eps: spec.eps,
        }
    }

    /// # Shapes
    /// - x: `[batch, seq, hidden]`
    /// - output: `[batch, seq, hidden]`, or `[batch, 1, hidden]` if only first tokens are wanted
    pub fn forward(
        &self,
        x: Tensor<3>,
        sight: &Sight,
        dropout: LayerDropout,
        (precision, first_only): (Precision, bool),
    ) -> Tensor<3> {
        let dims @ [batch, seq, hidden] = x.dims();
        let rows = x.clone().reshape([batch * seq, hidden]);
        let normed = match &self.attention_norm {
            Some(norm) => normalise((norm, self.eps), rows),
            None => rows,
        };
        let parts = linear(&self.qkv, normed, precision).chunk(3, 1); // [batch · seq, hidden] each
        let parts: [Tensor<2>; 3] = parts.try_into().expect("three parts");
        let attended = self.attention(parts.map(|x| x.reshape(dims)), sight, dropout);
        let [x, attended] = [x, attended].map(|x| wanted(x, first_only));
        let dims @ [_, tokens, _] = x.dims();
        let [x, attended] = [x, attended].map(|x| x.reshape([batch * tokens, hidden]));
        let attended = linear(&self.attention_output, attended, precision); // [batch · tokens, hidden]
        let x = x + drop(attended, dropout.attention_output);
        let normed = normalise((&self.ffn_norm, self.eps), x.clone());
        let halves = linear(&self.intermediate, normed, precision).chunk(2, 1);
        let [inner, gates] = halves.try_into().expect("two halves"); // [batch · tokens, ffn]
        let gated = drop(gelu(inner) * gates, dropout.ffn_output); // [batch · tokens, ffn]
        (x + linear(&self.output, gated, precision)).reshape(dims)
    }

    fn attention(
        &self,
        [query, key, value]: [Tensor<3>; 3],
        sight: &Sight,
        dropout: LayerDropout,
    ) -> Tensor<3> {
        let [batch, seq, hidden] = query.dims();
        let (heads, size) = (self.heads, hidden / self.heads);
        let split = |x: Tensor<3>| x.reshape([batch, seq, heads, size]).swap_dims(1, 2);
        let (query, key) = (sight.turn(split(query)), sight.turn(split(key)));
        let scale = 1.0 / (size as f32).sqrt();
        attention([query, key, split(value)], scale, &sight.hidden, dropout.attention)
    }
}
