//! What all judges share: who is asked, how, and the flaw of an answer without a verdict.

use crate::config::{LlmConfig, must};
use crate::error::Result;
use crate::journal::Entry;
use crate::parse;
use crate::request::{Message, Request, extra_body};
use crate::template::Template;
use crate::work::Assessment;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use whetstone_records::Passage;

/// The highest grade.
pub const BEST: u8 = 3;
/// A verdict takes some 20 tokens; the rest is room for a model that thinks first. Unused tokens
/// cost nothing.
pub const MAX_ANSWER_TOKENS: u32 = 1024;
/// Below this, no verdict fits.
const MIN_ANSWER_TOKENS: u32 = 16;

/// `[judge]`: which LLM judges queries, training pairs and answers, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct JudgeConfig {
    /// Name of the LLM, as the endpoint of `[llm]` knows it; absent: the name in `[llm]`.
    pub llm: Option<String>,
    /// File with the instructions for queries; absent: the compiled-in `configs/prompts/judge.md`.
    pub prompt: Option<PathBuf>,
    /// Longest verdict on a query or on two answers, in the LLM's tokens.
    pub max_answer_tokens: u32,
    /// A query is kept if both of its grades, 0..=3, are at least this.
    pub min_grade: u8,
}

impl Default for JudgeConfig {
    fn default() -> Self {
        Self { llm: None, prompt: None, max_answer_tokens: MAX_ANSWER_TOKENS, min_grade: 2 }
    }
}

impl JudgeConfig {
    /// Refuses impossible values.
    pub fn check(&self) -> Result<()> {
        let named = self.llm.as_ref().is_none_or(|name| !name.trim().is_empty());
        must(named, "judge.llm", "the name of a model", "``")?;
        must(self.min_grade <= BEST, "judge.min-grade", "in 0..=3", self.min_grade)?;
        check_limit("judge.max-answer-tokens", self.max_answer_tokens)
    }
}

/// Refuses a limit that fits no answer.
pub fn check_limit(key: &'static str, max_answer_tokens: u32) -> Result<()> {
    must(max_answer_tokens >= MIN_ANSWER_TOKENS, key, "at least 16", max_answer_tokens)
}

/// The judge, and the longest verdict.
#[derive(Clone, Copy)]
pub struct Judge<'a> {
    /// The endpoint.
    pub config: &'a LlmConfig,
    /// Name of the LLM.
    pub llm: &'a str,
    pub max_answer_tokens: u32,
}

impl<'a> Judge<'a> {
    /// The judge that a config names.
    pub fn of(config: &'a LlmConfig, judge: &'a JudgeConfig) -> Self {
        let llm = judge.llm.as_ref().unwrap_or(&config.name);
        Self { config, llm, max_answer_tokens: judge.max_answer_tokens }
    }

    /// A request at temperature 0. `messages` are the judge's instructions and the question.
    pub fn request(
        &self,
        subject: String,
        messages: [String; 2],
        form: (&'static str, Value),
        attempt: u32,
    ) -> Request {
        let [system, user] = messages;
        Request {
            subject,
            llm: self.llm.to_owned(),
            messages: vec![Message::system(system), Message::user(user)],
            form,
            temperature: 0.0,
            max_answer_tokens: self.max_answer_tokens,
            attempt,
            extra_body: extra_body(self.config),
        }
    }
}

/// A judge of queries, each with a passage.
pub struct PairJudge<'a> {
    judge: Judge<'a>,
    template: Template,
    /// Name and schema of the answer.
    form: (&'static str, Value),
}

impl<'a> PairJudge<'a> {
    /// Reads the prompt in `file`, or takes the compiled-in one. `form` is the name and the schema
    /// of the answer.
    pub fn open(
        judge: Judge<'a>,
        file: Option<&Path>,
        compiled_in: &str,
        form: (&'static str, Value),
    ) -> Result<Self> {
        let template =
            Template::open(file, compiled_in, &["query", "title", "text"], &["query", "text"])?;
        Ok(Self { judge, template, form })
    }

    /// The request for the grades of a query with a passage.
    pub fn request(
        &self,
        subject: String,
        query: &str,
        passage: &Passage,
        attempt: u32,
    ) -> Request {
        let values =
            [("query", query), ("title", passage.title.as_str()), ("text", passage.text.as_str())];
        self.judge.request(subject, self.template.render(&values), self.form.clone(), attempt)
    }
}

/// The schema of an object with these fields and no other.
pub fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let required: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    let properties: Map<String, Value> =
        fields.iter().map(|(name, of)| (name.to_string(), of.clone())).collect();
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

/// The schema of a grade.
pub fn grade() -> Value {
    json!({"type": "integer", "minimum": 0, "maximum": BEST})
}

/// The grade that an answer gives to `field`; none if there is none, or if it is in doubt.
pub fn grade_in(entry: &Entry, field: &str) -> Option<u8> {
    parse::grade(&entry.said(), field, BEST)
}

/// The value of an answer. A complete verdict is good even if the answer was cut off after it.
pub fn assess(is_readable: bool, entry: &Entry) -> Assessment {
    Assessment {
        flaw: (!is_readable).then(|| entry.flaw().unwrap_or("answers-unreadable")),
        usable: 0,
    }
}
