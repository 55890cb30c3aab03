//! The boxes of the figure: each in plain burn operations, with the shapes.

mod disentangled;
#[cfg(feature = "train")]
mod dropout;
mod embeddings;
mod encoder;
mod fused;
mod head;
mod layer;
mod max_sim;
mod pre_norm;
mod product;

pub(crate) use disentangled::{DisentangledLayer, DisentangledLayers};
pub(crate) use embeddings::Embeddings;
pub(crate) use encoder::{Encoder, Layers, PreNormLayers};
pub(crate) use fused::{HiddenKeys, normalise};
pub(crate) use head::{Head, HeadDropout};
pub(crate) use layer::{EncoderLayer, LayerDropout};
pub(crate) use max_sim::MaxSim;
pub(crate) use pre_norm::{PreNormLayer, Sights};

use crate::spec::{NormPlacement, Spec};
use burn::nn::{LayerNorm, LayerNormConfig};
use burn::tensor::Device;

fn norm(width: usize, spec: &Spec, device: &Device) -> LayerNorm {
    let bias = match spec.norm {
        NormPlacement::AfterResidual => true,
        NormPlacement::BeforeSublayer => false,
    };
    LayerNormConfig::new(width).with_epsilon(spec.eps).with_bias(bias).init(device)
}
