//! One request to the LLM: its messages, the JSON it is held to, and the key of its answer.

use crate::config::LlmConfig;
use serde::Serialize;
use serde_json::{Map, Value, json};
use whetstone_records::sha256_bytes;

/// One turn of the conversation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Message {
    pub role: &'static str,
    pub content: String,
}

impl Message {
    pub fn system(content: String) -> Self {
        Self { role: "system", content }
    }

    pub fn user(content: String) -> Self {
        Self { role: "user", content }
    }

    pub fn assistant(content: String) -> Self {
        Self { role: "assistant", content }
    }
}

/// Everything that an answer depends on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Request {
    /// Its subject, for the journal; not part of the key.
    #[serde(skip)]
    pub subject: String,
    pub llm: String,
    pub messages: Vec<Message>,
    /// Name of the JSON schema, and the schema.
    pub form: (&'static str, Value),
    pub temperature: f32,
    pub max_answer_tokens: u32,
    /// 0, then 1 if the first answer was useless.
    pub attempt: u32,
    pub extra_body: Vec<(String, String)>,
}

impl Request {
    /// Returns the key of the answer: a digest of everything that it depends on. The endpoint and
    /// its dialect are not part of it, so that an answer stays paid when the server moves.
    pub fn key(&self) -> String {
        sha256_bytes(&serde_json::to_vec(self).expect("plain data always serialises"))
    }

    /// The messages, with the system's text in front of the user's first one.
    fn folded(&self) -> Vec<Message> {
        match self.messages.as_slice() {
            [system, first, rest @ ..] if system.role == "system" => {
                let content = format!("{}\n\n{}", system.content, first.content);
                let first = Message { role: first.role, content: content.trim_start().into() };
                std::iter::once(first).chain(rest.iter().cloned()).collect()
            }
            messages => messages.to_vec(),
        }
    }

    /// Bytes of text to send.
    pub fn bytes(&self) -> usize {
        self.messages.iter().map(|message| message.content.len()).sum()
    }

    /// Returns the body of the call.
    pub fn body(&self, config: &LlmConfig, dialect: Dialect) -> Value {
        let mut body = Map::new();
        body.insert("model".into(), json!(self.llm));
        let messages = if dialect.system { json!(self.messages) } else { json!(self.folded()) };
        body.insert("messages".into(), messages);
        body.insert("stream".into(), json!(false));
        if dialect.temperature {
            // Converts via text, because the f32 0.7 would be sent as 0.699999988079071.
            let temperature: f64 =
                self.temperature.to_string().parse().expect("a number reads back");
            body.insert("temperature".into(), json!(temperature));
        }
        if dialect.seed {
            body.insert("seed".into(), json!(self.attempt + 1));
        }
        let limit = if dialect.completion_limit { "max_completion_tokens" } else { "max_tokens" };
        body.insert(limit.into(), json!(self.max_answer_tokens));
        let (name, schema) = &self.form;
        let held_to = |schema: &Value| json!({"type": "json_schema", "json_schema": {"name": name, "strict": true, "schema": schema}});
        match dialect.format {
            Format::Schema => body.insert("response_format".into(), held_to(schema)),
            Format::BareSchema => body.insert("response_format".into(), held_to(&bare(schema))),
            Format::JsonObject => {
                body.insert("response_format".into(), json!({"type": "json_object"}))
            }
            Format::Plain => None,
        };
        for (key, value) in &config.extra_body {
            body.insert(key.clone(), json!(value));
        }
        Value::Object(body)
    }
}

/// The extra fields of the config as text, for the key.
pub fn extra_body(config: &LlmConfig) -> Vec<(String, String)> {
    config.extra_body.iter().map(|(key, value)| (key.clone(), value.to_string())).collect()
}

/// The schema without limits on lengths and numbers, which some servers with strict schemas reject.
fn bare(schema: &Value) -> Value {
    const LIMITS: &[&str] =
        &["pattern", "minItems", "maxItems", "minimum", "maximum", "minLength", "maxLength"];
    match schema {
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(key, _)| !LIMITS.contains(&key.as_str()));
            Value::Object(kept.map(|(key, value)| (key.clone(), bare(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(bare).collect()),
        other => other.clone(),
    }
}

/// Whether a refusal concerns the system message, which some models' templates reject.
pub fn names_system_role(message: &str) -> bool {
    let message = message.to_lowercase();
    let has = |word: &str| message.contains(word);
    has("system") && ["role", "message", "instruction", "prompt"].into_iter().any(has)
        || has("developer instruction")
        || has("roles must alternate")
        || has("only user and assistant roles")
}

/// How much of a request a server accepts. Servers differ, so it starts with everything and learns
/// from refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    pub format: Format,
    /// Newer OpenAI models want `max_completion_tokens`, most other servers know only `max_tokens`.
    pub completion_limit: bool,
    pub temperature: bool,
    pub seed: bool,
    /// Whether the model's template accepts a system message. If not, its text opens the user's.
    pub system: bool,
}

/// The form that answers must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Schema,
    /// Without limits on lengths and numbers.
    BareSchema,
    JsonObject,
    Plain,
}

