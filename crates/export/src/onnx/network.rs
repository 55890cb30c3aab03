//! The network of a model as an ONNX graph, from its `Spec` and its family's names.

use super::graph::{Graph, Numbers, float, int};
use super::proto::GraphProto;
use crate::error::{Error, Result};
use std::path::Path;
use whetstone_model::{
    Architecture, FeedForward, Names, NormPlacement, Pooling, Positions, Projection, Relative,
    Rotary, Spec, Stored, Tensors,
};
use whetstone_records::ModelDir;

/// Added to the attention scores of padding. After softmax nothing is left of them, and f16 holds
/// the number. onnxruntime knows an attention by it.
pub const MASKED: f32 = -10_000.0;

/// A network's parts, and the graph they are written into.
pub struct Writer<'a> {
    pub graph: Graph,
    pub spec: Spec,
    pub names: &'static Names,
    tensors: &'a Tensors,
    folder: &'a Path,
    ending: &'a Ending,
}

/// The names of the graph's inputs, `[batch, seq]` each.
pub struct Inputs {
    pub ids: String,
    pub mask: String,
    /// None where tokenizers of the family give no such input, or the network reads none.
    pub types: Option<String>,
}

/// What follows the layers.
pub enum Ending {
    /// A cross-encoder's head: the output `logits`, `[batch, 1]`.
    Logits,
    /// A late interaction's linear layer, if it has one, and vectors of length 1: the output
    /// `token_embeddings`, `[batch, seq, width]`.
    TokenVectors(Option<Projection>),
}

/// The kinds of layers that are written here.
enum Layers {
    PostNorm,
    PreNorm(Rotary),
    Disentangled(Relative),
}

/// Returns the graph of the model in `folder`.
///
/// # Errors
/// [`Error::OnnxKind`] for a network that no code here writes.
pub fn graph(
    architecture: &Architecture,
    tensors: &Tensors,
    (folder, ending): (&Path, &Ending),
    numbers: Numbers,
) -> Result<GraphProto> {
    let Architecture { family, spec } = *architecture;
    let names = &family.names;
    let mut writer = Writer { graph: Graph::new(numbers), spec, names, tensors, folder, ending };
    let layers = writer.layers()?;
    let axes = ["batch_size", "sequence_length"];
    let has_types = spec.token_types > 0 && family.template.pair.iter().any(|(_, kind)| *kind > 0);
    let inputs = Inputs {
        ids: writer.graph.input("input_ids", &axes),
        mask: writer.graph.input("attention_mask", &axes),
        types: has_types.then(|| writer.graph.input("token_type_ids", &axes)),
    };
    let x = writer.embeddings(&inputs)?; // [batch, seq, hidden]
    let padding = writer.padding(&inputs); // [batch, 1, 1, seq]
    let x = match layers {
        Layers::PostNorm => writer.post_norm_layers(x, &padding)?,
        Layers::PreNorm(rotary) => writer.pre_norm_layers(x, &inputs, &padding, &rotary)?,
        Layers::Disentangled(relative) => {
            writer.disentangled_layers(x, &inputs, &padding, &relative)?
        }
    }; // [batch, seq, hidden], or [batch, 1, hidden] where a head reads the first token alone
    match ending {
        Ending::Logits => {
            let logits = writer.head(&x, &inputs)?;
            writer.graph.output("logits", &axes[..1], 1, &logits);
        }
        Ending::TokenVectors(projection) => {
            let (vectors, width) = writer.token_vectors(&x, projection.as_ref());
            writer.graph.output("token_embeddings", &axes, width, &vectors);
        }
    }
    Ok(writer.graph.finish())
}

impl<'a> Writer<'a> {
    /// Says which kind of layers the network has.
    fn layers(&self) -> Result<Layers> {
        // Without `..`: a new field of Spec must be looked at here.
        let Spec {
            vocabulary: _,
            token_types: _,
            positions,
            longest_input: _,
            hidden: _,
            embedding: _,
            layers: _,
            heads: _,
            ffn: _,
            feed_forward,
            norm,
            eps: _,
            head: _,
            dropout: _,
        } = self.spec;
        match (norm, feed_forward, positions) {
            (NormPlacement::AfterResidual, FeedForward::Gelu, Positions::Absolute { .. }) => {
                Ok(Layers::PostNorm)
            }
            (NormPlacement::BeforeSublayer, FeedForward::GeGlu, Positions::Rotary(rotary)) => {
                Ok(Layers::PreNorm(rotary))
            }
            (NormPlacement::AfterResidual, FeedForward::Gelu, Positions::Relative(relative)) => {
                Ok(Layers::Disentangled(relative))
            }
            _ => Err(self.unknown("layers")),
        }
    }

