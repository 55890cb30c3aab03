//! ModernBERT (Warner et al. 2024): the family of gte-reranker-modernbert-base. Most of its layers
//! see a window around each token, which makes long texts cheap.

use super::encoder::LAYER;
use super::{
    ConfigFields, Export, Family, Names, Piece, PreNormNames, Template, bert, parse, refuse,
};
use crate::error::Result;
use crate::spec::{
    DropoutRates, FeedForward, HeadKind, NormPlacement, Pooling, Positions, Rotary, Spec,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::path::Path;

const CLS: Piece = Piece::Special("[CLS]");
const SEP: Piece = Piece::Special("[SEP]");
/// transformers' defaults for a config that leaves them out.
const GLOBAL_THETA: f64 = 160_000.0;
const LOCAL_THETA: f64 = 10_000.0;
const GLOBAL_EVERY: usize = 3;
const WINDOW: usize = 128;
const EPS: f64 = 1e-5;
const PADDING: u32 = 50_283;

pub(super) static MODERNBERT: Family = Family {
    model_type: "modernbert",
    spec,
    names: Names {
        word: "model.embeddings.tok_embeddings",
        embedding_norm: "model.embeddings.norm",
        layers: "model.layers.",
        attention_output: "attn.Wo",
        attention_norm: "attn_norm",
        intermediate: "mlp.Wi",
        output: "mlp.Wo",
        output_norm: "mlp_norm",
        pre_norm: Some(PreNormNames {
            qkv: "attn.Wqkv",
            final_norm: "model.final_norm",
            head_norm: "head.norm",
        }),
        head_dense: "head.dense",
        head_output: "classifier",
        ..LAYER
    },
    known_as,
    template: Template {
        pair: &[(CLS, 0), (Piece::Query, 0), (SEP, 0), (Piece::Passage, 0), (SEP, 0)],
        text: &[(CLS, 0), (Piece::Query, 0), (SEP, 0)],
    },
    layer_count: &["num_hidden_layers"],
    per_layer: &["layer_types"],
    export: Export {
        architecture: "ModernBertForSequenceClassification",
        tokenizer_class: "PreTrainedTokenizerFast",
        config_defaults,
        special_tokens: bert::SPECIAL_TOKENS,
    },
};

/// The part of config.json that shapes the network.
#[derive(Deserialize)]
struct Config {
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    max_position_embeddings: usize,
    norm_eps: Option<f64>,
    local_attention: Option<usize>,
    classifier_pooling: Option<String>,
    #[serde(default)]
    embedding_dropout: f32,
    #[serde(default)]
    attention_dropout: f32,
    #[serde(default)]
    mlp_dropout: f32,
    #[serde(default)]
    classifier_dropout: f32,
    #[serde(default)]
    classifier_bias: bool,
    #[serde(flatten)]
    layers: LayerKinds,
    #[serde(flatten)]
    fixed: Fixed,
}

/// Which layers are global, and how positions enter, in the spelling of the hub and in that of
/// transformers 5.
#[derive(Deserialize)]
struct LayerKinds {
    global_attn_every_n_layers: Option<usize>,
    layer_types: Option<Vec<String>>,
    global_rope_theta: Option<f64>,
    /// Where it is null, local layers turn as global ones do.
    #[serde(default = "local_theta")]
    local_rope_theta: Option<f64>,
    rope_parameters: Option<RopeParameters>,
}

#[derive(Deserialize)]
struct RopeParameters {
    full_attention: Option<Rope>,
    sliding_attention: Option<Rope>,
}

#[derive(Deserialize)]
struct Rope {
    rope_type: Option<String>,
    rope_theta: Option<f64>,
}

/// Fields for which code exists only for one value.
#[derive(Deserialize)]
struct Fixed {
    hidden_activation: Option<String>,
    classifier_activation: Option<String>,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
    #[serde(default)]
    norm_bias: bool,
    rope_scaling: Option<Value>,
}

fn local_theta() -> Option<f64> {
    Some(LOCAL_THETA)
}

fn spec(path: &Path, bytes: &[u8]) -> Result<Spec> {
    let config: Config = parse(path, bytes)?;
    config.fixed.check(path)?;
    let rates = config.dropout(path)?;
    let eps = config.norm_eps.unwrap_or(EPS);
    if !(eps > 0.0 && eps < 1.0) {
        return refuse(path, "norm_eps", "in (0, 1)", eps);
    }
    let pairs = 2 * config.num_attention_heads;
    if pairs > 0 && !config.hidden_size.is_multiple_of(pairs) {
        let expected = "a multiple of twice num_attention_heads";
        return refuse(path, "hidden_size", expected, config.hidden_size);
    }
    let pooling = match config.classifier_pooling.as_deref() {
        None | Some("cls") => Pooling::FirstToken,
        Some("mean") => Pooling::Mean,
        Some(other) => return refuse(path, "classifier_pooling", "cls or mean", other),
    };
    Ok(Spec {
        vocabulary: config.vocab_size,
        token_types: 0,
        positions: Positions::Rotary(config.rotary(path)?),
        longest_input: config.max_position_embeddings,
        embedding: config.hidden_size,
        hidden: config.hidden_size,
        layers: config.num_hidden_layers,
        heads: config.num_attention_heads,
        ffn: config.intermediate_size,
        feed_forward: FeedForward::GeGlu,
        norm: NormPlacement::BeforeSublayer,
        eps,
        head: HeadKind::PooledGeluNorm { pooling, bias: config.classifier_bias },
        dropout: rates,
    })
}

impl Config {
    /// Three rates of the config are one here, the largest. Published models have 0 in all of them.
    fn dropout(&self, path: &Path) -> Result<DropoutRates> {
        let rates = [
            ("embedding_dropout", self.embedding_dropout),
            ("mlp_dropout", self.mlp_dropout),
            ("classifier_dropout", self.classifier_dropout),
            ("attention_dropout", self.attention_dropout),
        ];
        for (key, rate) in rates {
            if !(0.0..1.0).contains(&rate) {
                return refuse(path, key, "in [0, 1)", rate);
            }
        }
        let hidden = rates[..3].iter().fold(0.0, |largest: f32, (_, rate)| largest.max(*rate));
        Ok(DropoutRates { hidden, attention: self.attention_dropout })
    }

    fn rotary(&self, path: &Path) -> Result<Rotary> {
        let (layers, ropes) = (&self.layers, self.layers.rope_parameters.as_ref());
        let global = ropes.and_then(|ropes| ropes.full_attention.as_ref());
        let local = ropes.and_then(|ropes| ropes.sliding_attention.as_ref());
        for rope in [global, local].into_iter().flatten() {
            if let Some(kind) = rope.rope_type.as_ref().filter(|kind| *kind != "default") {
                return refuse(path, "rope_type", "default", kind);
            }
        }
        let global_theta = global
            .and_then(|rope| rope.rope_theta)
            .or(layers.global_rope_theta)
            .unwrap_or(GLOBAL_THETA);
        let local_theta = local
            .and_then(|rope| rope.rope_theta)
            .or(layers.local_rope_theta)
            .unwrap_or(global_theta);
        for (key, theta) in [("global_rope_theta", global_theta), ("local_rope_theta", local_theta)]
        {
            if !(theta > 0.0 && theta.is_finite()) {
                return refuse(path, key, "positive", theta);
            }
        }
        let reach = self.local_attention.unwrap_or(WINDOW) / 2;
        Ok(Rotary { global_theta, local_theta, reach, global_every: self.global_every(path)? })
    }

    /// Every so many-th layer is global. transformers 5 lists the kind of each instead.
    fn global_every(&self, path: &Path) -> Result<usize> {
        let Some(kinds) = &self.layers.layer_types else {
            return match self.layers.global_attn_every_n_layers.unwrap_or(GLOBAL_EVERY) {
                0 => refuse(path, "global_attn_every_n_layers", "positive", "0"),
                every => Ok(every),
            };
        };
        let kind = |index: usize, every| match index % every {
            0 => "full_attention",
            _ => "sliding_attention",
        };
        let every = period(kinds.iter().map(String::as_str));
        let is_regular = kinds.iter().enumerate().all(|(i, found)| found == kind(i, every));
        if is_regular && kinds.len() == self.num_hidden_layers {
            return Ok(every);
        }
        let expected = "full_attention at every n-th of num_hidden_layers from the first on, and \
                        sliding_attention between";
        refuse(path, "layer_types", expected, kinds.join(", "))
    }
}

impl Fixed {
    fn check(&self, path: &Path) -> Result<()> {
        for (key, value) in [
            ("hidden_activation", &self.hidden_activation),
            ("classifier_activation", &self.classifier_activation),
        ] {
            if let Some(value) = value.as_ref().filter(|value| *value != "gelu") {
                return refuse(path, key, "gelu", value);
            }
        }
        for (key, value) in [
            ("attention_bias", self.attention_bias),
            ("mlp_bias", self.mlp_bias),
            ("norm_bias", self.norm_bias),
        ] {
            if value {
                return refuse(path, key, "false", value);
            }
        }
        match self.rope_scaling.as_ref().filter(|value| !value.is_null()) {
            Some(scaling) => refuse(path, "rope_scaling", "null", scaling),
            None => Ok(()),
        }
    }
}

/// An encoder's file has no prefix. Pre-training leaves a `decoder` beside the head, whose first
/// layer a fresh classifier takes over, as transformers does.
fn known_as(name: &str) -> Option<String> {
    if name.starts_with("decoder.") || name.ends_with("rotary_emb.inv_freq") {
        return None;
    }
    let has_prefix = ["model.", "head.", "classifier."].iter().any(|part| name.starts_with(part));
    Some(if has_prefix { name.to_owned() } else { format!("model.{name}") })
}

/// Fields of a config.json that text-embeddings-inference needs, where a base model lacks them. It
/// knows the spelling of the hub alone.
fn config_defaults(base: &Map<String, Value>) -> ConfigFields {
    let theta = |layers: &str, usual| {
        let rope = base.get("rope_parameters").and_then(|ropes| ropes.get(layers));
        rope.and_then(|rope| rope.get("rope_theta")?.as_f64()).unwrap_or(usual)
    };
    let kinds = base.get("layer_types").and_then(Value::as_array);
    let every = kinds.map_or(GLOBAL_EVERY, |kinds| period(kinds.iter().filter_map(Value::as_str)));
    vec![
        ("pad_token_id", json!(PADDING)),
        ("hidden_activation", json!("gelu")),
        ("initializer_range", json!(0.02)),
        ("initializer_cutoff_factor", json!(2.0)),
        ("norm_eps", json!(EPS)),
        ("norm_bias", json!(false)),
        ("attention_bias", json!(false)),
        ("mlp_bias", json!(false)),
        ("decoder_bias", json!(true)),
        ("classifier_bias", json!(false)),
        ("classifier_activation", json!("gelu")),
        ("classifier_pooling", json!("cls")),
        ("local_attention", json!(WINDOW)),
        ("global_attn_every_n_layers", json!(every)),
        ("global_rope_theta", json!(theta("full_attention", GLOBAL_THETA))),
        ("local_rope_theta", json!(theta("sliding_attention", LOCAL_THETA))),
    ]
}

/// Returns how many layers there are from the first, a global one, to the next of its kind.
fn period<'a>(kinds: impl Iterator<Item = &'a str>) -> usize {
    kinds.skip(1).take_while(|kind| *kind != "full_attention").count() + 1
}
