//! ELECTRA (Clark et al. 2020): the family of ms-marco-electra-base. Its embeddings may be narrower
//! than its layers.

use super::encoder::{self, EncoderConfig};
use super::{Export, Family, Names, bert};
use crate::error::Result;
use crate::spec::{HeadKind, Spec};
use std::path::Path;

pub(super) static ELECTRA: Family = Family {
    model_type: "electra",
    spec,
    names: Names {
        word: "electra.embeddings.word_embeddings",
        position: "electra.embeddings.position_embeddings",
        token_type: "electra.embeddings.token_type_embeddings",
        embedding_norm: "electra.embeddings.LayerNorm",
        embedding_projection: Some("electra.embeddings_project"),
        layers: "electra.encoder.layer.",
        head_dense: "classifier.dense",
        head_output: "classifier.out_proj",
        ..encoder::LAYER
    },
    known_as,
    template: bert::TEMPLATE,
    layer_count: &["num_hidden_layers"],
    per_layer: &[],
    export: Export {
        architecture: "ElectraForSequenceClassification",
        tokenizer_class: "ElectraTokenizer",
        config_defaults: |_| encoder::config_defaults(0),
        special_tokens: bert::SPECIAL_TOKENS,
    },
};

/// transformers' default for a config that leaves it out.
const EMBEDDING_SIZE: usize = 128;

/// The classifier ignores the `summary_*` keys of the config: in transformers they shape the head
/// of multiple choice alone.
fn spec(path: &Path, bytes: &[u8]) -> Result<Spec> {
    let config = EncoderConfig::read(path, bytes)?;
    config.need_two_token_types(path)?;
    Ok(Spec {
        embedding: config.embedding_size.unwrap_or(EMBEDDING_SIZE),
        ..config.spec(HeadKind::FirstTokenDropGelu)
    })
}

/// An encoder's file has no prefix. The others are heads of pre-training.
fn known_as(name: &str) -> Option<String> {
    let name = encoder::modern(name)?;
    let pretraining =
        ["discriminator_predictions.", "generator_predictions.", "generator_lm_head."];
    if pretraining.iter().any(|head| name.starts_with(head)) {
        return None;
    }
    let has_prefix = name.starts_with("electra.") || name.starts_with("classifier.");
    Some(if has_prefix { name } else { format!("electra.{name}") })
}
