//! `[llm]`: the endpoint, how fast to call it, and how much to spend.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What a million tokens of one LLM cost, in `currency`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Price {
    /// For sent tokens.
    pub input: f64,
    /// For received tokens.
    pub output: f64,
}

/// `[llm]`: the endpoint, how fast to call it, and how much to spend.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct LlmConfig {
    /// Base URL of the endpoint, up to and including `/v1`.
    pub base_url: String,
    /// Name of the LLM, as the endpoint knows it.
    pub name: String,
    /// Environment variable that holds the key; it may be unset for a local server.
    pub api_key_env: String,
    /// File that holds nothing but the key. It overrides the environment variable.
    pub api_key_file: Option<PathBuf>,
    /// Header of the key: `authorization` (as a bearer token), or `api-key` for Azure.
    pub api_key_header: String,
    /// Azure's `?api-version=…`.
    pub api_version: Option<String>,
    /// Calls in flight at once.
    pub concurrency: usize,
    /// Most calls per minute; 0: no limit.
    pub requests_per_minute: u32,
    /// Most tokens per minute, sent and received together; 0: no limit.
    pub tokens_per_minute: u32,
    /// Longest time for one call, in seconds.
    pub timeout_s: u64,
    /// Most retries of a call after 429, 5xx, a time-out or a broken connection.
    pub max_retries: u32,
    /// Longest wait between two tries of a call, in seconds.
    pub max_wait_s: u64,
    /// Most calls for this data set, earlier runs included; 0: no limit.
    pub max_requests: u64,
    /// Most tokens for this data set, sent and received, earlier runs included; 0: no limit.
    pub max_tokens: u64,
    /// Most money for this data set, earlier runs included; 0: no limit.
    pub max_cost: f64,
    /// The currency of the prices and of `max-cost`.
    pub currency: String,
    /// By the name of the LLM.
    pub prices: BTreeMap<String, Price>,
    /// Extra fields for every request's body, passed on unchanged, such as `repeat_penalty` for
    /// llama.cpp.
    pub extra_body: toml::Table,
}

impl Default for LlmConfig {
    fn default() -> Self {
        Self {
            base_url: "http://127.0.0.1:8080/v1".into(),
            name: "default".into(),
            api_key_env: "OPENAI_API_KEY".into(),
            api_key_file: None,
            api_key_header: "authorization".into(),
            api_version: None,
            concurrency: 4,
            requests_per_minute: 0,
            tokens_per_minute: 0,
            timeout_s: 120,
            max_retries: 6,
            max_wait_s: 120,
            max_requests: 0,
            max_tokens: 0,
            max_cost: 0.0,
            currency: "USD".into(),
            prices: BTreeMap::new(),
            extra_body: toml::Table::new(),
        }
    }
}

/// Body fields that Whetstone sets, and `extra-body` may not.
const SET: &[&str] = &[
    "model",
    "messages",
    "stream",
    "temperature",
    "max_tokens",
    "max_completion_tokens",
    "response_format",
    "seed",
    "n",
];

impl LlmConfig {
    /// Refuses impossible values.
    pub fn check(&self) -> Result<()> {
        let url = &self.base_url;
        let http = url.starts_with("http://") || url.starts_with("https://");
        must(
            http,
            "llm.base-url",
            "a URL that starts with http:// or https://",
            format!("`{url}`"),
        )?;
        // The value is not shown, because it may be a key.
        let bare = !url.contains(['?', '@', '#']);
        must(
            bare,
            "llm.base-url",
            "an address without `?`, `@` and `#`",
            "one that may hold a key",
        )?;
        // Hints would show a key that was put here by mistake.
        let variable =
            |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        let named = !self.api_key_env.is_empty() && self.api_key_env.bytes().all(variable);
        must(
            named,
            "llm.api-key-env",
            "the name of a variable in capitals, not the key",
            "something else",
        )?;
        must(!self.name.trim().is_empty(), "llm.name", "the name of a model", "``")?;
        let header = self.api_key_header.to_lowercase();
        let valid = !header.is_empty()
            && header.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        must(valid, "llm.api-key-header", "the name of a header", format!("`{header}`"))?;
        must(
            (1..=1024).contains(&self.concurrency),
            "llm.concurrency",
            "in 1..=1024",
            self.concurrency,
        )?;
        must(self.timeout_s >= 1, "llm.timeout-s", "at least 1", self.timeout_s)?;
        must(self.max_retries <= 100, "llm.max-retries", "at most 100", self.max_retries)?;
        must(self.max_wait_s >= 1, "llm.max-wait-s", "at least 1", self.max_wait_s)?;
        must(
            self.max_cost >= 0.0 && self.max_cost.is_finite(),
            "llm.max-cost",
            "at least 0",
            self.max_cost,
        )?;
        let fair = |price: &Price| {
            [price.input, price.output].iter().all(|one| one.is_finite() && *one >= 0.0)
        };
        must(self.prices.values().all(fair), "llm.prices", "prices of at least 0", "another")?;
        match self.extra_body.keys().find(|key| SET.contains(&key.as_str())) {
            Some(key) => Err(Error::ReservedBodyField { key: key.clone() }),
            None => Ok(()),
        }
    }

    /// Refuses a cap on money if the LLM has no price.
    pub fn check_price(&self, llm: &str) -> Result<()> {
        match self.max_cost > 0.0 && !self.prices.contains_key(llm) {
            true => Err(Error::NoPrice { llm: llm.to_owned() }),
            false => Ok(()),
        }
    }
}

/// `Ok` where the condition holds, else the error `` `key` must be EXPECTED, got VALUE ``.
pub(crate) fn must(
    holds: bool,
    key: &'static str,
    expected: &'static str,
    value: impl ToString,
) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::ConfigValue { key, expected, value: value.to_string() }) }
}
