//! `[grade]`: how an LLM grades training pairs.

use crate::error::Result;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use whetstone_llm::judging::{MAX_ANSWER_TOKENS, check_limit};

/// `[grade]`: how an LLM grades training pairs; `[judge]` says which.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct GradeConfig {
    /// File with the instructions; absent: the compiled-in `configs/prompts/grade.md`.
    pub prompt: Option<PathBuf>,
    /// Longest answer with a grade, in the LLM's tokens.
    pub max_answer_tokens: u32,
}

impl Default for GradeConfig {
    fn default() -> Self {
        Self { prompt: None, max_answer_tokens: MAX_ANSWER_TOKENS }
    }
}

impl GradeConfig {
    /// Refuses impossible values.
    pub fn check(&self) -> Result<()> {
        Ok(check_limit("grade.max-answer-tokens", self.max_answer_tokens)?)
    }
}
