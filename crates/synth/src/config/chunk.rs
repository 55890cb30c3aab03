//! `[chunk]`.

use super::must;
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// `[chunk]`: how documents become passages. All lengths are in tokens of the model's own
/// tokenizer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ChunkConfig {
    /// Longest passage. Only a single code block, table or sentence of this length or more is
    /// split.
    pub passage_tokens: usize,
    /// How much of a passage's end the next one of the same section repeats, in whole sentences.
    pub overlap_tokens: usize,
    /// A last passage shorter than this joins the one before it.
    pub min_tokens: usize,
    /// Whether to remove repeated text. Lists of links, blocks on most pages and pages that other
    /// pages contain whole are left out. Equal passages become one with several places. A BEIR
    /// `corpus.jsonl` keeps all ids.
    pub drop_repeats: bool,
    /// Whether to split records of a BEIR `corpus.jsonl` longer than twice `passage-tokens`. They
    /// get new ids then, and the collection's qrels no longer fit.
    pub split_beir: bool,
    /// Length at which the model will truncate a query-passage pair, for the report.
    pub max_seq_tokens: usize,
}

impl Default for ChunkConfig {
    fn default() -> Self {
        Self {
            passage_tokens: 128,
            overlap_tokens: 24,
            min_tokens: 12,
            drop_repeats: true,
            split_beir: false,
            max_seq_tokens: 256,
        }
    }
}

impl ChunkConfig {
    pub fn check(&self) -> Result<()> {
        must(self.passage_tokens >= 8, "chunk.passage-tokens", "at least 8", self.passage_tokens)?;
        must(
            self.overlap_tokens * 2 < self.passage_tokens,
            "chunk.overlap-tokens",
            "less than half of `passage-tokens`",
            self.overlap_tokens,
        )?;
        must(
            self.min_tokens < self.passage_tokens,
            "chunk.min-tokens",
            "less than `passage-tokens`",
            self.min_tokens,
        )?;
        must(
            (32..=8192).contains(&self.max_seq_tokens),
            "chunk.max-seq-tokens",
            "in 32..=8192",
            self.max_seq_tokens,
        )
    }
}
