//! The boxes of the figure: each in plain burn operations, with the shapes.

mod embeddings;
mod encoder;
mod head;
mod layer;
mod pre_norm;

pub(crate) use embeddings::Embeddings;
pub(crate) use encoder::{Encoder, Layers, PreNormLayers};
pub(crate) use head::{Head, HeadDropout};
pub(crate) use layer::{EncoderLayer, LayerDropout};
pub(crate) use pre_norm::{PreNormLayer, Sights};

use crate::spec::{NormPlacement, Spec};
use burn::nn::{LayerNorm, LayerNormConfig};
use burn::tensor::{Device, Tensor};
use whetstone_kernels::Dropout;

fn norm(width: usize, spec: &Spec, device: &Device) -> LayerNorm {
    let bias = match spec.norm {
        NormPlacement::AfterResidual => true,
        NormPlacement::BeforeSublayer => false,
    };
    LayerNormConfig::new(width).with_epsilon(spec.eps).with_bias(bias).init(device)
}

/// Multiplies by the factors of a dropout.
#[cfg(feature = "train")]
fn drop(x: Tensor<2>, dropout: Dropout) -> Tensor<2> {
    if dropout == Dropout::default() {
        return x;
    }
    let (dims, device) = (x.dims(), x.device());
    let factors = burn::tensor::TensorData::new(dropout.factors(dims[0] * dims[1]), dims);
    x * Tensor::<2>::from_data(factors, &device)
}

#[cfg(not(feature = "train"))]
fn drop(x: Tensor<2>, _dropout: Dropout) -> Tensor<2> {
    x
}
