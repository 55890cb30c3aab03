//! Runs the tokens of all sequences one after the other, with one kernel for the embeddings and one
//! per layer: no work on padding, and no mask.

use super::{Engine, StepDropout};
use crate::batch::Packed;
use crate::nn::{
    Embeddings, Encoder, EncoderLayer, LayerDropout, Layers, PreNormLayer, PreNormLayers,
};
use crate::spec::Spec;
use burn::nn::{LayerNorm, Linear};
use burn::tensor::Tensor;
use std::sync::Arc;
use whetstone_kernels::{
    self as kernels, Dropout, EmbeddingSpec, LayerSpec, LayerTensors, PreNormSpec, PreNormTensors,
    Rotation,
};

/// Returns `[tokens, hidden]`, or `[batch, hidden]` if only first tokens are wanted: then the last
/// layer computes only those. `states` gets what comes out of every layer.
pub fn forward(
    encoder: &Encoder,
    batch: &Packed,
    dropout: StepDropout,
    (engine, first_only): (&Engine, bool),
    mut states: Option<&mut Vec<Tensor<2>>>,
) -> Tensor<2> {
    let Spec { eps, heads, layers, .. } = encoder.spec;
    let eps = eps as f32;
    let spec_of = |index: usize, dropout: LayerDropout| LayerSpec {
        starts: batch.starts.clone().into(),
        heads,
        eps,
        first_only: first_only && index + 1 == layers,
        precision: engine.precision,
        recompute: engine.recompute,
        attention_dropout: dropout.attention,
        output_dropout: dropout.attention_output,
        ffn_dropout: dropout.ffn_output,
    };
    let mut x = embeddings(&encoder.embeddings, batch, dropout.of_embeddings(), eps); // [tokens, hidden]
    match &encoder.layers {
        Layers::PostNorm(layers) => {
            for (index, layer) in layers.iter().enumerate() {
                let spec = spec_of(index, dropout.of_layer(index));
                x = kernels::encoder_layer(x, tensors(layer), spec); // [tokens, hidden]
                states.iter_mut().for_each(|states| states.push(x.clone()));
            }
        }
        Layers::Disentangled(_) => unreachable!("the engine pads what has no kernels"),
        Layers::PreNorm(PreNormLayers { layers, rotary }) => {
            let rotation = |theta| {
                Arc::new(Rotation::new(theta, encoder.spec.hidden / heads, batch.longest()))
            };
            let (global, local) = (rotation(rotary.global_theta), rotation(rotary.local_theta));
            for (index, layer) in layers.iter().enumerate() {
                let (rotation, reach) =
                    if layer.is_global { (&global, None) } else { (&local, Some(rotary.reach)) };
                let layer_spec = spec_of(index, dropout.of_pre_norm_layer(index));
                let spec = PreNormSpec { layer: layer_spec, rotation: rotation.clone(), reach };
                x = kernels::pre_norm_layer(x, pre_norm_tensors(layer), spec); // [tokens, hidden]
                states.iter_mut().for_each(|states| states.push(x.clone()));
            }
        }
    }
    match &encoder.final_norm {
        Some(norm) => norm.forward(x),
        None => x,
    }
}

fn embeddings(parts: &Embeddings, batch: &Packed, dropout: Dropout, eps: f32) -> Tensor<2> {
    let has_types = parts.token_type.is_some();
    let types = batch.types.iter().map(|&kind| if has_types { kind } else { 0 });
    let ids = batch.ids.iter().zip(types).zip(parts.positions(batch));
    let rows = ids.map(|((&id, kind), position)| [id, kind, position]).collect();
    let word = parts.word.weight.val();
    // The kernel adds three tables. One row of zeros stands for a table that there is not.
    let none = || Tensor::zeros([1, word.dims()[1]], &word.device());
    let [token_type, position] = [&parts.token_type, &parts.position]
        .map(|table| table.as_ref().map_or_else(none, |table| table.weight.val()));
    let tables = [word.clone(), token_type, position];
    let beta = match &parts.norm.beta {
        Some(beta) => beta.val(),
        None => Tensor::zeros([word.dims()[1]], &word.device()),
    };
    let spec = EmbeddingSpec { rows, eps, dropout };
    parts.project(kernels::embeddings(tables, parts.norm.gamma.val(), beta, spec))
}

fn pre_norm_tensors(layer: &PreNormLayer) -> PreNormTensors {
    PreNormTensors {
        attention_gamma: layer.attention_norm.as_ref().map(|norm| norm.gamma.val()),
        qkv: layer.qkv.weight.val(),
        attention_output: layer.attention_output.weight.val(),
        ffn_gamma: layer.ffn_norm.gamma.val(),
        intermediate: layer.intermediate.weight.val(),
        output: layer.output.weight.val(),
    }
}

fn tensors(layer: &EncoderLayer) -> LayerTensors {
    LayerTensors {
        matrices: [
            layer.query.weight.val(),
            layer.key.weight.val(),
            layer.value.weight.val(),
            layer.attention_output.weight.val(),
            layer.intermediate.weight.val(),
            layer.output.weight.val(),
        ],
        vectors: [
            bias(&layer.query),
            bias(&layer.key),
            bias(&layer.value),
            bias(&layer.attention_output),
            layer.attention_norm.gamma.val(),
            beta(&layer.attention_norm),
            bias(&layer.intermediate),
            bias(&layer.output),
            layer.output_norm.gamma.val(),
            beta(&layer.output_norm),
        ],
    }
}

fn bias(linear: &Linear) -> Tensor<1> {
    linear.bias.as_ref().expect("the linear layers of nn have a bias").val()
}

fn beta(norm: &LayerNorm) -> Tensor<1> {
    norm.beta.as_ref().expect("the norms of nn have a bias").val()
}
