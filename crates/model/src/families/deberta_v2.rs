//! DeBERTa-v2 and -v3 (He et al. 2021): the family of mxbai-rerank-v1 and of many models of natural
//! language inference. Its attention scores contents and distances apart.

use super::encoder::{self, LAYER};
use super::{ConfigFields, Export, Family, Names, RelativeNames, bert, parse, refuse};
use crate::error::Result;
use crate::spec::{DropoutRates, FeedForward, HeadKind, NormPlacement, Positions, Relative, Spec};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::path::Path;

/// transformers' defaults for a config that leaves them out.
const LONGEST: usize = 512;
const EPS: f64 = 1e-7;
const DROPOUT: f32 = 0.1;
/// More distances than any model has: a damaged config must not exhaust the memory.
const MOST_DISTANCES: usize = 1 << 20;

pub(super) static DEBERTA_V2: Family = Family {
    model_type: "deberta-v2",
    spec,
    names: Names {
        word: "deberta.embeddings.word_embeddings",
        position: "deberta.embeddings.position_embeddings",
        token_type: "deberta.embeddings.token_type_embeddings",
        embedding_norm: "deberta.embeddings.LayerNorm",
        layers: "deberta.encoder.layer.",
        query: "attention.self.query_proj",
        key: "attention.self.key_proj",
        value: "attention.self.value_proj",
        relative: Some(RelativeNames {
            distances: "deberta.encoder.rel_embeddings",
            norm: "deberta.encoder.LayerNorm",
            key: "attention.self.pos_key_proj",
            query: "attention.self.pos_query_proj",
        }),
        head_dense: "pooler.dense",
        head_output: "classifier",
        ..LAYER
    },
    known_as,
    // Where a network has no token types, it does not look at them.
    template: bert::TEMPLATE,
    layer_count: &["num_hidden_layers"],
    per_layer: &[],
    export: Export {
        architecture: "DebertaV2ForSequenceClassification",
        tokenizer_class: "DebertaV2Tokenizer",
        config_defaults,
        special_tokens: &[
            ("bos_token", "[CLS]"),
            ("eos_token", "[SEP]"),
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
    max_position_embeddings: Option<usize>,
    #[serde(default)]
    type_vocab_size: usize,
    layer_norm_eps: Option<f64>,
    hidden_dropout_prob: Option<f32>,
    attention_probs_dropout_prob: Option<f32>,
    pooler_dropout: Option<f32>,
    pooler_hidden_act: Option<String>,
    #[serde(flatten)]
    positions: PositionFields,
    #[serde(flatten)]
    fixed: Fixed,
}

#[derive(Deserialize)]
struct PositionFields {
    /// Beyond this distance, all count as one. Not positive: the longest input.
    max_relative_positions: Option<i64>,
    /// Not positive: each distance has its own vector.
    position_buckets: Option<i64>,
    position_biased_input: Option<bool>,
    pos_att_type: Option<Kinds>,
    #[serde(default)]
    share_att_key: bool,
    norm_rel_ebd: Option<String>,
}

/// `"p2c|c2p"`, or a list as transformers 5 writes it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Kinds {
    Joined(String),
    Listed(Vec<String>),
}

/// Fields for which code exists only for one value.
#[derive(Deserialize)]
struct Fixed {
    hidden_act: Option<String>,
    #[serde(default)]
    relative_attention: bool,
    conv_kernel_size: Option<i64>,
    embedding_size: Option<usize>,
    pooler_hidden_size: Option<usize>,
    attention_head_size: Option<usize>,
}

fn spec(path: &Path, bytes: &[u8]) -> Result<Spec> {
    let config: Config = parse(path, bytes)?;
    config.check_fixed(path)?;
    if config.type_vocab_size == 1 {
        return refuse(path, "type_vocab_size", "0, or at least 2", "1");
    }
    Ok(Spec {
        vocabulary: config.vocab_size,
        token_types: config.type_vocab_size,
        positions: Positions::Relative(config.relative(path)?),
        longest_input: config.longest(),
        embedding: config.hidden_size,
        hidden: config.hidden_size,
        layers: config.num_hidden_layers,
        heads: config.num_attention_heads,
        ffn: config.intermediate_size,
        feed_forward: FeedForward::Gelu,
        norm: NormPlacement::AfterResidual,
        eps: config.layer_norm_eps.unwrap_or(EPS),
        head: config.head(path)?,
        dropout: DropoutRates {
            hidden: config.hidden_dropout_prob.unwrap_or(DROPOUT),
            attention: config.attention_probs_dropout_prob.unwrap_or(DROPOUT),
        },
    })
}

impl Config {
    fn longest(&self) -> usize {
        self.max_position_embeddings.unwrap_or(LONGEST)
    }

    /// The pooler and the classifier drop at the rate of the layers, `cls_dropout` is not read.
    fn head(&self, path: &Path) -> Result<HeadKind> {
        let drops_input = self.pooler_dropout.is_some_and(|rate| rate != 0.0);
        Ok(match (self.pooler_hidden_act.as_deref().unwrap_or("gelu"), drops_input) {
            ("gelu", false) => HeadKind::FirstTokenGelu,
            ("gelu", true) => HeadKind::FirstTokenDropGelu,
            ("tanh", false) => HeadKind::FirstTokenTanh,
            ("tanh", true) => HeadKind::FirstTokenDropTanh,
            (other, _) => {
                return refuse(path, "pooler_hidden_act", "gelu or tanh", other);
            }
        })
    }

    fn relative(&self, path: &Path) -> Result<Relative> {
        let fields = &self.positions;
        let positive =
            |size: Option<i64>| size.and_then(|size| usize::try_from(size).ok()).filter(|&n| n > 0);
        let reach = positive(fields.max_relative_positions).unwrap_or(self.longest());
        let buckets = positive(fields.position_buckets);
        if reach > MOST_DISTANCES {
            let expected = "at most 1048576";
            return refuse(path, "max_relative_positions", expected, reach);
        }
        // Near distances have a bucket each, at least the next; the farthest lies beyond them.
        if let Some(buckets) = buckets.filter(|&count| count < 2 || count / 2 + 1 >= reach) {
            let expected = "-1, or at least 2 and below 2 * max_relative_positions - 2";
            return refuse(path, "position_buckets", expected, buckets);
        }
        let [content_to_position, position_to_content] = fields.kinds(path)?;
        let has_rows = fields.position_biased_input.unwrap_or(true);
        let norms = fields.norm_rel_ebd.as_deref().unwrap_or("none");
        Ok(Relative {
            absolute: has_rows.then(|| self.longest()),
            reach,
            buckets,
            content_to_position,
            position_to_content,
            is_shared: fields.share_att_key,
            is_normed: norms.split('|').any(|norm| norm.trim().eq_ignore_ascii_case("layer_norm")),
        })
    }

    fn check_fixed(&self, path: &Path) -> Result<()> {
        let fixed = &self.fixed;
        if let Some(value) = fixed.hidden_act.as_ref().filter(|value| *value != "gelu") {
            return refuse(path, "hidden_act", "gelu", value);
        }
        if !fixed.relative_attention {
            return refuse(path, "relative_attention", "true", "false");
        }
        if let Some(size) = fixed.conv_kernel_size.filter(|&size| size > 0) {
            return refuse(path, "conv_kernel_size", "0 or absent", size);
        }
        for (key, width) in [
            ("embedding_size", fixed.embedding_size),
            ("pooler_hidden_size", fixed.pooler_hidden_size),
        ] {
            if let Some(width) = width.filter(|&width| width != self.hidden_size) {
                return refuse(path, key, "hidden_size", width);
            }
        }
        let is_whole =
            |&size: &usize| size.checked_mul(self.num_attention_heads) == Some(self.hidden_size);
        match fixed.attention_head_size.filter(|size| !is_whole(size)) {
            Some(size) => {
                let expected = "hidden_size / num_attention_heads";
                refuse(path, "attention_head_size", expected, size)
            }
            None => Ok(()),
        }
    }
}

impl PositionFields {
    /// Whether contents look at positions, and whether positions look at contents.
    fn kinds(&self, path: &Path) -> Result<[bool; 2]> {
        let kinds: Vec<String> = match &self.pos_att_type {
            None => Vec::new(),
            Some(Kinds::Joined(kinds)) => kinds.split('|').map(str::to_owned).collect(),
            Some(Kinds::Listed(kinds)) => kinds.clone(),
        };
        let kinds: Vec<String> =
            kinds.iter().map(|kind| kind.trim().to_lowercase()).filter(|k| !k.is_empty()).collect();
        let is_known = kinds.iter().all(|kind| kind == "c2p" || kind == "p2c");
        if kinds.is_empty() || !is_known {
            return refuse(path, "pos_att_type", "c2p, p2c or both", kinds.join("|"));
        }
        Ok(["c2p", "p2c"].map(|kind| kinds.iter().any(|found| found == kind)))
    }
}

/// An encoder's file has no prefix. The heads of pre-training are passed over.
fn known_as(name: &str) -> Option<String> {
    let name = encoder::modern(name)?;
    let pretraining = ["cls.", "lm_predictions.", "mask_predictions."];
    if pretraining.iter().any(|head| name.starts_with(head)) {
        return None;
    }
    let has_prefix =
        ["deberta.", "pooler.", "classifier."].iter().any(|part| name.starts_with(part));
    Some(if has_prefix { name } else { format!("deberta.{name}") })
}

/// Fields of a config.json that other tools need, where a base model lacks them.
fn config_defaults(base: &Map<String, Value>) -> ConfigFields {
    let mut fields = vec![
        ("pad_token_id", json!(0)),
        ("hidden_act", json!("gelu")),
        ("hidden_dropout_prob", json!(0.1)),
        ("attention_probs_dropout_prob", json!(0.1)),
        ("initializer_range", json!(0.02)),
        ("layer_norm_eps", json!(EPS)),
        ("type_vocab_size", json!(0)),
        ("max_position_embeddings", json!(LONGEST)),
        ("max_relative_positions", json!(-1)),
        ("position_buckets", json!(-1)),
        ("position_biased_input", json!(true)),
        ("share_att_key", json!(false)),
        ("norm_rel_ebd", json!("none")),
        ("pooler_dropout", json!(0)),
        ("pooler_hidden_act", json!("gelu")),
    ];
    fields.extend(base.get("hidden_size").map(|size| ("pooler_hidden_size", size.clone())));
    fields
}
