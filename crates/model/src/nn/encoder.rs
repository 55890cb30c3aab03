//! Embeddings and layers, without a head.

use super::{DisentangledLayers, Embeddings, EncoderLayer, PreNormLayer, norm};
use crate::spec::{FeedForward, NormPlacement, Positions, Rotary, Spec};
use burn::module::Module;
use burn::nn::LayerNorm;
use burn::tensor::Device;

/// The part that an engine runs; see [`crate::engine`].
#[derive(Module, Debug)]
pub struct Encoder {
    pub(crate) embeddings: Embeddings,
    pub(crate) layers: Layers,
    /// After the last layer, where norms stand before the sub-layers.
    pub(crate) final_norm: Option<LayerNorm>,
    #[module(skip)]
    pub(crate) spec: Spec,
}

/// The layers of an encoder, all of one kind.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "a network has one")]
pub enum Layers {
    PostNorm(Vec<EncoderLayer>),
    PreNorm(PreNormLayers),
    Disentangled(DisentangledLayers),
}

/// Layers that share their rotary positions.
#[derive(Module, Debug)]
pub struct PreNormLayers {
    pub(crate) layers: Vec<PreNormLayer>,
    #[module(skip)]
    pub(crate) rotary: Rotary,
}

impl Encoder {
    pub fn init(spec: &Spec, device: &Device) -> Self {
        let (layers, final_norm) = match (spec.norm, spec.feed_forward, spec.positions) {
            (NormPlacement::AfterResidual, FeedForward::Gelu, Positions::Absolute { .. }) => {
                let layers = (0..spec.layers).map(|_| EncoderLayer::init(spec, device));
                (Layers::PostNorm(layers.collect()), None)
            }
            (NormPlacement::BeforeSublayer, FeedForward::GeGlu, Positions::Rotary(rotary)) => {
                let layer = |index| PreNormLayer::init(spec, &rotary, index, device);
                let layers = (0..spec.layers).map(layer).collect();
                let layers = Layers::PreNorm(PreNormLayers { layers, rotary });
                (layers, Some(norm(spec.hidden, spec, device)))
            }
            (NormPlacement::AfterResidual, FeedForward::Gelu, Positions::Relative(relative)) => {
                (Layers::Disentangled(DisentangledLayers::init(spec, &relative, device)), None)
            }
            other => unreachable!("no family has layers of the kind {other:?}"),
        };
        Self { embeddings: Embeddings::init(spec, device), layers, final_norm, spec: *spec }
    }
}
