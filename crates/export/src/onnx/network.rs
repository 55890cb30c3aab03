//! The network of a cross-encoder as an ONNX graph, from its `Spec` and its family's names.

use super::graph::{Graph, Numbers, float, int, ints};
use super::proto::GraphProto;
use crate::error::{Error, Result};
use std::fmt::Debug;
use std::path::Path;
use whetstone_model::{
    Architecture, FeedForward, HeadKind, Names, NormPlacement, Positions, Spec, Stored, Tensors,
};

/// Added to the attention scores of padding. After softmax nothing is left of them, and f16 holds
/// the number. onnxruntime knows an attention by it.
const MASKED: f32 = -10_000.0;

/// A network's parts, and the graph they are written into.
struct Writer<'a> {
    graph: Graph,
    spec: Spec,
    names: &'static Names,
    tensors: &'a Tensors,
    /// The file of the tensors, for errors.
    path: &'a Path,
}

/// The table of positions: how many rows it has, and which is the first token's.
#[derive(Clone, Copy)]
struct PositionRows {
    rows: usize,
    first: usize,
}

/// Returns the graph of a cross-encoder. `path` is the file of its tensors.
///
/// # Errors
/// [`Error::OnnxKind`] for a network that no code here writes.
pub fn graph(
    architecture: &Architecture,
    tensors: &Tensors,
    path: &Path,
    numbers: Numbers,
) -> Result<GraphProto> {
    let Architecture { family, spec } = *architecture;
    let positions = check_kinds(&spec)?;
    let mut writer =
        Writer { graph: Graph::new(numbers), spec, names: &family.names, tensors, path };
    let axes = ["batch_size", "sequence_length"];
    let ids = writer.graph.input("input_ids", &axes);
    let mask = writer.graph.input("attention_mask", &axes);
    // Tokenizers of a family with one token type for both texts give no such input.
    let has_types = family.template.pair.iter().any(|(_, kind)| *kind > 0);
    let types = has_types.then(|| writer.graph.input("token_type_ids", &axes));
    let mask = writer.mask(&mask); // [batch, 1, 1, seq]
    let mut x = writer.embeddings(&ids, types.as_deref(), positions)?; // [batch, seq, hidden]
    for index in 0..spec.layers {
        x = writer.layer(index, &x, &mask)?; // [batch, seq, hidden], after the last [batch, 1, hidden]
    }
    let logits = writer.head(&x)?; // [batch, 1]
    writer.graph.output("logits", axes[0], 1, &logits);
    Ok(writer.graph.finish())
}

/// Returns the table of positions, and refuses every kind that is not written here.
fn check_kinds(spec: &Spec) -> Result<PositionRows> {
    fn unknown(what: &'static str, kind: impl Debug) -> Error {
        Error::OnnxKind { what, kind: format!("{kind:?}") }
    }
    // Without `..`: a new field of Spec must be looked at here.
    let Spec {
        vocabulary: _,
        token_types: _,
        positions,
        longest_input: _,
        hidden,
        embedding,
        layers: _,
        heads: _,
        ffn: _,
        feed_forward,
        norm,
        eps: _,
        head,
        dropout: _,
    } = *spec;
    let Positions::Absolute { rows, first, padding: None } = positions else {
        return Err(unknown("positions", positions));
    };
    if embedding != hidden {
        return Err(unknown("width of the embeddings", embedding));
    }
    let FeedForward::Gelu = feed_forward else {
        return Err(unknown("feed-forward part", feed_forward));
    };
    let NormPlacement::AfterResidual = norm else {
        return Err(unknown("place of LayerNorm", norm));
    };
    let HeadKind::FirstTokenTanh = head else { return Err(unknown("head", head)) };
    Ok(PositionRows { rows, first })
}

