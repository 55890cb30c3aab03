//! From the first token's vector to a logit.

use super::drop;
use super::layer::gelu;
use crate::spec::{HeadKind, Spec};
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use whetstone_kernels::Dropout;

/// Two linear layers.
#[derive(Module, Debug)]
pub struct Head {
    pub(crate) dense: Linear,
    pub(crate) output: Linear,
    #[module(skip)]
    kind: HeadKind,
}

/// What is dropped in the head.
#[derive(Clone, Copy, Debug)]
pub struct HeadDropout {
    /// Of the encoder's vector. BERT drops nothing here.
    pub input: Dropout,
    /// Of the vector between the two linear layers.
    pub inner: Dropout,
}

impl Head {
    pub fn init(spec: &Spec, device: &Device) -> Self {
        Self {
            dense: LinearConfig::new(spec.hidden, spec.hidden).init(device),
            output: LinearConfig::new(spec.hidden, 1).init(device),
            kind: spec.head,
        }
    }

    /// # Shapes
    /// - first: `[batch, hidden]`
    /// - output: `[batch]`
    pub fn forward(&self, first: Tensor<2>, dropout: HeadDropout) -> Tensor<1> {
        let first = match self.kind {
            HeadKind::FirstTokenTanh => first,
            HeadKind::FirstTokenDropTanh | HeadKind::FirstTokenDropGelu => {
                drop(first, dropout.input)
            }
        }; // [batch, hidden]
        let inner = self.dense.forward(first); // [batch, hidden]
        let inner = match self.kind {
            HeadKind::FirstTokenTanh | HeadKind::FirstTokenDropTanh => inner.tanh(),
            HeadKind::FirstTokenDropGelu => gelu(inner),
        }; // [batch, hidden]
        let logits = self.output.forward(drop(inner, dropout.inner)); // [batch, 1]
        logits.squeeze_dim(1) // [batch]
    }
}
