//! From a sequence's vector to a logit.

use super::fused::{dense, drop, gelu};
use super::norm;
use crate::spec::{HeadKind, Pooling, Spec};
use burn::module::Module;
use burn::nn::{LayerNorm, Linear, LinearConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use whetstone_kernels::Dropout;

/// Two linear layers.
#[derive(Module, Debug)]
pub struct Head {
    pub(crate) dense: Linear,
    /// Between the two, where a family has it.
    pub(crate) norm: Option<LayerNorm>,
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
    /// Which vector of a sequence the head reads.
    pub fn pooling(&self) -> Pooling {
        self.kind.pooling()
    }

    pub fn init(spec: &Spec, device: &Device) -> Self {
        let (bias, is_normed) = match spec.head {
            HeadKind::PooledGeluNorm { bias, .. } => (bias, true),
            _ => (true, false),
        };
        Self {
            dense: LinearConfig::new(spec.hidden, spec.hidden).with_bias(bias).init(device),
            norm: is_normed.then(|| norm(spec.hidden, spec, device)),
            output: LinearConfig::new(spec.hidden, 1).init(device),
            kind: spec.head,
        }
    }

    /// # Shapes
    /// - vector: `[batch, hidden]`
    /// - output: `[batch]`
    pub fn forward(&self, vector: Tensor<2>, dropout: HeadDropout) -> Tensor<1> {
        let vector = match self.kind {
            HeadKind::FirstTokenTanh
            | HeadKind::FirstTokenGelu
            | HeadKind::FirstTokenRelu
            | HeadKind::PooledGeluNorm { .. } => vector,
            HeadKind::FirstTokenDropTanh | HeadKind::FirstTokenDropGelu => {
                drop(vector, dropout.input)
            }
        }; // [batch, hidden]
        let inner = dense(&self.dense, vector); // [batch, hidden]
        let inner = match self.kind {
            HeadKind::FirstTokenTanh | HeadKind::FirstTokenDropTanh => inner.tanh(),
            HeadKind::FirstTokenGelu
            | HeadKind::FirstTokenDropGelu
            | HeadKind::PooledGeluNorm { .. } => gelu(inner),
            HeadKind::FirstTokenRelu => relu(inner),
        }; // [batch, hidden]
        let inner = match &self.norm {
            Some(norm) => norm.forward(inner),
            None => inner,
        }; // [batch, hidden]
        let logits = dense(&self.output, drop(inner, dropout.inner)); // [batch, 1]
        logits.squeeze_dim(1) // [batch]
    }
}
