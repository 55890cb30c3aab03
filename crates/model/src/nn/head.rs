//! From the first token's vector to a logit.

use super::drop;
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
    pub fn forward(&self, first: Tensor<2>, dropout: Dropout) -> Tensor<1> {
        let HeadKind::FirstTokenTanh = self.kind;
        let pooled = self.dense.forward(first).tanh(); // [batch, hidden]
        let logits = self.output.forward(drop(pooled, dropout)); // [batch, 1]
        logits.squeeze_dim(1) // [batch]
    }
}
