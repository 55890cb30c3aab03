//! What the configs and files of BERT and its descendants have in common.

use super::{Names, parse, refuse};
use crate::error::Result;
use crate::spec::{DropoutRates, FeedForward, HeadKind, NormPlacement, Positions, Spec};
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::Path;

/// The part of config.json that shapes the network. The defaults are those of transformers.
#[derive(Deserialize)]
pub(super) struct EncoderConfig {
    pub vocab_size: usize,
    pub hidden_size: usize,
    /// The width of the embeddings where it differs from the layers'.
    #[serde(default)]
    pub embedding_size: Option<usize>,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub intermediate_size: usize,
    pub max_position_embeddings: usize,
    #[serde(default = "two")]
    pub type_vocab_size: usize,
    #[serde(default)]
    pub pad_token_id: Option<u32>,
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

impl EncoderConfig {
    /// Reads a config.json and refuses what no code here computes.
    pub fn read(path: &Path, bytes: &[u8]) -> Result<Self> {
        let config: Self = parse(path, bytes)?;
        for (key, expected, value) in [
            ("hidden_act", "gelu", &config.hidden_act),
            ("position_embedding_type", "absolute", &config.position_embedding_type),
        ] {
            if let Some(value) = value.as_ref().filter(|value| *value != expected) {
                return refuse(path, key, expected, value);
            }
        }
        if config.type_vocab_size == 0 {
            return refuse(path, "type_vocab_size", "positive", "0");
        }
        Ok(config)
    }

    /// The network, with positions that count from 0 and embeddings as wide as its layers.
    pub fn spec(&self, head: HeadKind) -> Spec {
        let rows = self.max_position_embeddings;
        Spec {
            vocabulary: self.vocab_size,
            token_types: self.type_vocab_size,
            positions: Positions::Absolute { rows, first: 0, padding: None },
            longest_input: rows,
            embedding: self.hidden_size,
            hidden: self.hidden_size,
            layers: self.num_hidden_layers,
            heads: self.num_attention_heads,
            ffn: self.intermediate_size,
            feed_forward: FeedForward::Gelu,
            norm: NormPlacement::AfterResidual,
            eps: self.layer_norm_eps,
            head,
            dropout: DropoutRates {
                hidden: self.hidden_dropout_prob,
                attention: self.attention_probs_dropout_prob,
            },
        }
    }

    /// Refuses a network that cannot tell a query from its passage by their token types.
    pub fn need_two_token_types(&self, path: &Path) -> Result<()> {
        if self.type_vocab_size >= 2 {
            return Ok(());
        }
        let expected = "at least 2 (one for queries, one for passages)";
        refuse(path, "type_vocab_size", expected, self.type_vocab_size)
    }
}

/// Names inside a layer, which these families share. The rest is a family's own.
pub(super) const LAYER: Names = Names {
    word: "",
    position: "",
    token_type: "",
    embedding_norm: "",
    embedding_projection: None,
    layers: "",
    query: "attention.self.query",
    key: "attention.self.key",
    value: "attention.self.value",
    attention_output: "attention.output.dense",
    attention_norm: "attention.output.LayerNorm",
    intermediate: "intermediate.dense",
    output: "output.dense",
    output_norm: "output.LayerNorm",
    pre_norm: None,
    relative: None,
    head_dense: "",
    head_output: "",
};

/// Returns today's name of a tensor. Files converted from TensorFlow say gamma and beta. None for
/// integer buffers, which are not weights.
pub(super) fn modern(name: &str) -> Option<String> {
    let is_buffer = ["embeddings.position_ids", "embeddings.token_type_ids"]
        .iter()
        .any(|buffer| name.ends_with(buffer));
    if is_buffer {
        return None;
    }
    Some(match name.rsplit_once('.') {
        Some((norm, "gamma")) if norm.ends_with("LayerNorm") => format!("{norm}.weight"),
        Some((norm, "beta")) if norm.ends_with("LayerNorm") => format!("{norm}.bias"),
        _ => name.to_owned(),
    })
}

/// Fields of a config.json that text-embeddings-inference needs, where a base model lacks them.
pub(super) fn config_defaults(padding: u32) -> Vec<(&'static str, Value)> {
    vec![
        ("pad_token_id", json!(padding)),
        ("hidden_act", json!("gelu")),
        ("hidden_dropout_prob", json!(0.1)),
        ("initializer_range", json!(0.02)),
        ("layer_norm_eps", json!(eps())),
        ("type_vocab_size", json!(two())),
        ("max_position_embeddings", json!(512)),
    ]
}
