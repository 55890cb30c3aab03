//! From the last layer's vectors to the logit.

use super::graph::int;
use super::network::{Inputs, Writer};
use super::proto::DataType;
use crate::error::Result;
use whetstone_model::{HeadKind, Pooling};

impl Writer<'_> {
    /// The pooled vector through two linear layers, `[batch, 1]`. They stay out of the 8 bits: they
    /// cost nothing, and their errors would go straight into the logit.
    pub fn head(&mut self, x: &str, inputs: &Inputs) -> Result<String> {
        let (names, kind, hidden) = (self.names, self.spec.head, self.spec.hidden);
        let scope = names.head_dense;
        let x = match kind.pooling() {
            Pooling::FirstToken => x.to_owned(),
            Pooling::Mean => self.mean(x, inputs),
        }; // [batch, seq or 1, hidden]
        let first = self.graph.integers("first", &[], &[0]);
        let vector = self.graph.node("Gather", scope, &[&x, &first], &[int("axis", 1)]); // [batch, hidden]
        let has_bias = !matches!(kind, HeadKind::PooledGeluNorm { bias: false, .. });
        let inner = self.head_linear(scope, &vector, hidden, has_bias)?; // [batch, hidden]
        let inner = match kind {
            HeadKind::FirstTokenTanh | HeadKind::FirstTokenDropTanh => {
                self.graph.node("Tanh", scope, &[&inner], &[])
            }
            HeadKind::FirstTokenGelu
            | HeadKind::FirstTokenDropGelu
            | HeadKind::PooledGeluNorm { .. } => self.gelu(scope, &inner),
            HeadKind::FirstTokenRelu => self.graph.node("Relu", scope, &[&inner], &[]),
            _ => return Err(self.unknown("a head")),
        };
        let inner = match (kind, &names.pre_norm) {
            (HeadKind::PooledGeluNorm { .. }, Some(pre)) => {
                self.norm(pre.head_norm, &inner, hidden)?
            }
            _ => inner,
        };
        self.head_linear(names.head_output, &inner, 1, true)
    }

    fn head_linear(&mut self, scope: &str, x: &str, out: usize, has_bias: bool) -> Result<String> {
        let weight = self.constant(&format!("{scope}.weight"), &[out, self.spec.hidden])?;
        let bias = match has_bias {
            true => Some(self.constant(&format!("{scope}.bias"), &[out])?),
            false => None,
        };
        let inputs: Vec<&str> = [x, &weight].into_iter().chain(bias.as_deref()).collect();
        Ok(self.graph.node("Gemm", scope, &inputs, &[int("transB", 1)]))
    }

    /// The mean of the vectors of tokens, `[batch, 1, hidden]`. As a product with the share of each
    /// token it needs no sum that f16 may not hold.
    fn mean(&mut self, x: &str, inputs: &Inputs) -> String {
        let scope = "mean";
        let graph = &mut self.graph;
        let axis = graph.integers("axis_1", &[1], &[1]);
        let to = [int("to", DataType::Float as i64)];
        let tokens = graph.node("Cast", scope, &[&inputs.mask], &to); // [batch, seq]
        let count = graph.node("ReduceSum", scope, &[&tokens, &axis], &[]); // [batch, 1]
        let shares = graph.node("Div", scope, &[&tokens, &count], &[]);
        let shares = graph.narrowed(scope, &shares);
        let shares = graph.unsqueeze(scope, &shares, 1); // [batch, 1, seq]
        graph.node("MatMul", scope, &[&shares, x], &[])
    }
}
