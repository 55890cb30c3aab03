//! One transformer layer with its norms before the sub-layers, rotary positions and a gated
//! feed-forward part (ModernBERT: Warner et al. 2024).

use super::layer::gelu;
use super::product::linear;
use super::{LayerDropout, drop, norm};
use crate::spec::{Rotary, Spec};
use burn::module::Module;
use burn::nn::{LayerNorm, Linear, LinearConfig};
use burn::tensor::activation::softmax;
use burn::tensor::{Bool, Device, Tensor, TensorData};
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
}

/// What all layers that see as far share in one batch.
pub struct Sight {
    /// What attention must not see, `[batch, 1, seq, seq]`.
    hidden: Tensor<4, Bool>,
    /// `[1, 1, seq, hidden / heads]`, as the next.
    cos: Tensor<4>,
    sin: Tensor<4>,
    /// Whether some token sees none at all, not even itself.
    has_blind_tokens: bool,
}

/// What the global layers see, and what the others do.
pub struct Sights {
    global: Sight,
    local: Sight,
}

impl Sights {
    /// # Shapes
    /// - is_padding: `[batch, 1, 1, seq]`
    pub fn new(rotary: &Rotary, size: usize, is_padding: &Tensor<4, Bool>) -> Self {
        let [batch, _, _, seq] = is_padding.dims();
        let hidden = is_padding.clone().expand([batch, 1, seq, seq]);
        let device = is_padding.device();
        let is_far: Vec<bool> =
            (0..seq * seq).map(|at| (at / seq).abs_diff(at % seq) > rotary.reach).collect();
        let is_far = Tensor::<1, Bool>::from_data(TensorData::new(is_far, [seq * seq]), &device)
            .reshape([1, 1, seq, seq])
            .expand([batch, 1, seq, seq]);
        let sight = |theta, hidden| Sight::new(&Rotation::new(theta, size, seq), hidden, &device);
        Self {
            global: sight(rotary.global_theta, hidden.clone()),
            local: sight(rotary.local_theta, hidden.bool_or(is_far)),
        }
    }

    /// The same for sequences of which some tokens may be too far from all that they are let see.
    pub fn with_blind_tokens(mut self, has_blind_tokens: bool) -> Self {
        self.local.has_blind_tokens = has_blind_tokens;
        self
    }

    pub fn of(&self, layer: &PreNormLayer) -> &Sight {
        if layer.is_global { &self.global } else { &self.local }
    }
}

impl Sight {
    fn new(rotation: &Rotation, hidden: Tensor<4, Bool>, device: &Device) -> Self {
        let (seq, half) = (rotation.positions(), rotation.size() / 2);
        let table = |values: &[f32]| {
            let values = TensorData::new(values.to_vec(), [seq * half]);
            let half = Tensor::<1>::from_data(values, device).reshape([1, 1, seq, half]);
            Tensor::cat(vec![half.clone(), half], 3)
        };
        Self {
            hidden,
            cos: table(rotation.cos()),
            sin: table(rotation.sin()),
            has_blind_tokens: false,
        }
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
        }
    }

    /// # Shapes
    /// - x: `[batch, seq, hidden]`
    /// - output: `[batch, seq, hidden]`
    pub fn forward(
        &self,
        x: Tensor<3>,
        sight: &Sight,
        dropout: LayerDropout,
        precision: Precision,
    ) -> Tensor<3> {
        let [batch, seq, hidden] = x.dims();
        let deep = |x: Tensor<2>| x.reshape([batch, seq, hidden]);
        let normed = match &self.attention_norm {
            Some(norm) => norm.forward(x.clone()),
            None => x.clone(),
        };
        let parts = linear(&self.qkv, normed, precision).chunk(3, 2); // [batch, seq, hidden] each
        let parts = parts.try_into().expect("three parts");
        let attended = self.attention(parts, sight, dropout); // [batch, seq, hidden]
        let attended = linear(&self.attention_output, attended, precision); // [batch, seq, hidden]
        let attended = drop(attended.reshape([batch * seq, hidden]), dropout.attention_output);
        let x = x + deep(attended); // [batch, seq, hidden]
        let flat = self.ffn_norm.forward(x.clone()).reshape([batch * seq, hidden]);
        let halves = linear(&self.intermediate, flat, precision).chunk(2, 1);
        let [inner, gates] = halves.try_into().expect("two halves"); // [batch · seq, ffn]
        let gated = drop(gelu(inner) * gates, dropout.ffn_output); // [batch · seq, ffn]
        x + deep(linear(&self.output, gated, precision)) // [batch, seq, hidden]
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
        let scores = query.matmul(key.swap_dims(2, 3)) / (size as f32).sqrt();
        let hidden_keys = sight.hidden.clone().expand([batch, heads, seq, seq]);
        let mut weights = softmax(scores.mask_fill(hidden_keys.clone(), -1e9), 3);
        if sight.has_blind_tokens {
            // As in PyTorch's attention, they take in nothing, and not the mean of all.
            weights = weights.mask_fill(hidden_keys, 0.0);
        }
        let weights = weights.reshape([batch * heads * seq, seq]);
        let weights = drop(weights, dropout.attention).reshape([batch, heads, seq, seq]);
        weights.matmul(split(value)).swap_dims(1, 2).reshape([batch, seq, hidden])
    }
}
