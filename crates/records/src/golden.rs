//! `golden.json` of a model folder: pairs with the logits that every program must find again.

use crate::error::{Error, Result};
use crate::io::read_json;
use crate::layout::ModelDir;
use serde::{Deserialize, Serialize};

/// Pairs with their logits, as the exporting program computed them in f32 on a CPU.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Golden {
    /// Version of the program that wrote the file.
    pub version: String,
    /// Where the pairs come from.
    pub source: String,
    /// Tokens of the longest pair, special tokens included. Of a longer pair, the passage is cut.
    pub max_seq_tokens: usize,
    pub pairs: Vec<GoldenPair>,
}

/// A pair of texts, and its raw logit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GoldenPair {
    pub query: String,
    pub passage: String,
    pub logit: f32,
}

impl Golden {
    /// Reads the file of a model folder.
    ///
    /// # Errors
    /// [`Error::NoGolden`] for a folder without one, or with one that has no pairs.
    pub fn read(model: &ModelDir) -> Result<Self> {
        let golden: Option<Self> = read_json(&model.golden())?;
        golden
            .filter(|golden| !golden.pairs.is_empty())
            .ok_or_else(|| Error::NoGolden { path: model.golden() })
    }

    /// The texts of the pairs.
    pub fn texts(&self) -> Vec<(&str, &str)> {
        self.pairs.iter().map(|pair| (&*pair.query, &*pair.passage)).collect()
    }
}
