//! The parameters of a network by their family's names, in the order of the figure.

use crate::families::{Names, Role};
use crate::nn::{
    DisentangledLayer, DisentangledLayers, Embeddings, Encoder, EncoderLayer, Head, Layers,
    PreNormLayer, PreNormLayers,
};
use burn::module::Param;
use burn::nn::{LayerNorm, Linear};
use burn::tensor::Tensor;

/// A parameter: its Hugging Face name, its part of the network, and its slot.
pub struct Parameter<'a> {
    pub name: String,
    pub role: Role,
    pub slot: Slot<'a>,
}

/// The slot of a parameter, and its layout in Hugging Face's file.
pub enum Slot<'a> {
    /// An embedding table `[rows, hidden]`.
    Table(&'a mut Param<Tensor<2>>),
    /// A linear layer's matrix: `[in, out]` here, `[out, in]` in the file.
    Matrix(&'a mut Param<Tensor<2>>),
    /// A bias or a LayerNorm weight.
    Vector(&'a mut Param<Tensor<1>>),
}

/// Collects parameters.
struct Collector<'a> {
    role: Role,
    found: Vec<Parameter<'a>>,
}

impl<'a> Collector<'a> {
    fn of(role: Role) -> Self {
        Self { role, found: Vec::new() }
    }

    fn push(&mut self, name: &str, kind: &str, slot: Slot<'a>) {
        self.found.push(Parameter { name: format!("{name}.{kind}"), role: self.role, slot });
    }

    fn bias(&mut self, name: &str, param: &'a mut Option<Param<Tensor<1>>>) {
        if let Some(param) = param {
            self.push(name, "bias", Slot::Vector(param));
        }
    }

    fn linear(&mut self, name: &str, linear: &'a mut Linear) {
        self.push(name, "weight", Slot::Matrix(&mut linear.weight));
        self.bias(name, &mut linear.bias);
    }

    fn norm(&mut self, name: &str, norm: &'a mut LayerNorm) {
        self.push(name, "weight", Slot::Vector(&mut norm.gamma));
        self.bias(name, &mut norm.beta);
    }
}

impl Encoder {
    pub(crate) fn parameters(&mut self, names: &Names) -> Vec<Parameter<'_>> {
        let mut found = self.embeddings.parameters(names);
        match &mut self.layers {
            Layers::PostNorm(layers) => {
                for (index, layer) in layers.iter_mut().enumerate() {
                    found.extend(layer.parameters(names, index));
                }
            }
            Layers::Disentangled(layers) => found.extend(layers.parameters(names)),
            Layers::PreNorm(PreNormLayers { layers, .. }) => {
                for (index, layer) in layers.iter_mut().enumerate() {
                    found.extend(layer.parameters(names, index));
                }
            }
        }
        if let (Some(names), Some(norm)) = (&names.pre_norm, &mut self.final_norm) {
            let mut collector = Collector::of(Role::Layer(self.spec.layers - 1));
            collector.norm(names.final_norm, norm);
            found.extend(collector.found);
        }
        found
    }
}

impl Embeddings {
    fn parameters(&mut self, names: &Names) -> Vec<Parameter<'_>> {
        let mut collector = Collector::of(Role::Embedding);
        collector.push(names.word, "weight", Slot::Table(&mut self.word.weight));
        if let Some(position) = &mut self.position {
            collector.push(names.position, "weight", Slot::Table(&mut position.weight));
        }
        if let Some(token_type) = &mut self.token_type {
            collector.push(names.token_type, "weight", Slot::Table(&mut token_type.weight));
        }
        collector.norm(names.embedding_norm, &mut self.norm);
        if let (Some(name), Some(projection)) = (names.embedding_projection, &mut self.projection) {
            collector.linear(name, projection);
        }
        collector.found
    }
}

impl EncoderLayer {
    fn parameters(&mut self, names: &Names, index: usize) -> Vec<Parameter<'_>> {
        let at = |part: &str| format!("{}{index}.{part}", names.layers);
        let mut collector = Collector::of(Role::Layer(index));
        collector.linear(&at(names.query), &mut self.query);
        collector.linear(&at(names.key), &mut self.key);
        collector.linear(&at(names.value), &mut self.value);
        collector.linear(&at(names.attention_output), &mut self.attention_output);
        collector.norm(&at(names.attention_norm), &mut self.attention_norm);
        collector.linear(&at(names.intermediate), &mut self.intermediate);
        collector.linear(&at(names.output), &mut self.output);
        collector.norm(&at(names.output_norm), &mut self.output_norm);
        collector.found
    }
}

impl DisentangledLayers {
    fn parameters(&mut self, names: &Names) -> Vec<Parameter<'_>> {
        let mut collector = Collector::of(Role::Embedding);
        if let Some(names) = &names.relative {
            collector.push(names.distances, "weight", Slot::Table(&mut self.distances.weight));
            if let Some(norm) = &mut self.norm {
                collector.norm(names.norm, norm);
            }
        }
        for (index, layer) in self.layers.iter_mut().enumerate() {
            collector.found.extend(layer.parameters(names, index));
        }
        collector.found
    }
}

impl DisentangledLayer {
    fn parameters(&mut self, names: &Names, index: usize) -> Vec<Parameter<'_>> {
        let mut collector = Collector::of(Role::Layer(index));
        collector.found = self.layer.parameters(names, index);
        if let Some(relative) = &names.relative {
            for (name, linear) in
                [(relative.key, &mut self.position_key), (relative.query, &mut self.position_query)]
            {
                if let Some(linear) = linear {
                    collector.linear(&format!("{}{index}.{name}", names.layers), linear);
                }
            }
        }
        collector.found
    }
}

impl PreNormLayer {
    fn parameters(&mut self, names: &Names, index: usize) -> Vec<Parameter<'_>> {
        let at = |part: &str| format!("{}{index}.{part}", names.layers);
        let mut collector = Collector::of(Role::Layer(index));
        if let Some(norm) = &mut self.attention_norm {
            collector.norm(&at(names.attention_norm), norm);
        }
        if let Some(names) = &names.pre_norm {
            collector.linear(&at(names.qkv), &mut self.qkv);
        }
        collector.linear(&at(names.attention_output), &mut self.attention_output);
        collector.norm(&at(names.output_norm), &mut self.ffn_norm);
        collector.linear(&at(names.intermediate), &mut self.intermediate);
        collector.linear(&at(names.output), &mut self.output);
        collector.found
    }
}

impl Head {
    pub(crate) fn parameters(&mut self, names: &Names) -> Vec<Parameter<'_>> {
        let mut collector = Collector::of(Role::Head);
        collector.linear(names.head_dense, &mut self.dense);
        if let (Some(names), Some(norm)) = (&names.pre_norm, &mut self.norm) {
            collector.norm(names.head_norm, norm);
        }
        collector.linear(names.head_output, &mut self.output);
        collector.found
    }
}
