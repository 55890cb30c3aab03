//! What the LLM is told, and the JSON that it is asked for.

use crate::config::AskConfig;
use crate::error::{Error, Result};
use serde::Serialize;
use serde_json::{Map, Value, json};
use whetstone_records::{Passage, sha256_bytes};

const SYSTEM: &str = "You write search queries that people would type before they have seen a text. You are given the title and \
    the text of one passage. Write questions that this passage answers. Each is about a different fact of the passage, names \
    what it is about (product, version, place, date) so that it can be understood alone, and uses words of its own instead \
    of copying a sentence. Never write \"this passage\" or \"the text\". Answer with JSON only.";

// One turn of example: without it a small model repeats itself or writes `1.1.1.1`.
const EXAMPLE_TITLE: &str = "Allotment rules > Water";
const EXAMPLE_TEXT: &str = "The garden pumps run from April to October. Watering by hose is allowed before 9 in the morning and \
    after 6 in the evening. Tanks of up to 300 litres may be set up without asking the board, larger ones need its written \
    consent.";
const EXAMPLE_QUESTIONS: [&str; 4] = [
    "When can I water my allotment with a hose?",
    "In which months is there water on the allotment?",
    "How big may a rainwater tank be without permission?",
    "Who has to agree to a large water tank on an allotment?",
];

/// How much of a request a server is known to take. Servers differ, so it starts with all and learns from refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    pub format: Format,
    /// Newer OpenAI models want `max_completion_tokens`, most other servers know only `max_tokens`.
    pub completion_limit: bool,
    pub temperature: bool,
}

/// What the answer is held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Schema,
    JsonObject,
    Plain,
}

impl Default for Dialect {
    fn default() -> Self {
        Self { format: Format::Schema, completion_limit: false, temperature: true }
    }
}

impl Dialect {
    /// Returns what to try after a refusal with this message, or none where nothing is left to leave out.
    pub fn simpler(self, message: &str) -> Option<Self> {
        if !self.completion_limit && message.contains("max_completion_tokens") {
            return Some(Self { completion_limit: true, ..self });
        }
        if self.temperature && message.contains("temperature") {
            return Some(Self { temperature: false, ..self });
        }
        match self.format {
            Format::Schema => Some(Self { format: Format::JsonObject, ..self }),
            Format::JsonObject => Some(Self { format: Format::Plain, ..self }),
            Format::Plain => None,
        }
    }
}

/// Returns the body of the call for a passage.
pub fn body(passage: &Passage, config: &AskConfig, dialect: Dialect) -> Value {
    let mut body = Map::new();
    body.insert("model".into(), json!(config.llm));
    body.insert("messages".into(), messages(passage, config));
    body.insert("stream".into(), json!(false));
    if dialect.temperature {
        // By way of text, or the f32 0.7 would be sent as 0.699999988079071.
        let temperature: f64 = config.temperature.to_string().parse().expect("a number reads back");
        body.insert("temperature".into(), json!(temperature));
    }
    let limit = if dialect.completion_limit { "max_completion_tokens" } else { "max_tokens" };
    body.insert(limit.into(), json!(config.max_answer_tokens));
    match dialect.format {
        Format::Schema => body.insert("response_format".into(), schema(config)),
        Format::JsonObject => body.insert("response_format".into(), json!({"type": "json_object"})),
        Format::Plain => None,
    };
    for (key, value) in &config.extra_body {
        body.insert(key.clone(), json!(value));
    }
    Value::Object(body)
}

/// Refuses extra fields that would overwrite what is set here.
pub fn check_extra_body(config: &AskConfig) -> Result<()> {
    const SET: &[&str] =
        &["model", "messages", "stream", "temperature", "max_tokens", "max_completion_tokens", "response_format", "n"];
    match config.extra_body.keys().find(|key| SET.contains(&key.as_str())) {
        Some(key) => Err(Error::ReservedBodyField { key: key.clone() }),
        None => Ok(()),
    }
}

fn messages(passage: &Passage, config: &AskConfig) -> Value {
    json!([
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": ask(EXAMPLE_TITLE, EXAMPLE_TEXT, config)},
        {"role": "assistant", "content": json!({"questions": EXAMPLE_QUESTIONS}).to_string()},
        {"role": "user", "content": ask(&passage.title, &passage.text, config)},
    ])
}

