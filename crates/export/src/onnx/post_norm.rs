//! Layers with a norm after each residual.

use super::graph::{int, ints};
use super::network::Writer;
use crate::error::Result;
use whetstone_model::Spec;

/// The order of axes that makes `[batch, seq, heads, size]` a row for each token in each head.
pub const BY_TOKEN: [i64; 4] = [0, 2, 1, 3];
/// The order that makes it a column for each token.
const BY_COLUMN: [i64; 4] = [0, 2, 3, 1];

impl Writer<'_> {
    /// # Shapes
    /// - x: `[batch, seq, hidden]`
    /// - padding: `[batch, 1, 1, seq]`
    /// - output: `[batch, seq or 1, hidden]`
    pub fn post_norm_layers(&mut self, mut x: String, padding: &str) -> Result<String> {
        let names = self.names;
        for index in 0..self.spec.layers {
            let at = |part: &str| format!("{}{index}.{part}", names.layers);
            let own = self.own(index, &x); // [batch, seq or 1, hidden]
            let query = self.heads(&at(names.query), &own, BY_TOKEN)?; // [batch, heads, seq or 1, size]
            let key = self.heads(&at(names.key), &x, BY_COLUMN)?; // [batch, heads, size, seq]
            let value = self.heads(&at(names.value), &x, BY_TOKEN)?; // [batch, heads, seq, size]
            let attended = self.attention(&at("attention"), [&query, &key, &value], padding);
            x = self.after_attention(index, &own, &attended)?;
        }
        Ok(x)
    }

    /// A linear layer, split into heads and put into the order `axes`.
    pub fn heads(&mut self, scope: &str, x: &str, axes: [i64; 4]) -> Result<String> {
        let flat = self.linear(scope, x, [self.spec.hidden; 2])?;
        Ok(self.split(scope, &flat, axes))
    }

    /// Splits `[batch, seq, hidden]` into heads, and puts them into the order `axes`.
    pub fn split(&mut self, scope: &str, flat: &str, axes: [i64; 4]) -> String {
        let Spec { hidden, heads, .. } = self.spec;
        let graph = &mut self.graph;
        // 0 keeps the axis as it is.
        let shape = [0, 0, heads as i64, (hidden / heads) as i64];
        let shape = graph.integers("heads_shape", &[4], &shape);
        let split = graph.node("Reshape", scope, &[flat, &shape], &[]);
        graph.node("Transpose", scope, &[&split], &[ints("perm", &axes)])
    }

    /// Returns the values weighted by how well their keys fit the query, `[batch, seq or 1,
    /// hidden]`. What `mask` adds to the scores has as many dimensions as they have.
    pub fn attention(&mut self, scope: &str, [query, key, value]: [&str; 3], mask: &str) -> String {
        let size = self.spec.hidden / self.spec.heads;
        let root = self.graph.tensor("root_of_size", &[], &[(size as f32).sqrt()]);
        let scores = self.graph.node("MatMul", scope, &[query, key], &[]); // [batch, heads, seq, seq]
        let scores = self.graph.node("Div", scope, &[&scores, &root], &[]);
        self.attend(scope, &scores, value, mask)
    }

    /// The same from the scores, `[batch, heads, seq or 1, seq]`.
    pub fn attend(&mut self, scope: &str, scores: &str, value: &str, mask: &str) -> String {
        let hidden = self.spec.hidden as i64;
        let graph = &mut self.graph;
        let scores = graph.node("Add", scope, &[scores, mask], &[]);
        let weights = graph.node("Softmax", scope, &[&scores], &[int("axis", -1)]);
        let mixed = graph.node("MatMul", scope, &[&weights, value], &[]); // [batch, heads, seq, size]
        let mixed = graph.node("Transpose", scope, &[&mixed], &[ints("perm", &BY_TOKEN)]);
        let shape = graph.integers("joined_shape", &[3], &[0, 0, hidden]);
        graph.node("Reshape", scope, &[&mixed, &shape], &[])
    }

    /// What follows attention: a linear layer, then the feed-forward part, each added to its input
    /// and normalised.
    ///
    /// # Shapes
    /// - own, attended, output: `[batch, seq or 1, hidden]`
    pub fn after_attention(&mut self, index: usize, own: &str, attended: &str) -> Result<String> {
        let (names, Spec { hidden, ffn, .. }) = (self.names, self.spec);
        let at = |part: &str| format!("{}{index}.{part}", names.layers);
        let attended = self.linear(&at(names.attention_output), attended, [hidden; 2])?;
        let x = self.add_and_norm(&at(names.attention_norm), &attended, own)?;
        let inner = self.linear(&at(names.intermediate), &x, [hidden, ffn])?; // [batch, seq or 1, ffn]
        let inner = self.gelu(&at(names.intermediate), &inner);
        let inner = self.linear(&at(names.output), &inner, [ffn, hidden])?;
        self.add_and_norm(&at(names.output_norm), &inner, &x)
    }
}
