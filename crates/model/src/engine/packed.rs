//! Runs the tokens of all sequences one after the other, with one kernel for the embeddings and one
//! per layer: no work on padding, and no mask.

use super::StepDropout;
use crate::batch::Packed;
use crate::nn::{Embeddings, Encoder, EncoderLayer};
use crate::spec::{FeedForward, NormPlacement};
use burn::nn::{LayerNorm, Linear};
use burn::tensor::Tensor;
use whetstone_kernels::{
    self as kernels, Dropout, EmbeddingSpec, LayerSpec, LayerTensors, Precision,
};

/// Returns `[tokens, hidden]`, or `[batch, hidden]` if only first tokens are wanted: then the last
/// layer computes only those.
pub fn forward(
    encoder: &Encoder,
    batch: &Packed,
    dropout: StepDropout,
    precision: Precision,
    first_only: bool,
) -> Tensor<2> {
    // What the kernels compute.
    let (NormPlacement::AfterResidual, FeedForward::Gelu) =
        (encoder.spec.norm, encoder.spec.feed_forward);
    let eps = encoder.spec.eps as f32;
    let mut x = embeddings(&encoder.embeddings, batch, dropout.of_embeddings(), eps); // [tokens, hidden]
    for (index, layer) in encoder.layers.iter().enumerate() {
        let dropout = dropout.of_layer(index);
        let spec = LayerSpec {
            starts: batch.starts.clone().into(),
            heads: encoder.spec.heads,
            eps,
            first_only: first_only && index + 1 == encoder.layers.len(),
            precision,
            attention_dropout: dropout.attention,
            output_dropout: dropout.attention_output,
            ffn_dropout: dropout.ffn_output,
        };
        x = kernels::encoder_layer(x, tensors(layer), spec); // [tokens, hidden]
    }
    x
}

fn embeddings(parts: &Embeddings, batch: &Packed, dropout: Dropout, eps: f32) -> Tensor<2> {
    let ids = batch.ids.iter().zip(&batch.types).zip(parts.positions(batch));
    let rows = ids.map(|((&id, &kind), position)| [id, kind, position]).collect();
    let tables = [&parts.word, &parts.token_type, &parts.position].map(|table| table.weight.val());
    let spec = EmbeddingSpec { rows, eps, dropout };
    parts.project(kernels::embeddings(tables, parts.norm.gamma.val(), beta(&parts.norm), spec))
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