fn ask(title: &str, text: &str, config: &AskConfig) -> String {
    let (fewest, most) = (config.min_queries, config.max_queries);
    let title = if title.is_empty() { String::new() } else { format!("Title: {title}\n") };
    format!("{title}Passage: {text}\n\nWrite {fewest} to {most} questions as {{\"questions\": [\"…\", …]}}.")
}

fn schema(config: &AskConfig) -> Value {
    let mut item = json!({"type": "string"});
    if !config.question_pattern.is_empty() {
        item["pattern"] = json!(config.question_pattern);
    }
    json!({"type": "json_schema", "json_schema": {"name": "questions", "strict": true, "schema": {
        "type": "object",
        "properties": {
            "questions": {
                "type": "array", "items": item, "minItems": config.min_queries, "maxItems": config.max_queries
            }
        },
        "required": ["questions"],
        "additionalProperties": false,
    }}})
}

/// Returns the key of a call: a digest of all that its answer depends on. The endpoint and its dialect are no part of it,
/// so that an answer stays paid when the server moves.
pub fn key(passage: &Passage, config: &AskConfig) -> String {
    #[derive(Serialize)]
    struct Parts<'a> {
        prompt: [&'a str; 3],
        questions: [&'a str; 4],
        title: &'a str,
        text: &'a str,
        llm: &'a str,
        temperature: f32,
        max_answer_tokens: u32,
        queries: (usize, usize),
        pattern: &'a str,
        extra_body: std::collections::BTreeMap<&'a str, String>,
    }
    let parts = Parts {
        prompt: [SYSTEM, EXAMPLE_TITLE, EXAMPLE_TEXT],
        questions: EXAMPLE_QUESTIONS,
        title: &passage.title,
        text: &passage.text,
        llm: &config.llm,
        temperature: config.temperature,
        max_answer_tokens: config.max_answer_tokens,
        queries: (config.min_queries, config.max_queries),
        pattern: &config.question_pattern,
        extra_body: config.extra_body.iter().map(|(key, value)| (key.as_str(), value.to_string())).collect(),
    };
    sha256_bytes(&serde_json::to_vec(&parts).expect("plain data always serialises"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passage(text: &str) -> Passage {
        Passage { id: "p".into(), title: "T".into(), text: text.into(), metadata: Default::default() }
    }

    #[test]
    fn the_key_changes_with_all_that_is_paid_for_and_not_with_the_endpoint() {
        let config = AskConfig::default();
        let key = |config: &AskConfig| key(&passage("x"), config);
        assert_ne!(key(&config), super::key(&passage("y"), &config));
        assert_ne!(key(&config), key(&AskConfig { llm: "other".into(), ..config.clone() }));
        assert_ne!(key(&config), key(&AskConfig { temperature: 0.1, ..config.clone() }));
        let extra_body = toml::Table::from_iter([("top_k".to_owned(), toml::Value::Integer(3))]);
        assert_ne!(key(&config), key(&AskConfig { extra_body, ..config.clone() }));
        let moved = AskConfig { base_url: "http://other/v1".into(), timeout_s: 1, concurrency: 9, ..config.clone() };
        assert_eq!(key(&config), key(&moved));
    }

    #[test]
    fn a_refused_request_is_made_simpler_step_by_step() {
        let config = AskConfig::default();
        let first = Dialect::default();
        let body = |dialect| super::body(&passage("x"), &config, dialect);
        assert_eq!(body(first)["response_format"]["type"], "json_schema");
        assert_eq!(body(first)["temperature"].to_string(), "0.7");
        let renamed = first.simpler("use max_completion_tokens").unwrap();
        assert_eq!(
            (body(renamed)["max_tokens"].as_u64(), body(renamed)["max_completion_tokens"].as_u64()),
            (None, Some(400))
        );
        let object = renamed.simpler("response_format is unknown").unwrap();
        assert_eq!(body(object)["response_format"]["type"], "json_object");
        let plain = object.simpler("response_format is unknown").unwrap();
        assert!(body(plain).get("response_format").is_none());
        assert_eq!(plain.simpler("no"), None);
    }

    #[test]
    fn extra_fields_are_sent_but_may_not_overwrite() {
        let table = |key: &str| toml::Table::from_iter([(key.to_owned(), toml::Value::Float(1.1))]);
        let config = AskConfig { extra_body: table("repeat_penalty"), ..AskConfig::default() };
        check_extra_body(&config).unwrap();
        assert_eq!(body(&passage("x"), &config, Dialect::default())["repeat_penalty"], 1.1);
        assert!(check_extra_body(&AskConfig { extra_body: table("model"), ..config }).is_err());
    }
}
