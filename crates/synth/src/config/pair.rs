//! `[pair]`: how the files for training and measuring are made.

use super::must;
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// Whose scores a trainer may learn from, beside the labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Teacher {
    /// Nobody's, except those of `whetstone grade`.
    None,
    /// The bi-encoder's of `mine`, corrected by the label.
    BiEncoder,
}

/// `[pair]`: how the files for training and measuring are made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct PairConfig {
    /// Length of a candidate list; at most `mine.rank-max`.
    pub depth: usize,
    /// The k of reciprocal rank fusion: 1 / (k + rank).
    pub rrf_k: f64,
    /// Most training pairs: a seeded sample of queries with all their pairs; 0: all.
    pub max_pairs: usize,
    /// Most dev queries, a seeded sample; 0: all. Training scores them again and again.
    pub max_dev_queries: usize,
    /// Most test queries, a seeded sample; 0: all.
    pub max_test_queries: usize,
    /// Share of the built-in queries in whose positive some of the query's words are masked.
    pub mask_fraction: f64,
    /// The source of a training pair's `teacher`.
    pub teacher: Teacher,
    /// Factor on the bi-encoder's score, a cosine.
    pub teacher_scale: f32,
    /// What a label of 1 adds to the score.
    pub teacher_label_weight: f32,
}

impl Default for PairConfig {
    fn default() -> Self {
        Self {
            depth: 30,
            rrf_k: 60.0,
            max_pairs: 0,
            max_dev_queries: 200,
            max_test_queries: 0,
            mask_fraction: 0.5,
            teacher: Teacher::None,
            teacher_scale: 10.0,
            teacher_label_weight: 4.0,
        }
    }
}

impl PairConfig {
    pub fn check(&self) -> Result<()> {
        must(self.depth >= 1, "pair.depth", "at least 1", self.depth)?;
        must(
            self.rrf_k >= 0.0 && self.rrf_k.is_finite(),
            "pair.rrf-k",
            "a number of at least 0",
            self.rrf_k,
        )?;
        must(
            (0.0..=1.0).contains(&self.mask_fraction),
            "pair.mask-fraction",
            "in 0..=1",
            self.mask_fraction,
        )?;
        let sane = |value: f32| (0.0..=100.0).contains(&value);
        must(sane(self.teacher_scale), "pair.teacher-scale", "from 0 to 100", self.teacher_scale)?;
        must(
            sane(self.teacher_label_weight),
            "pair.teacher-label-weight",
            "from 0 to 100",
            self.teacher_label_weight,
        )
    }
}
