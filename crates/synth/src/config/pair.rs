use super::must;
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// `[pair]`: how the files for training and measuring are put together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct PairConfig {
    /// Length of a candidate list; no more than `mine.rank-max` can be of use.
    pub depth: usize,
    /// The k of reciprocal rank fusion: 1 / (k + rank).
    pub rrf_k: f64,
    /// Most training pairs, a seeded sample of queries with all their pairs; 0: all.
    pub max_pairs: usize,
    /// Most dev queries, a seeded sample: they are scored again and again during training; 0: all.
    pub max_dev_queries: usize,
    /// Most test queries, a seeded sample; 0: all.
    pub max_test_queries: usize,
}

impl Default for PairConfig {
    fn default() -> Self {
        Self { depth: 30, rrf_k: 60.0, max_pairs: 0, max_dev_queries: 200, max_test_queries: 0 }
    }
}

impl PairConfig {
    pub fn check(&self) -> Result<()> {
        must(self.depth >= 1, "pair.depth", "at least 1", self.depth)?;
        must(self.rrf_k >= 0.0 && self.rrf_k.is_finite(), "pair.rrf-k", "a number of at least 0", self.rrf_k)
    }
}
