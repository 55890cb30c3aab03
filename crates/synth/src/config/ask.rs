//! `[ask]`: how queries are made for passages.

use super::must;
use crate::error::Result;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Who makes the queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GeneratorName {
    /// From the passage's own words, without a model or a network.
    BuiltIn,
    /// An LLM behind any OpenAI-compatible endpoint.
    Openai,
    /// A file of queries that were made elsewhere.
    File,
}

/// The kind of query to ask an LLM for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Style {
    /// A question, a situation and keywords for one passage.
    Mixed,
    Natural,
    Keyword,
    MultiConstraint,
    HowTo,
    Comparison,
    Troubleshooting,
}

impl Style {
    pub const ALL: [Style; 7] = [
        Style::Mixed,
        Style::Natural,
        Style::Keyword,
        Style::MultiConstraint,
        Style::HowTo,
        Style::Comparison,
        Style::Troubleshooting,
    ];

    /// The word in configs and in a query's metadata.
    pub fn name(self) -> &'static str {
        match self {
            Style::Mixed => "mixed",
            Style::Natural => "natural",
            Style::Keyword => "keyword",
            Style::MultiConstraint => "multi-constraint",
            Style::HowTo => "how-to",
            Style::Comparison => "comparison",
            Style::Troubleshooting => "troubleshooting",
        }
    }
}

/// `[ask]`: how queries are made for passages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct AskConfig {
    pub generator: GeneratorName,
    /// JSONL file of queries for `generator = "file"`: passage and its queries.
    pub queries: Option<PathBuf>,
    /// JSONL file of human questions with the quotes that answer them.
    pub judgements: Option<PathBuf>,
    /// Fewest queries asked of the generator for a passage.
    pub min_queries: usize,
    /// Most queries kept for a passage.
    pub max_queries: usize,
    /// Size of the seeded sample of passages to make queries for; absent: all.
    pub max_passages: Option<usize>,
    /// File with the LLM's instructions; absent: the compiled-in `configs/prompts/ask.md`.
    pub prompt: Option<PathBuf>,
    /// JSONL file of good questions on passages, which the LLM sees first.
    pub examples: Option<PathBuf>,
    /// How many of these the LLM sees.
    pub max_examples: usize,
    /// Weight of each style. Each passage gets one, drawn by the seed.
    pub styles: BTreeMap<Style, f64>,
    /// Who asks. One is drawn for each passage by the seed.
    pub personas: Vec<String>,
    /// Fewest and most words that a query should have.
    pub query_words: Option<(usize, usize)>,
    /// Language of the queries, in English (`German`) or as ISO 639-3 code; absent: the passage's
    /// own.
    pub language: Option<String>,
    /// Whether an answer in another language counts as faulty.
    pub check_language: bool,
    /// Sampling temperature, 0..=2.
    pub temperature: f32,
    /// Longest answer, in the LLM's tokens.
    pub max_answer_tokens: u32,
    /// Regular expression for each question in the JSON schema, on servers that support one; empty
    /// for none. Styles that are not all questions ignore it.
    pub question_pattern: String,
}

/// People who differ in what they know and in what they are after.
const PERSONAS: [&str; 4] = [
    "new to the subject and does not know its terms",
    "somebody who works with it every day and is in a hurry",
    "an expert who looks for one detail",
    "somebody with a problem that has to be solved now",
];

impl Default for AskConfig {
    fn default() -> Self {
        Self {
            generator: GeneratorName::BuiltIn,
            queries: None,
            judgements: None,
            min_queries: 3,
            max_queries: 5,
            max_passages: None,
            prompt: None,
            examples: None,
            max_examples: 3,
            styles: BTreeMap::from([(Style::Mixed, 1.0)]),
            personas: PERSONAS.map(str::to_owned).into(),
            query_words: None,
            language: None,
            check_language: true,
            temperature: 0.7,
            max_answer_tokens: 400,
            // Not `.`: in llama.cpp's grammars, it would let a quote through, and so the end of the
            // string.
            question_pattern:
                r#"^(What|How|Why|When|Which|Where|Who|Can|Do|Does|Is|Are) [^"\\]{10,150}\?$"#
                    .into(),
        }
    }
}

impl AskConfig {
    /// Refuses impossible values.
    pub fn check(&self) -> Result<()> {
        let named = self.generator != GeneratorName::File || self.queries.is_some();
        must(named, "ask.queries", "a file where `generator = \"file\"`", "none")?;
        must(self.min_queries >= 1, "ask.min-queries", "at least 1", self.min_queries)?;
        must(
            (self.min_queries..=20).contains(&self.max_queries),
            "ask.max-queries",
            "from `min-queries` to 20",
            self.max_queries,
        )?;
        must(self.max_passages != Some(0), "ask.max-passages", "at least 1, or absent for all", 0)?;
        must(
            (1..=20).contains(&self.max_examples),
            "ask.max-examples",
            "in 1..=20",
            self.max_examples,
        )?;
        let weights = self.styles.values();
        let fair = weights.clone().all(|weight| weight.is_finite() && *weight >= 0.0);
        let total: f64 = weights.sum();
        must(
            fair && total > 0.0,
            "ask.styles",
            "weights of at least 0, one of them above",
            format!("a sum of {total}"),
        )?;
        if let Some((least, most)) = self.query_words {
            let words = format!("[{least}, {most}]");
            must(
                least >= 1 && most >= least,
                "ask.query-words",
                "[fewest, most], at least 1",
                words,
            )?;
        }
        if let Some(language) = &self.language {
            let known = crate::language::named(language).is_some();
            must(
                known,
                "ask.language",
                "a language such as `German` or `deu`",
                format!("`{language}`"),
            )?;
        }
        must(
            (0.0..=2.0).contains(&self.temperature),
            "ask.temperature",
            "in 0..=2",
            self.temperature,
        )?;
        must(
            self.max_answer_tokens >= 16,
            "ask.max-answer-tokens",
            "at least 16",
            self.max_answer_tokens,
        )
    }
}
