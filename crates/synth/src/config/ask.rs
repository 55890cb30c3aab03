use super::must;
use crate::error::Result;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Who makes the queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GeneratorName {
    /// From the passage's own words; no model, no network.
    BuiltIn,
    /// An LLM behind any OpenAI-compatible endpoint.
    Openai,
}

/// `[ask]`: how queries are made for passages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct AskConfig {
    pub generator: GeneratorName,
    /// JSONL file of human questions with the quotes that answer them.
    pub judgements: Option<PathBuf>,
    /// Fewest queries asked of the generator for a passage.
    pub min_queries: usize,
    /// Most queries kept for a passage.
    pub max_queries: usize,
    /// Queries are made for a seeded sample of this many passages; absent: for all.
    pub max_passages: Option<usize>,
    /// Shortest and longest query that is kept.
    pub min_query_chars: usize,
    pub max_query_chars: usize,
    /// Base URL of the endpoint, up to and including `/v1`.
    pub base_url: String,
    /// Name of the LLM, as the endpoint knows it.
    pub llm: String,
    /// Environment variable that holds the key; it may be unset for a local server.
    pub api_key_env: String,
    /// Calls in flight at once.
    pub concurrency: usize,
    /// How long one call may take, in seconds.
    pub timeout_s: u64,
    /// How often a call that met 429, 5xx, a time-out or a broken connection is repeated.
    pub max_retries: u32,
    /// Longest wait between two tries of a call, in seconds.
    pub max_wait_s: u64,
    /// Sampling temperature, 0..=2.
    pub temperature: f32,
    /// Longest answer, in the LLM's tokens.
    pub max_answer_tokens: u32,
    /// Regular expression for each question in the JSON schema, as far as the server supports one; empty for none.
    pub question_pattern: String,
    /// Passed on as they are in every request's body, such as `repeat_penalty` for llama.cpp.
    pub extra_body: toml::Table,
}

impl Default for AskConfig {
    fn default() -> Self {
        Self {
            generator: GeneratorName::BuiltIn,
            judgements: None,
            min_queries: 3,
            max_queries: 5,
            max_passages: None,
            min_query_chars: 8,
            max_query_chars: 200,
            base_url: "http://127.0.0.1:8080/v1".into(),
            llm: "default".into(),
            api_key_env: "OPENAI_API_KEY".into(),
            concurrency: 4,
            timeout_s: 120,
            max_retries: 6,
            max_wait_s: 60,
            temperature: 0.7,
            max_answer_tokens: 400,
            // Not `.`: it would let a quote through, and with it the end of the string, in llama.cpp's grammars.
            question_pattern: r#"^(What|How|Why|When|Which|Where|Who|Can|Do|Does|Is|Are) [^"\\]{10,150}\?$"#.into(),
            extra_body: toml::Table::new(),
        }
    }
}

impl AskConfig {
    pub fn check(&self) -> Result<()> {
        must(self.min_queries >= 1, "ask.min-queries", "at least 1", self.min_queries)?;
        must(
            (self.min_queries..=20).contains(&self.max_queries),
            "ask.max-queries",
            "from `min-queries` to 20",
            self.max_queries,
        )?;
        must(self.max_passages != Some(0), "ask.max-passages", "at least 1, or absent for all", 0)?;
        must(self.min_query_chars >= 1, "ask.min-query-chars", "at least 1", self.min_query_chars)?;
        must(
            self.max_query_chars > self.min_query_chars,
            "ask.max-query-chars",
            "more than `min-query-chars`",
            self.max_query_chars,
        )?;
        let http = self.base_url.starts_with("http://") || self.base_url.starts_with("https://");
        must(http, "ask.base-url", "a URL that starts with http:// or https://", format!("`{}`", self.base_url))?;
        must(!self.llm.trim().is_empty(), "ask.llm", "the name of a model", "``")?;
        must((1..=1024).contains(&self.concurrency), "ask.concurrency", "in 1..=1024", self.concurrency)?;
        must(self.timeout_s >= 1, "ask.timeout-s", "at least 1", self.timeout_s)?;
        must(self.max_retries <= 100, "ask.max-retries", "at most 100", self.max_retries)?;
        must(self.max_wait_s >= 1, "ask.max-wait-s", "at least 1", self.max_wait_s)?;
        must((0.0..=2.0).contains(&self.temperature), "ask.temperature", "in 0..=2", self.temperature)?;
        must(self.max_answer_tokens >= 16, "ask.max-answer-tokens", "at least 16", self.max_answer_tokens)
    }
}
