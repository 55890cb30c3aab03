use crate::error::{Error, Result};
use serde::Deserialize;
use std::path::Path;

/// The part of Hugging Face's `config.json` that shapes the network. Fields that are not named here
/// are ignored.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct BertConfig {
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub intermediate_size: usize,
    pub max_position_embeddings: usize,
    #[serde(default = "two")]
    pub type_vocab_size: usize,
    #[serde(default = "bert_eps")]
    pub layer_norm_eps: f64,
    #[serde(default)]
    pub hidden_dropout_prob: f32,
    #[serde(default)]
    pub attention_probs_dropout_prob: f32,
    #[serde(default = "gelu")]
    pub hidden_act: String,
    #[serde(default = "bert")]
    pub model_type: String,
}

fn two() -> usize {
    2
}

fn bert_eps() -> f64 {
    1e-12
}

fn gelu() -> String {
    "gelu".into()
}

fn bert() -> String {
    "bert".into()
}

impl BertConfig {
    /// Reads `config.json` of a model folder and refuses what the network cannot be.
    pub fn load(model_dir: &Path) -> Result<Self> {
        let path = model_dir.join("config.json");
        let bytes = std::fs::read(&path).map_err(Error::io("read", &path))?;
        let config: Self = serde_json::from_slice(&bytes)
            .map_err(|source| Error::Config { path: path.clone(), source })?;
        config.check(&path)?;
        Ok(config)
    }

    fn check(&self, path: &Path) -> Result<()> {
        let refuse = |key, expected, value: String| {
            Err(Error::Unsupported { path: path.into(), key, expected, value })
        };
        if self.model_type != "bert" {
            return refuse("model_type", "`bert`", self.model_type.clone());
        }
        if self.hidden_act != "gelu" {
            return refuse("hidden_act", "`gelu`", self.hidden_act.clone());
        }
        for (key, value) in [
            ("vocab_size", self.vocab_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("intermediate_size", self.intermediate_size),
            ("type_vocab_size", self.type_vocab_size.saturating_sub(1)),
        ] {
            if value == 0 {
                return refuse(key, "positive (two token types for pairs)", value.to_string());
            }
        }
        if self.hidden_size == 0 || !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            return refuse(
                "hidden_size",
                "a multiple of num_attention_heads",
                self.hidden_size.to_string(),
            );
        }
        Ok(())
    }
}