impl<'a> Writer<'a> {
    /// Returns a tensor, whose shape must be the config's.
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<&'a Stored> {
        let missing = || whetstone_model::Error::Names {
            path: self.path.into(),
            missing: vec![name.into()],
            unused: vec![],
        };
        let stored = self.tensors.get(name).ok_or_else(missing)?;
        stored.expect_shape(self.path, shape)?;
        Ok(stored)
    }

    /// Adds a tensor as a constant under its own name.
    fn constant(&mut self, name: &str, shape: &[usize]) -> Result<String> {
        let values = &self.tensor(name, shape)?.values;
        Ok(self.graph.tensor(name, shape, values))
    }

    /// A linear layer of the encoder.
    fn linear(&mut self, scope: &str, x: &str, inner: usize, out: usize) -> Result<String> {
        let weight = &self.tensor(&format!("{scope}.weight"), &[out, inner])?.values;
        let product = self.graph.product(scope, x, [out, inner], weight);
        let bias = self.constant(&format!("{scope}.bias"), &[out])?;
        Ok(self.graph.node("Add", scope, &[&product, &bias], &[]))
    }

    /// LayerNorm of the sum of two values.
    fn add_and_norm(&mut self, scope: &str, one: &str, other: &str) -> Result<String> {
        let sum = self.graph.node("Add", scope, &[one, other], &[]);
        self.norm(scope, &sum)
    }

    fn norm(&mut self, scope: &str, x: &str) -> Result<String> {
        let hidden = self.spec.hidden;
        let weight = self.constant(&format!("{scope}.weight"), &[hidden])?;
        let bias = self.constant(&format!("{scope}.bias"), &[hidden])?;
        let attributes = [int("axis", -1), float("epsilon", self.spec.eps as f32)];
        Ok(self.graph.node("LayerNormalization", scope, &[x, &weight, &bias], &attributes))
    }

    /// 0 for a token and a large negative number for padding, `[batch, 1, 1, seq]`.
    fn mask(&mut self, mask: &str) -> String {
        let graph = &mut self.graph;
        let to = graph.float_type();
        let [one, masked] = [("one", 1.0), ("masked", MASKED)]
            .map(|(name, value)| graph.tensor(name, &[], &[value]));
        let mut wide = mask.to_owned();
        for axis in [1, 2] {
            let axes = graph.integers(&format!("axis_{axis}"), &[1], &[axis]);
            wide = graph.node("Unsqueeze", "attention_mask", &[&wide, &axes], &[]);
        }
        let tokens = graph.node("Cast", "attention_mask", &[&wide], &[int("to", to)]);
        let padding = graph.node("Sub", "attention_mask", &[&one, &tokens], &[]);
        graph.node("Mul", "attention_mask", &[&padding, &masked], &[])
    }

    /// The sum of word, position and token type, normalised.
    fn embeddings(
        &mut self,
        ids: &str,
        types: Option<&str>,
        positions: PositionRows,
    ) -> Result<String> {
        let (names, hidden) = (self.names, self.spec.hidden);
        let shape = [self.spec.vocabulary, hidden];
        let words = &self.tensor(&format!("{}.weight", names.word), &shape)?.values;
        let word = self.graph.rows(names.word, ids, shape, words); // [batch, seq, hidden]
        let position = self.positions(ids, positions)?; // [seq, hidden]
        let shape = [self.spec.token_types, hidden];
        let table = self.constant(&format!("{}.weight", names.token_type), &shape)?;
        let types = match types {
            Some(types) => types.to_owned(),
            None => self.graph.integers("only_type", &[1], &[0]),
        };
        let kind = self.graph.node("Gather", names.token_type, &[&table, &types], &[]);
        let sum = self.graph.node("Add", names.word, &[&word, &kind], &[]);
        self.add_and_norm(names.embedding_norm, &sum, &position) // [batch, seq, hidden]
    }

    /// The rows of the positions from the first token's to the last, `[seq, hidden]`. Padding at
    /// the end has positions too, which nobody reads.
    fn positions(&mut self, ids: &str, positions: PositionRows) -> Result<String> {
        let PositionRows { rows, first } = positions;
        let scope = self.names.position;
        let table = self.constant(&format!("{scope}.weight"), &[rows, self.spec.hidden])?;
        let graph = &mut self.graph;
        let [zero, one] =
            [("axis_0", 0), ("axis_1", 1)].map(|(name, at)| graph.integers(name, &[1], &[at]));
        let begin = graph.integers("first_position", &[1], &[first as i64]);
        let shape = graph.node("Shape", scope, &[ids], &[]);
        let seq = graph.node("Gather", scope, &[&shape, &one], &[]);
        let end = graph.node("Add", scope, &[&seq, &begin], &[]);
        Ok(graph.node("Slice", scope, &[&table, &begin, &end, &zero], &[]))
    }

    /// Self-attention, then the feed-forward part, each added to its input and normalised. The
    /// last layer computes only the first token, as the head reads no other.
    fn layer(&mut self, index: usize, x: &str, mask: &str) -> Result<String> {
        let (names, Spec { hidden, ffn, .. }) = (self.names, self.spec);
        let at = |part: &str| format!("{}{index}.{part}", names.layers);
        let mut own = x.to_owned(); // [batch, seq or 1, hidden]
        if index + 1 == self.spec.layers {
            let first = self.graph.integers("axis_0", &[1], &[0]);
            own = self.graph.node("Gather", &at("first_token"), &[x, &first], &[int("axis", 1)]);
        }
        let query = self.heads(&at(names.query), &own, [0, 2, 1, 3])?; // [batch, heads, seq or 1, width]
        let key = self.heads(&at(names.key), x, [0, 2, 3, 1])?; // [batch, heads, width, seq]
        let value = self.heads(&at(names.value), x, [0, 2, 1, 3])?; // [batch, heads, seq, width]
        let attended = self.attention(&at("attention"), [&query, &key, &value], mask);
        let attended = self.linear(&at(names.attention_output), &attended, hidden, hidden)?;
        let x = self.add_and_norm(&at(names.attention_norm), &attended, &own)?;
        let inner = self.linear(&at(names.intermediate), &x, hidden, ffn)?; // [batch, seq or 1, ffn]
        let inner = self.gelu(&at(names.intermediate), &inner);
        let inner = self.linear(&at(names.output), &inner, ffn, hidden)?;
        self.add_and_norm(&at(names.output_norm), &inner, &x) // [batch, seq or 1, hidden]
    }

    /// A linear layer, split into heads and put into the order `axes`.
    fn heads(&mut self, scope: &str, x: &str, axes: [i64; 4]) -> Result<String> {
        let Spec { hidden, heads, .. } = self.spec;
        let flat = self.linear(scope, x, hidden, hidden)?;
        let graph = &mut self.graph;
        // 0 keeps the axis as it is.
        let shape = [0, 0, heads as i64, (hidden / heads) as i64];
        let shape = graph.integers("heads_shape", &[4], &shape);
        let split = graph.node("Reshape", scope, &[&flat, &shape], &[]);
        Ok(graph.node("Transpose", scope, &[&split], &[ints("perm", &axes)]))
    }

    /// Returns the values weighted by how well their keys fit the query, `[batch, seq, hidden]`.
    fn attention(&mut self, scope: &str, [query, key, value]: [&str; 3], mask: &str) -> String {
        let Spec { hidden, heads, .. } = self.spec;
        let graph = &mut self.graph;
        let root = graph.tensor("root_of_width", &[], &[((hidden / heads) as f32).sqrt()]);
        let scores = graph.node("MatMul", scope, &[query, key], &[]); // [batch, heads, seq, seq]
        let scores = graph.node("Div", scope, &[&scores, &root], &[]);
        let scores = graph.node("Add", scope, &[&scores, mask], &[]);
        let weights = graph.node("Softmax", scope, &[&scores], &[int("axis", -1)]);
        let mixed = graph.node("MatMul", scope, &[&weights, value], &[]); // [batch, heads, seq, width]
        let mixed = graph.node("Transpose", scope, &[&mixed], &[ints("perm", &[0, 2, 1, 3])]);
        let shape = graph.integers("joined_shape", &[3], &[0, 0, hidden as i64]);
        graph.node("Reshape", scope, &[&mixed, &shape], &[])
    }

    /// The exact one, with erf, in the form that onnxruntime fuses.
    fn gelu(&mut self, scope: &str, x: &str) -> String {
        let graph = &mut self.graph;
        let [root, one, half] =
            [("root_of_two", std::f32::consts::SQRT_2), ("one", 1.0), ("half", 0.5)]
                .map(|(name, value)| graph.tensor(name, &[], &[value]));
        let erf = graph.node("Div", scope, &[x, &root], &[]);
        let erf = graph.node("Erf", scope, &[&erf], &[]);
        let erf = graph.node("Add", scope, &[&erf, &one], &[]);
        let product = graph.node("Mul", scope, &[x, &erf], &[]);
        graph.node("Mul", scope, &[&product, &half], &[])
    }

    /// The first token through a linear layer, tanh and a linear layer, `[batch, 1]`. It stays out
    /// of the 8 bits: it costs nothing, and its errors would go straight into the logit.
    fn head(&mut self, x: &str) -> Result<String> {
        let (names, hidden) = (self.names, self.spec.hidden);
        let first = self.graph.integers("first", &[], &[0]);
        let first = self.graph.node("Gather", names.head_dense, &[x, &first], &[int("axis", 1)]); // [batch, hidden]
        let pooled = self.head_linear(names.head_dense, &first, hidden)?;
        let pooled = self.graph.node("Tanh", names.head_dense, &[&pooled], &[]);
        self.head_linear(names.head_output, &pooled, 1)
    }

    fn head_linear(&mut self, scope: &str, x: &str, out: usize) -> Result<String> {
        let weight = self.constant(&format!("{scope}.weight"), &[out, self.spec.hidden])?;
        let bias = self.constant(&format!("{scope}.bias"), &[out])?;
        Ok(self.graph.node("Gemm", scope, &[x, &weight, &bias], &[int("transB", 1)]))
    }
}
