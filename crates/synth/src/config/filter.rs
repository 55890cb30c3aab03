//! `[filter]`: which proposed queries are kept.

use super::must;
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// The search that must find a query's own passage again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RoundTrip {
    Off,
    Bm25,
    /// The bi-encoder.
    Dense,
}

/// The score that chooses the best queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TopBy {
    /// The score of the query's own passage, as a share of the best passage's.
    RoundTrip,
    /// The grades of the judge; `round-trip` breaks ties.
    Judge,
}

/// `[filter]`: which proposed queries are kept, and which passages are asked about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct FilterConfig {
    /// Whether to skip passages that are navigation, licence text or a table of contents.
    pub junk_passages: bool,
    /// Share of the passages asked about that must have a query, before `top`. With fewer, the run
    /// fails.
    pub min_covered_fraction: f64,
    /// Drops queries of a wrong length, and loops of repeated words.
    pub format: bool,
    /// Shortest and longest query that is kept.
    pub min_query_chars: usize,
    pub max_query_chars: usize,
    /// Drops queries that repeat their passage.
    pub copied: bool,
    /// Longest run of words that a query may share with its passage.
    pub max_shared_words: usize,
    /// Largest share of a sentence's words that a query may repeat in their order.
    pub max_sentence_fraction: f64,
    /// Share of a query's words with a topic that may come from the passage.
    pub max_overlap_fraction: f64,
    /// Drops queries about "the passage" itself, and those that share no word with it.
    pub generic: bool,
    /// Drops queries that occur twice.
    pub duplicates: bool,
    /// Queries that share this fraction of their words are duplicates, in one passage or several.
    /// With 1, only equal ones are.
    pub near_duplicate_fraction: f64,
    /// The search that must return the query's own passage.
    pub round_trip: RoundTrip,
    /// The passage must be among this many.
    pub round_trip_depth: usize,
    /// Whether the LLM of `[judge]` grades every query, and how its passage answers it.
    pub judge: bool,
    /// How many queries to keep, the best ones; 0: all.
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
