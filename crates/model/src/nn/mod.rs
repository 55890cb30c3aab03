//! The boxes of the figure: each in plain burn operations, with the shapes.

#[cfg(feature = "train")]
mod dropout;
mod embeddings;
mod encoder;
mod head;
mod layer;
mod product;

pub(crate) use embeddings::Embeddings;
pub(crate) use encoder::Encoder;
pub(crate) use head::Head;
pub(crate) use layer::{EncoderLayer, LayerDropout};

use crate::spec::Spec;
use burn::nn::{LayerNorm, LayerNormConfig};
use burn::tensor::Device;
#[cfg(feature = "train")]
use dropout::drop;

fn norm(spec: &Spec, device: &Device) -> LayerNorm {
    LayerNormConfig::new(spec.hidden).with_epsilon(spec.eps).init(device)
}

#[cfg(not(feature = "train"))]
fn drop(
    x: burn::tensor::Tensor<2>,
    _dropout: whetstone_kernels::Dropout,
) -> burn::tensor::Tensor<2> {
    x
}
