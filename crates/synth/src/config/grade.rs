use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `[grade]`: how an LLM grades training pairs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct GradeConfig {
    /// File with the instructions; absent: the compiled-in `configs/prompts/grade.md`.
    pub prompt: Option<PathBuf>,
}
