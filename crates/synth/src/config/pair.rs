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
    /// The bi-encoder's of `mine`.
    BiEncoder,
    /// Those of `teacher-model`.
    CrossEncoder,
    /// Those of both first stages, joined.
    Both,
}

impl Teacher {
    /// The retrievers that teach, by their kinds.
    pub const BM25: &'static str = "bm25";
    pub const DENSE: &'static str = "dense";

    /// The word in the config.
    pub fn name(self) -> &'static str {
        match self {
            Teacher::None => "none",
            Teacher::BiEncoder => "bi-encoder",
            Teacher::CrossEncoder => "cross-encoder",
            Teacher::Both => "both",
        }
    }

    /// The retrievers of `mine` whose scores it takes.
    pub fn needs(self) -> &'static [&'static str] {
        match self {
            Teacher::None | Teacher::CrossEncoder => &[],
            Teacher::BiEncoder => &[Self::DENSE],
            Teacher::Both => &[Self::BM25, Self::DENSE],
        }
    }
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
    /// Share of the queries of any kind from whose positive their own sentence is cut.
    pub cut_sentence_fraction: f64,
    /// The source of a training pair's `teacher`.
    pub teacher: Teacher,
    /// The cross-encoder that teaches: an id of the hub or a folder.
    pub teacher_model: Option<String>,
    /// Factor on the teacher's own score; absent: what fits its kind of score.
    pub teacher_scale: Option<f32>,
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
            mask_fraction: 0.0,
            cut_sentence_fraction: 0.0,
            teacher: Teacher::None,
            teacher_model: None,
            teacher_scale: None,
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
        must(
            (0.0..=1.0).contains(&self.cut_sentence_fraction),
            "pair.cut-sentence-fraction",
            "in 0..=1",
            self.cut_sentence_fraction,
        )?;
        self.check_teacher()
    }

    /// Factor on the teacher's own score: cosines lie near each other, logits and z-scores do not.
    pub fn scale_of_teacher(&self) -> f32 {
        let default = if self.teacher == Teacher::BiEncoder { 10.0 } else { 1.0 };
        self.teacher_scale.unwrap_or(default)
    }

    fn check_teacher(&self) -> Result<()> {
        let model = self.teacher_model.as_ref();
        let expected = match self.teacher {
            Teacher::CrossEncoder => "an id or a folder where `teacher` is \"cross-encoder\"",
            _ => "absent where `teacher` is not \"cross-encoder\"",
        };
        let fits = model.is_some() == (self.teacher == Teacher::CrossEncoder);
        let value = model.map_or("none".to_owned(), |model| format!("`{model}`"));
        must(fits, "pair.teacher-model", expected, value)?;
        let sane = |value: f32| (0.0..=100.0).contains(&value);
        let scale = self.scale_of_teacher();
        must(sane(scale), "pair.teacher-scale", "from 0 to 100", scale)?;
        must(
            sane(self.teacher_label_weight),
            "pair.teacher-label-weight",
            "from 0 to 100",
            self.teacher_label_weight,
        )
    }
}
