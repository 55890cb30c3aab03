//! `[gather]`: several collections become one data set.

use super::must;
use crate::error::Result;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use whetstone_records::GivenSplit;

/// `[gather]`: several collections become one data set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct GatherConfig {
    /// BEIR folders, whose names go before all of their ids.
    pub folders: Vec<PathBuf>,
    /// Which of their judgements to train on; the others stay what their files are called.
    pub train_on: Vec<GivenSplit>,
    /// Most training queries of a folder, a seeded sample; 0: all.
    pub max_queries: usize,
}

impl Default for GatherConfig {
    fn default() -> Self {
        Self { folders: Vec::new(), train_on: vec![GivenSplit::Train], max_queries: 0 }
    }
}

impl GatherConfig {
    pub fn check(&self) -> Result<()> {
        let trains = !self.train_on.is_empty();
        must(trains, "gather.train-on", "at least one of \"train\", \"dev\" and \"test\"", "none")
    }
}
