use super::must;
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// How negatives are drawn from what is left of a miner's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sampling {
    /// The best ranked ones.
    Top,
    /// A seeded draw.
    Random,
}

/// What becomes of other passages of the positive's document. Those that overlap the positive are
/// never negatives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SameDocument {
    /// They may be negatives unless they are the positive's neighbours.
    AllowFar,
    /// They are no negatives.
    Exclude,
}

/// `[mine]`: which passages become negatives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct MineConfig {
    /// Negatives of a training query, all miners together.
    pub negatives: usize,
    /// Share of the negatives that BM25 brings.
    pub bm25_fraction: f64,
    /// Share of the negatives that the bi-encoder brings. The rest is random.
    pub dense_fraction: f64,
    /// How many passages a miner may find for a query.
    pub rank_max: usize,
    /// The best of the passages that pass every filter below are skipped, this many: they may
    /// answer the query.
    pub rank_min: usize,
    /// A passage is dropped where its score s comes near the positive's score p by the same miner:
    /// s > p − |p| · relative-margin. Below 0, passages that score higher than the positive stay.
    pub relative_margin: f32,
    /// A passage that the bi-encoder scores above this is dropped, whoever found it.
    pub max_dense_score: Option<f32>,
    /// A passage that the bi-encoder scores below this is dropped, whoever found it.
    pub min_dense_score: Option<f32>,
    pub sampling: Sampling,
    pub same_document: SameDocument,
    /// BM25: where the weight of a repeated term saturates.
    pub bm25_k1: f32,
    /// BM25: how much long passages are held back, in 0..=1.
    pub bm25_b: f32,
}

impl Default for MineConfig {
    fn default() -> Self {
        Self {
            negatives: 5,
            bm25_fraction: 0.4,
            dense_fraction: 0.4,
            rank_max: 100,
            rank_min: 0,
            relative_margin: 0.05,
            max_dense_score: None,
            min_dense_score: None,
            sampling: Sampling::Random,
            same_document: SameDocument::AllowFar,
            // Anserini's values for passages.
            bm25_k1: 0.9,
            bm25_b: 0.4,
        }
    }
}

impl MineConfig {
    pub fn check(&self) -> Result<()> {
        must(self.negatives >= 1, "mine.negatives", "at least 1", self.negatives)?;
        must(
            (0.0..=1.0).contains(&self.bm25_fraction),
            "mine.bm25-fraction",
            "in [0, 1]",
            self.bm25_fraction,
        )?;
        must(
            (0.0..=1.0).contains(&self.dense_fraction),
            "mine.dense-fraction",
            "in [0, 1]",
            self.dense_fraction,
        )?;
        let both = self.bm25_fraction + self.dense_fraction;
        must(both <= 1.0 + 1e-9, "mine.bm25-fraction + mine.dense-fraction", "at most 1", both)?;
        must(self.rank_max >= 1, "mine.rank-max", "at least 1", self.rank_max)?;
        must(
            self.rank_min < self.rank_max,
            "mine.rank-min",
            "less than `rank-max`",
            self.rank_min,
        )?;
        must(self.relative_margin < 1.0, "mine.relative-margin", "below 1", self.relative_margin)?;
        let (lowest, highest) =
            (self.min_dense_score.unwrap_or(f32::MIN), self.max_dense_score.unwrap_or(f32::MAX));
        must(lowest <= highest, "mine.min-dense-score", "at most `max-dense-score`", lowest)?;
        must(
            self.bm25_k1 >= 0.0 && self.bm25_k1.is_finite(),
            "mine.bm25-k1",
            "a number of at least 0",
            self.bm25_k1,
        )?;
        must((0.0..=1.0).contains(&self.bm25_b), "mine.bm25-b", "in [0, 1]", self.bm25_b)
    }
}
