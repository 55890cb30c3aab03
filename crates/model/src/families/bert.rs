//! BERT (Devlin et al. 2019): the family of MiniLM, bge, arctic-embed, gte and many more.

use super::encoder::{self, EncoderConfig};
use super::{Export, Family, Names, Piece, Template};
use crate::error::Result;
use crate::spec::{HeadKind, Spec};
use std::path::Path;

const CLS: Piece = Piece::Special("[CLS]");
const SEP: Piece = Piece::Special("[SEP]");

pub(super) static BERT: Family = Family {
    model_type: "bert",
    spec,
    names: Names {
        word: "bert.embeddings.word_embeddings",
        position: "bert.embeddings.position_embeddings",
        token_type: "bert.embeddings.token_type_embeddings",
        embedding_norm: "bert.embeddings.LayerNorm",
        layers: "bert.encoder.layer.",
        head_dense: "bert.pooler.dense",
        head_output: "classifier",
        ..encoder::LAYER
    },
    known_as,
    template: TEMPLATE,
    layer_count: &["num_hidden_layers"],
    per_layer: &[],
    export: Export {
        architecture: "BertForSequenceClassification",
        tokenizer_class: "BertTokenizer",
        config_defaults: |_| encoder::config_defaults(0),
        special_tokens: SPECIAL_TOKENS,
    },
};

pub(super) const TEMPLATE: Template = Template {
    pair: &[(CLS, 0), (Piece::Query, 0), (SEP, 0), (Piece::Passage, 1), (SEP, 1)],
    text: &[(CLS, 0), (Piece::Query, 0), (SEP, 0)],
};

pub(super) const SPECIAL_TOKENS: &[(&str, &str)] = &[
    ("unk_token", "[UNK]"),
    ("sep_token", "[SEP]"),
    ("pad_token", "[PAD]"),
    ("cls_token", "[CLS]"),
    ("mask_token", "[MASK]"),
];

fn spec(path: &Path, bytes: &[u8]) -> Result<Spec> {
    let config = EncoderConfig::read(path, bytes)?;
    config.need_two_token_types(path)?;
    Ok(config.spec(HeadKind::FirstTokenTanh))
}

/// An encoder's file has no prefix, and `cls.` marks the heads of pre-training.
fn known_as(name: &str) -> Option<String> {
    let name = encoder::modern(name).filter(|name| !name.starts_with("cls."))?;
    let has_prefix = name.starts_with("bert.") || name.starts_with("classifier.");
    Some(if has_prefix { name } else { format!("bert.{name}") })
}