impl Format {
    /// The note for the user.
    pub fn told(self) -> &'static str {
        match self {
            Format::Schema => "the endpoint holds answers to a JSON schema",
            Format::BareSchema => {
                "the endpoint holds answers to a JSON schema without limits on lengths"
            }
            Format::JsonObject => {
                "the endpoint takes no JSON schema; answers are JSON objects, parsed as they come"
            }
            Format::Plain => {
                "the endpoint takes no JSON schema; answers are text, parsed as they come"
            }
        }
    }
}

impl Default for Dialect {
    fn default() -> Self {
        Self {
            format: Format::Schema,
            completion_limit: false,
            temperature: true,
            seed: true,
            system: true,
        }
    }
}

impl Dialect {
    /// The note for the user.
    pub fn told(self) -> Vec<&'static str> {
        let system = "the model takes no system message; its text opens the user's";
        let format = (self.format != Format::Schema).then(|| self.format.told());
        format.into_iter().chain((!self.system).then_some(system)).collect()
    }

    /// Returns what to try after a refusal with this message, or none if nothing is left to drop.
    pub fn simpler(self, message: &str) -> Option<Self> {
        if !self.completion_limit && message.contains("max_completion_tokens") {
            return Some(Self { completion_limit: true, ..self });
        }
        if self.system && names_system_role(message) {
            return Some(Self { system: false, ..self });
        }
        if self.temperature && message.contains("temperature") {
            return Some(Self { temperature: false, ..self });
        }
        if self.seed && message.contains("seed") {
            return Some(Self { seed: false, ..self });
        }
        let format = match self.format {
            Format::Schema => Format::BareSchema,
            Format::BareSchema => Format::JsonObject,
            Format::JsonObject => Format::Plain,
            Format::Plain => return None,
        };
        Some(Self { format, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        Request {
            subject: "p".into(),
            llm: "m".into(),
            messages: vec![Message::user("x".into())],
            form: (
                "questions",
                json!({"type": "array", "items": {"type": "string", "pattern": "a"}, "maxItems": 3}),
            ),
            temperature: 0.7,
            max_answer_tokens: 400,
            attempt: 0,
            extra_body: Vec::new(),
        }
    }

    #[test]
    fn the_key_changes_with_all_that_is_paid_for_and_not_with_whom_it_is_about() {
        let key = request().key();
        assert_eq!(key.len(), 64);
        assert_eq!(key, Request { subject: "q".into(), ..request() }.key());
        for other in [
            Request { llm: "other".into(), ..request() },
            Request { messages: vec![Message::user("y".into())], ..request() },
            Request { temperature: 0.1, ..request() },
            Request { attempt: 1, ..request() },
            Request { extra_body: vec![("top_k".into(), "3".into())], ..request() },
        ] {
            assert_ne!(key, other.key(), "{other:?}");
        }
    }

    #[test]
    fn a_refused_request_is_made_simpler_step_by_step() {
        let config = LlmConfig::default();
        let body = |dialect| request().body(&config, dialect);
        let first = Dialect::default();
        assert_eq!(body(first)["response_format"]["json_schema"]["schema"]["maxItems"], 3);
        assert_eq!(body(first)["temperature"].to_string(), "0.7");
        let renamed = first.simpler("use max_completion_tokens").unwrap();
        let limits =
            (body(renamed)["max_tokens"].as_u64(), body(renamed)["max_completion_tokens"].as_u64());
        assert_eq!(limits, (None, Some(400)));
        let unseeded = renamed.simpler("unknown field `seed`").unwrap();
        assert_eq!(body(unseeded).get("seed"), None);
        let bare = unseeded.simpler("schema keyword maxItems is not permitted").unwrap();
        let schema = &body(bare)["response_format"]["json_schema"]["schema"];
        assert_eq!(schema, &json!({"type": "array", "items": {"type": "string"}}));
        let object = bare.simpler("response_format is unknown").unwrap();
        assert_eq!(body(object)["response_format"]["type"], "json_object");
        let plain = object.simpler("response_format is unknown").unwrap();
        assert!(body(plain).get("response_format").is_none());
        assert_eq!(plain.simpler("no"), None);
    }

    #[test]
    fn a_second_attempt_has_another_seed_and_extra_fields_are_sent() {
        let extra =
            toml::Table::from_iter([("repeat_penalty".to_owned(), toml::Value::Float(1.1))]);
        let config = LlmConfig { extra_body: extra, ..LlmConfig::default() };
        let body = |attempt| Request { attempt, ..request() }.body(&config, Dialect::default());
        assert_eq!((&body(0)["seed"], &body(1)["seed"]), (&json!(1), &json!(2)));
        assert_eq!(body(0)["repeat_penalty"], 1.1);
    }
}
