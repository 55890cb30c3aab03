//! `origin.json` of a model folder: where its weights come from.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What an exported model is made of. The model card is rendered from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// Version of the program that exported the model.
    pub version: String,
    /// The base model, as the config of the training names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_model: Option<String>,
    /// The licence that the base model's card names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_license: Option<String>,
    /// How the model that the training began with was made smaller, or this one itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shrunk: Option<Shrunk>,
    /// The step of the training run.
    pub step: usize,
    /// Tokens of the longest pair, special tokens included.
    pub max_seq_tokens: usize,
    /// How a pair becomes one sequence: `[CLS] query [SEP] passage [SEP]`.
    pub template: String,
    /// nDCG@10 on the dev queries of the run, which also chose the step.
    #[serde(rename = "dev_ndcg@10", default, skip_serializing_if = "Option::is_none")]
    pub dev_ndcg_at_10: Option<f64>,
    /// SHA-256 of what the training read, by role.
    pub data: BTreeMap<String, String>,
    /// The config of the training, every key written out, as TOML.
    pub config: String,
}

/// What `shrink` left of a model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Shrunk {
    /// The model's folder.
    pub from: String,
    /// The layers that were kept, counted from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layers: Option<Vec<usize>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of_layers: Option<usize>,
    /// How many tokens were kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of_tokens: Option<usize>,
}
