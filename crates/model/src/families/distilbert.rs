//! DistilBERT (Sanh et al. 2019): BERT's network with half the layers and without token types. The
//! family of msmarco-distilbert and multi-qa-distilbert.

use super::encoder::{self, LAYER};
use super::{ConfigFields, Export, Family, Names, Piece, Template, bert, parse, refuse};
use crate::error::Result;
use crate::spec::{DropoutRates, FeedForward, HeadKind, NormPlacement, Positions, Spec};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::path::Path;

const CLS: Piece = Piece::Special("[CLS]");
const SEP: Piece = Piece::Special("[SEP]");
/// transformers' defaults for a config that leaves them out.
const WIDTH: usize = 768;
const FFN: usize = 3072;
const LAYERS: usize = 6;
const HEADS: usize = 12;
const LONGEST: usize = 512;
const DROPOUT: f32 = 0.1;
/// No config says another.
const EPS: f64 = 1e-12;

pub(super) static DISTILBERT: Family = Family {
    model_type: "distilbert",
    spec,
    names: Names {
        word: "distilbert.embeddings.word_embeddings",
        position: "distilbert.embeddings.position_embeddings",
        embedding_norm: "distilbert.embeddings.LayerNorm",
        layers: "distilbert.transformer.layer.",
        query: "attention.q_lin",
        key: "attention.k_lin",
        value: "attention.v_lin",
        attention_output: "attention.out_lin",
        attention_norm: "sa_layer_norm",
        intermediate: "ffn.lin1",
        output: "ffn.lin2",
        output_norm: "output_layer_norm",
        head_dense: "pre_classifier",
        head_output: "classifier",
        ..LAYER
    },
    known_as,
    template: Template {
        pair: &[(CLS, 0), (Piece::Query, 0), (SEP, 0), (Piece::Passage, 0), (SEP, 0)],
        text: &[(CLS, 0), (Piece::Query, 0), (SEP, 0)],
    },
    layer_count: &["n_layers", "num_hidden_layers"],
    per_layer: &[],
    export: Export {
        architecture: "DistilBertForSequenceClassification",
        tokenizer_class: "DistilBertTokenizer",
        config_defaults,
        special_tokens: bert::SPECIAL_TOKENS,
    },
};

/// The part of config.json that shapes the network. transformers takes BERT's spelling of the sizes
/// too.
#[derive(Deserialize)]
struct Config {
    vocab_size: usize,
    dim: Option<usize>,
    hidden_size: Option<usize>,
    hidden_dim: Option<usize>,
    n_layers: Option<usize>,
    num_hidden_layers: Option<usize>,
    n_heads: Option<usize>,
    num_attention_heads: Option<usize>,
    max_position_embeddings: Option<usize>,
    dropout: Option<f32>,
    attention_dropout: Option<f32>,
    activation: Option<String>,
}

/// The rate before the classifier, `seq_classif_dropout`, is not read: `dropout` counts there too.
fn spec(path: &Path, bytes: &[u8]) -> Result<Spec> {
    let config: Config = parse(path, bytes)?;
    if let Some(value) = config.activation.as_ref().filter(|value| *value != "gelu") {
        return refuse(path, "activation", "gelu", value);
    }
    let hidden = config.dim.or(config.hidden_size).unwrap_or(WIDTH);
    let heads = config.n_heads.or(config.num_attention_heads).unwrap_or(HEADS);
    let layers = config.n_layers.or(config.num_hidden_layers).unwrap_or(LAYERS);
    let ffn = config.hidden_dim.unwrap_or(FFN);
    let sizes = [("dim", hidden), ("n_heads", heads), ("n_layers", layers), ("hidden_dim", ffn)];
    if let Some((key, _)) = sizes.into_iter().find(|(_, size)| *size == 0) {
        return refuse(path, key, "positive", "0");
    }
    if !hidden.is_multiple_of(heads) {
        return refuse(path, "dim", "a multiple of n_heads", hidden);
    }
    let dropout = DropoutRates {
        hidden: config.dropout.unwrap_or(DROPOUT),
        attention: config.attention_dropout.unwrap_or(DROPOUT),
    };
    for (key, rate) in [("dropout", dropout.hidden), ("attention_dropout", dropout.attention)] {
        if !(0.0..1.0).contains(&rate) {
            return refuse(path, key, "in [0, 1)", rate);
        }
    }
    let rows = config.max_position_embeddings.unwrap_or(LONGEST);
    Ok(Spec {
        vocabulary: config.vocab_size,
        token_types: 0,
        positions: Positions::Absolute { rows, first: 0, padding: None },
        longest_input: rows,
        embedding: hidden,
        hidden,
        layers,
        heads,
        ffn,
        feed_forward: FeedForward::Gelu,
        norm: NormPlacement::AfterResidual,
        eps: EPS,
        head: HeadKind::FirstTokenRelu,
        dropout,
    })
}

/// An encoder's file has no prefix, and `vocab_` marks the head of pre-training.
fn known_as(name: &str) -> Option<String> {
    let name = encoder::modern(name).filter(|name| !name.starts_with("vocab_"))?;
    let has_prefix =
        ["distilbert.", "pre_classifier.", "classifier."].iter().any(|part| name.starts_with(part));
    Some(if has_prefix { name } else { format!("distilbert.{name}") })
}

/// Fields of a config.json that other tools need, where a base model lacks them or has them in
/// BERT's spelling.
fn config_defaults(base: &Map<String, Value>) -> ConfigFields {
    let size = |berts: &str, usual: usize| base.get(berts).cloned().unwrap_or(json!(usual));
    vec![
        ("dim", size("hidden_size", WIDTH)),
        ("n_layers", size("num_hidden_layers", LAYERS)),
        ("n_heads", size("num_attention_heads", HEADS)),
        ("hidden_dim", json!(FFN)),
        ("max_position_embeddings", json!(LONGEST)),
        ("activation", json!("gelu")),
        ("dropout", json!(0.1)),
        ("attention_dropout", json!(0.1)),
        ("seq_classif_dropout", json!(0.2)),
        ("initializer_range", json!(0.02)),
        ("sinusoidal_pos_embds", json!(false)),
        ("pad_token_id", json!(0)),
    ]
}