    /// The error about a part of the network that no code here writes.
    pub fn unknown(&self, part: &'static str) -> Error {
        Error::OnnxKind { path: ModelDir::new(self.folder).config(), part }
    }

    /// Returns a tensor, whose shape must be the config's.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<&'a Stored> {
        let path = ModelDir::new(self.folder).weights();
        let missing = || whetstone_model::Error::Names {
            path: path.clone(),
            missing: vec![name.into()],
            unused: vec![],
        };
        let stored = self.tensors.get(name).ok_or_else(missing)?;
        stored.expect_shape(&path, shape)?;
        Ok(stored)
    }

    /// Adds a tensor as a constant under its own name.
    pub fn constant(&mut self, name: &str, shape: &[usize]) -> Result<String> {
        let values = &self.tensor(name, shape)?.values;
        Ok(self.graph.tensor(name, shape, values))
    }

    /// A linear layer of the encoder.
    pub fn linear(&mut self, scope: &str, x: &str, [inner, out]: [usize; 2]) -> Result<String> {
        let weight = &self.tensor(&format!("{scope}.weight"), &[out, inner])?.values;
        let product = self.graph.product(scope, x, [out, inner], weight);
        let bias = self.constant(&format!("{scope}.bias"), &[out])?;
        Ok(self.graph.node("Add", scope, &[&product, &bias], &[]))
    }

    /// LayerNorm over the last axis, which has `width` numbers.
    pub fn norm(&mut self, scope: &str, x: &str, width: usize) -> Result<String> {
        let weight = self.constant(&format!("{scope}.weight"), &[width])?;
        let bias = match self.spec.norm {
            NormPlacement::BeforeSublayer => None,
            _ => Some(self.constant(&format!("{scope}.bias"), &[width])?),
        };
        let inputs: Vec<&str> = [x, &weight].into_iter().chain(bias.as_deref()).collect();
        let attributes = [int("axis", -1), float("epsilon", self.spec.eps as f32)];
        Ok(self.graph.node("LayerNormalization", scope, &inputs, &attributes))
    }

    /// LayerNorm of the sum of two values, `[batch, seq, hidden]`.
    pub fn add_and_norm(&mut self, scope: &str, one: &str, other: &str) -> Result<String> {
        let sum = self.graph.node("Add", scope, &[one, other], &[]);
        self.norm(scope, &sum, self.spec.hidden)
    }

    /// The exact one, with erf, in the form that onnxruntime fuses.
    pub fn gelu(&mut self, scope: &str, x: &str) -> String {
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

    /// 0 for a token and a large negative number for padding, `[batch, 1, 1, seq]`.
    fn padding(&mut self, inputs: &Inputs) -> String {
        let graph = &mut self.graph;
        let [one, masked] = [("one", 1.0), ("masked", MASKED)]
            .map(|(name, value)| graph.tensor(name, &[], &[value]));
        let mut wide = inputs.mask.clone();
        for axis in [1, 2] {
            wide = graph.unsqueeze("attention_mask", &wide, axis);
        }
        let to = [int("to", graph.float_type())];
        let tokens = graph.node("Cast", "attention_mask", &[&wide], &to);
        let padding = graph.node("Sub", "attention_mask", &[&one, &tokens], &[]);
        graph.node("Mul", "attention_mask", &[&padding, &masked], &[])
    }

    /// The tokens of the longest sequence, `[1]`.
    pub fn length(&mut self, inputs: &Inputs) -> String {
        let one = self.graph.integers("axis_1", &[1], &[1]);
        let shape = self.graph.node("Shape", "length", &[&inputs.ids], &[]);
        self.graph.node("Gather", "length", &[&shape, &one], &[])
    }

    /// Whether nothing of a layer's output is read but the first token.
    pub fn is_first_alone(&self, index: usize) -> bool {
        let is_last = index + 1 == self.spec.layers;
        let has_head = matches!(self.ending, Ending::Logits);
        is_last && has_head && self.spec.head.pooling() == Pooling::FirstToken
    }

    /// The tokens whose output a layer computes: all, or the first where the head reads no other,
    /// `[batch, seq or 1, hidden]`.
    pub fn own(&mut self, index: usize, x: &str) -> String {
        if !self.is_first_alone(index) {
            return x.to_owned();
        }
        let scope = format!("{}{index}.first_token", self.names.layers);
        let first = self.graph.integers("axis_0", &[1], &[0]);
        self.graph.node("Gather", &scope, &[x, &first], &[int("axis", 1)])
    }
}
