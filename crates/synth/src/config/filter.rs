//! `[filter]`: which proposed queries are kept.

use super::must;
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// Who must find a query's own passage again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RoundTrip {
    Off,
    Bm25,
    /// The bi-encoder.
    Dense,
}

/// What the best queries are chosen by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TopBy {
    /// The score of the query's own passage, as a share of the best passage's.
    RoundTrip,
    /// The grades of the judge, then as `round-trip`.
    Judge,
}

/// `[filter]`: which of the proposed queries are kept, and which passages are asked about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct FilterConfig {
    /// Passages that are navigation, licence text or a table of contents are not asked about.
    pub junk_passages: bool,
    /// Share of the passages asked about that must have a query, before `top`; with fewer, the run
    /// fails.
    pub min_covered_fraction: f64,
    /// Length, and no loop of repeated words.
    pub format: bool,
    /// Shortest and longest query that is kept.
    pub min_query_chars: usize,
    pub max_query_chars: usize,
    /// No query that repeats its passage.
    pub copied: bool,
    /// Longest run of words that a query may share with its passage.
    pub max_shared_words: usize,
    /// Largest share of a sentence's words that a query may repeat in their order.
    pub max_sentence_fraction: f64,
    /// Share of a query's words with a topic that may come from the passage.
    pub max_overlap_fraction: f64,
    /// No query about "the passage" itself, and none without one word of the passage.
    pub generic: bool,
    /// No query twice.
    pub duplicates: bool,
    /// Queries of one passage, or of several, that share this share of their words are duplicates;
    /// 1: only equal ones.
    pub near_duplicate_fraction: f64,
    /// The query's own passage must come back.
    pub round_trip: RoundTrip,
    /// Within this many passages.
    pub round_trip_depth: usize,
    /// An LLM, as `[judge]` says, grades every query, and whether its passage answers it.
    pub judge: bool,
    /// Only so many queries are kept, the best; 0: all.
    pub top: usize,
    pub top_by: TopBy,
}

impl Default for FilterConfig {
    fn default() -> Self {
        Self {
            junk_passages: true,
            min_covered_fraction: 0.5,
            format: true,
            min_query_chars: 8,
            max_query_chars: 200,
            copied: true,
            max_shared_words: 8,
            max_sentence_fraction: 0.7,
            max_overlap_fraction: 1.0,
            generic: true,
            duplicates: true,
            near_duplicate_fraction: 0.8,
            round_trip: RoundTrip::Off,
            round_trip_depth: 20,
            judge: false,
            top: 0,
            top_by: TopBy::RoundTrip,
        }
    }
}

impl FilterConfig {
    /// Refuses impossible values.
    pub fn check(&self) -> Result<()> {
        must(
            (0.0..=1.0).contains(&self.min_covered_fraction),
            "filter.min-covered-fraction",
            "in 0..=1",
            self.min_covered_fraction,
        )?;
        must(
            self.min_query_chars >= 1,
            "filter.min-query-chars",
            "at least 1",
            self.min_query_chars,
        )?;
        let longer = self.max_query_chars > self.min_query_chars;
        must(
            longer,
            "filter.max-query-chars",
            "more than `min-query-chars`",
            self.max_query_chars,
        )?;
        must(
            self.max_shared_words >= 1,
            "filter.max-shared-words",
            "at least 1",
            self.max_shared_words,
        )?;
        let fractions = [
            ("filter.max-sentence-fraction", self.max_sentence_fraction),
            ("filter.max-overlap-fraction", self.max_overlap_fraction),
            ("filter.near-duplicate-fraction", self.near_duplicate_fraction),
        ];
        for (key, fraction) in fractions {
            must(fraction > 0.0 && fraction <= 1.0, key, "above 0 and at most 1", fraction)?;
        }
        must(
            self.round_trip_depth >= 1,
            "filter.round-trip-depth",
            "at least 1",
            self.round_trip_depth,
        )?;
        let scored = self.top == 0
            || match self.top_by {
                TopBy::RoundTrip => self.round_trip != RoundTrip::Off,
                TopBy::Judge => self.judge,
            };
        must(
            scored,
            "filter.top-by",
            "a filter that is switched on, as it gives the score",
            "one that is off",
        )
    }
}
