//! BERT (Devlin et al. 2019): the family of MiniLM, bge, arctic-embed, gte and many more.

use super::{Export, Family, Names, Piece, Template, parse};
use crate::error::{Error, Result};
use crate::spec::{DropoutRates, FeedForward, HeadKind, NormPlacement, Positions, Spec};
use serde::Deserialize;
use serde_json::{Value, json};
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
        query: "attention.self.query",
        key: "attention.self.key",
        value: "attention.self.value",
        attention_output: "attention.output.dense",
        attention_norm: "attention.output.LayerNorm",
        intermediate: "intermediate.dense",
        output: "output.dense",
        output_norm: "output.LayerNorm",
        head_dense: "bert.pooler.dense",
        head_output: "classifier",
    },
    known_as,
    template: Template {
        pair: &[(CLS, 0), (Piece::Query, 0), (SEP, 0), (Piece::Passage, 1), (SEP, 1)],
        text: &[(CLS, 0), (Piece::Query, 0), (SEP, 0)],
    },
    export: Export {
        architecture: "BertForSequenceClassification",
        tokenizer_class: "BertTokenizer",
        config_defaults,
        special_tokens: &[
            ("unk_token", "[UNK]"),
            ("sep_token", "[SEP]"),
            ("pad_token", "[PAD]"),
            ("cls_token", "[CLS]"),
            ("mask_token", "[MASK]"),
        ],
    },
};

/// The part of config.json that shapes the network.
#[derive(Deserialize)]
struct Config {
    vocab_size: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    max_position_embeddings: usize,
    #[serde(default = "two")]
    type_vocab_size: usize,
    #[serde(default = "eps")]
    layer_norm_eps: f64,
    #[serde(default)]
    hidden_dropout_prob: f32,
    #[serde(default)]
    attention_probs_dropout_prob: f32,
    #[serde(default)]
    hidden_act: Option<String>,
    #[serde(default)]
    position_embedding_type: Option<String>,
}

fn two() -> usize {
    2
}

fn eps() -> f64 {
    1e-12
}

fn spec(path: &Path, bytes: &[u8]) -> Result<Spec> {
    let config: Config = parse(path, bytes)?;
    let refuse = |key, expected, value: String| {
        Err(Error::Unsupported { path: path.into(), key, expected, value })
    };
    for (key, expected, value) in [
        ("hidden_act", "gelu", config.hidden_act),
        ("position_embedding_type", "absolute", config.position_embedding_type),
    ] {
        if let Some(value) = value.filter(|value| value != expected) {
            return refuse(key, expected, value);
        }
    }
    if config.type_vocab_size < 2 {
        let value = config.type_vocab_size.to_string();
        return refuse("type_vocab_size", "at least 2 (one for queries, one for passages)", value);
    }
    Ok(Spec {
        vocabulary: config.vocab_size,
        token_types: config.type_vocab_size,
        positions: Positions::Absolute { rows: config.max_position_embeddings, first: 0 },
        longest_input: config.max_position_embeddings,
        hidden: config.hidden_size,
        layers: config.num_hidden_layers,
        heads: config.num_attention_heads,
        ffn: config.intermediate_size,
        feed_forward: FeedForward::Gelu,
        norm: NormPlacement::AfterResidual,
        eps: config.layer_norm_eps,
        head: HeadKind::FirstTokenTanh,
        dropout: DropoutRates {
            hidden: config.hidden_dropout_prob,
            attention: config.attention_probs_dropout_prob,
        },
    })
}

/// An encoder's file has no prefix. Files converted from TensorFlow say gamma and beta. Integer
/// buffers are not weights, and `cls.` marks the heads of pre-training.
fn known_as(name: &str) -> Option<String> {
    let is_buffer = ["embeddings.position_ids", "embeddings.token_type_ids"]
        .iter()
        .any(|buffer| name.ends_with(buffer));
    if is_buffer || name.starts_with("cls.") {
        return None;
    }
    let name = match name.rsplit_once('.') {
        Some((norm, "gamma")) if norm.ends_with("LayerNorm") => format!("{norm}.weight"),
        Some((norm, "beta")) if norm.ends_with("LayerNorm") => format!("{norm}.bias"),
        _ => name.to_owned(),
    };
    let has_prefix = name.starts_with("bert.") || name.starts_with("classifier.");
    Some(if has_prefix { name } else { format!("bert.{name}") })
}

/// text-embeddings-inference needs all of them.
fn config_defaults() -> Vec<(&'static str, Value)> {
    vec![
        ("pad_token_id", json!(0)),
        ("hidden_act", json!("gelu")),
        ("layer_norm_eps", json!(1e-12)),
        ("type_vocab_size", json!(2)),
        ("max_position_embeddings", json!(512)),
    ]
}
