//! Reads the endpoint's answer to one call as far as possible: its form differs between servers.

use crate::journal::{CONTENT_FILTER, Entry, LENGTH};
use crate::transport::{Fault, again, opening};
use serde_json::{Map, Value, json};

/// A server that reports more tokens than any answer has is mistaken.
const MAX_TOKENS: f64 = 1e9;
/// Fields of a message that hold a thought, by server.
const THOUGHTS: &[&str] = &["reasoning_content", "reasoning", "thinking", "reasoning_details"];
/// Types of content parts that are not an answer.
const HIDDEN_PARTS: &[&str] = &["thinking", "reasoning", "thought", "redacted_thinking", "refusal"];

/// The parts of an answer that we use.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Completion {
    content: String,
    /// Whether the server reports a thought beside the content.
    thought: bool,
    finish_reason: Option<String>,
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
}

impl Completion {
    /// Reads a body that is not the expected JSON: a stream of events, JSON with something after
    /// it, or a page of a gateway. The fault quotes the page.
    pub fn of_text(text: &str) -> Result<Self, Fault> {
        let text = text.trim_start_matches('\u{feff}').trim();
        if let Some(Ok(body)) = serde_json::Deserializer::from_str(text).into_iter().next() {
            return Self::of(&body);
        }
        match events(text) {
            Some(body) => Self::of(&body),
            None if text.is_empty() => Err(again("an answer without a word")),
            None => Err(again(format!("an answer that is no completion: `{}`", opening(text)))),
        }
    }

    /// Reads a body. If it holds no answer, the fault quotes the server.
    pub fn of(body: &Value) -> Result<Self, Fault> {
        let choice = body.get("choices").and_then(|choices| choices.get(0));
        let error = [Some(body), choice].into_iter().flatten().find_map(error_in);
        let Some(choice) = choice.and_then(Value::as_object) else {
            return Err(match error {
                Some(error) => Fault::of_body(error),
                None => {
                    let body = opening(&body.to_string());
                    again(format!("an answer that is no completion: `{body}`"))
                }
            });
        };
        let completion = Self::of_choice(choice, body.get("usage").unwrap_or(&Value::Null));
        match error {
            Some(error) if completion.content.trim().is_empty() => Err(Fault::of_body(error)),
            _ => Ok(completion),
        }
    }

    fn of_choice(choice: &Map<String, Value>, usage: &Value) -> Self {
        // Servers that stream, or that know only the older completions, use other names.
        let message = ["message", "delta"].iter().find_map(|name| choice.get(*name)?.as_object());
        let content = message.and_then(|message| message.get("content"));
        let (mut content, hidden) = content.map(words).unwrap_or_default();
        if message.is_none() {
            content = choice.get("text").map(words).unwrap_or_default().0;
        }
        let field = |name: &str| message.and_then(|message| message.get(name));
        let is_refusal = field("refusal").and_then(Value::as_str).is_some_and(|it| !it.is_empty());
        let [prompt_tokens, completion_tokens] =
            [["prompt_tokens", "input_tokens"], ["completion_tokens", "output_tokens"]]
                .map(|names| names.iter().find_map(|name| count(usage.get(*name)?)));
        let details = usage.get("completion_tokens_details");
        let details = details.and_then(|details| count(details.get("reasoning_tokens")?));
        Self {
            content,
            thought: hidden
                || THOUGHTS.iter().filter_map(|name| field(name)).any(|value| !is_blank(value))
                || details.is_some_and(|tokens| tokens > 0),
            finish_reason: match is_refusal {
                true => Some(CONTENT_FILTER.into()),
                false => choice.get("finish_reason").and_then(finish_reason),
            },
            prompt_tokens,
            completion_tokens,
        }
    }

    /// The answer as a line of the journal. Missing usage stays empty.
    pub fn entry(self, key: &str, subject: &str, llm: &str) -> Entry {
        Entry {
            key: key.to_owned(),
            subject: subject.to_owned(),
            llm: llm.to_owned(),
            content: self.content,
            thought: self.thought,
            finish_reason: self.finish_reason,
            prompt_tokens: self.prompt_tokens,
            completion_tokens: self.completion_tokens,
            wall_ms: None,
            batch: false,
        }
    }
}

/// What a body says instead of an answer.
fn error_in(body: &Value) -> Option<&Value> {
    let named = ["error", "errors", "detail"].iter().find_map(|name| body.get(*name));
    let is_error = body.get("object").and_then(Value::as_str) == Some("error");
    // `"error": true` says nothing, but its neighbours may.
    let named = named.filter(|error| !is_blank(error));
    let named =
        named.map(|error| if error.is_boolean() || error.is_number() { body } else { error });
    named.or(is_error.then_some(body))
}

fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

/// The words of a content, and whether a thought was removed. A content is a string, an array of
/// parts, or, if the server parsed it, the JSON of the answer.
fn words(content: &Value) -> (String, bool) {
    match content {
        Value::Null => Default::default(),
        Value::String(text) => (text.clone(), false),
        Value::Array(parts) if parts.iter().all(is_part) => {
            let hidden = |part: &&Value| HIDDEN_PARTS.iter().any(|name| part["type"] == *name);
            let texts = parts.iter().filter(|part| !hidden(part)).map(part_text);
            (texts.collect(), parts.iter().filter(hidden).any(|part| part["type"] != "refusal"))
        }
        Value::Object(_) if is_part(content) => words(&json!([content])),
        other => (other.to_string(), false),
    }
}

fn is_part(part: &Value) -> bool {
    part.is_string() || part.get("type").is_some_and(Value::is_string)
}

/// `"…"`, `{"type": "text", "text": "…"}`, or with the text as `{"value": "…"}`.
fn part_text(part: &Value) -> &str {
    let text = ["text", "content"].iter().find_map(|name| part.get(*name)).unwrap_or(part);
    text.get("value").unwrap_or(text).as_str().unwrap_or_default()
}

/// Why the answer ended, in OpenAI's words if they mean the same.
fn finish_reason(reason: &Value) -> Option<String> {
    let reason = match reason {
        Value::Object(fields) => fields.get("type")?.as_str()?.to_owned(),
        Value::String(reason) => reason.clone(),
        Value::Null => return None,
        other => other.to_string(),
    };
    let lower = reason.to_lowercase();
    Some(match lower.as_str() {
        "length" | "max_tokens" | "max_length" | "max_output_tokens" | "model_length" => {
            LENGTH.into()
        }
        "content_filter" | "content-filter" | "safety" | "refusal" | "recitation"
        | "prohibited_content" | "blocklist" => CONTENT_FILTER.into(),
        _ => lower,
    })
}

/// A number of tokens. Some servers write it as 12.0, as text, or as -1.
fn count(value: &Value) -> Option<u64> {
    let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
    (0.0..MAX_TOKENS).contains(&number).then(|| number.round() as u64)
}

/// Joins a stream of server-sent events into one answer. Returns none if the text is not such a
/// stream, or if the stream has no end.
fn events(text: &str) -> Option<Value> {
    let data: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim).collect();
    let (mut content, mut thought) = (String::new(), false);
    let (mut reason, mut usage) = (Value::Null, Value::Null);
    for event in data.iter().filter_map(|data| serde_json::from_str::<Value>(data).ok()) {
        if let Some(tokens) = event.get("usage").filter(|usage| usage.is_object()) {
            usage = tokens.clone();
        }
        let Some(choice) = event.get("choices").and_then(|choices| choices.get(0)) else {
            if error_in(&event).is_some() {
                return Some(event);
            }
            continue;
        };
        if choice.get("message").is_some_and(Value::is_object) {
            return Some(event);
        }
        let part = Completion::of_choice(choice.as_object()?, &Value::Null);
        content.push_str(&part.content);
        thought |= part.thought;
        if let Some(found) = part.finish_reason {
            reason = found.into();
        }
    }
    let has_ended = !reason.is_null() || data.last() == Some(&"[DONE]");
    let message = json!({"content": content, "reasoning": if thought { "…" } else { "" }});
    (has_ended && data.len() > 1).then(
        || json!({"choices": [{"message": message, "finish_reason": reason}], "usage": usage}),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(body: Value) -> Completion {
        Completion::of(&body).unwrap()
    }

    fn with(message: Value) -> Completion {
        of(json!({"choices": [{"message": message}]}))
    }

    fn reason(fault: Result<Completion, Fault>) -> String {
        match fault.unwrap_err() {
            Fault::Again { reason, .. } => reason,
            Fault::Form { message, .. } | Fault::Never { message, .. } => message,
        }
    }

    #[test]
    fn the_words_are_found_in_every_form_of_a_content() {
        for content in [
            json!("a b"),
            json!([{"type": "text", "text": "a b"}]),
            json!([{"type": "text", "text": "a "}, {"type": "output_text", "text": {"value": "b"}}]),
            json!(["a ", "b"]),
            json!({"type": "text", "text": "a b"}),
        ] {
            let found = with(json!({"content": content}));
            assert_eq!((found.content.as_str(), found.thought), ("a b", false), "{content}");
        }
        let parts = json!([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "a"}]);
        let found = with(json!({"content": parts}));
        assert_eq!((found.content.as_str(), found.thought), ("a", true));
        assert_eq!(with(json!({"content": {"grade": 2}})).content, "{\"grade\":2}");
        assert_eq!(with(json!({"content": [{"question": "a"}]})).content, "[{\"question\":\"a\"}]");
        assert_eq!(of(json!({"choices": [{"text": "a"}]})).content, "a");
        let empty = of(json!({"choices": [{"message": null, "finish_reason": "stop"}]}));
        assert_eq!((empty.content.as_str(), empty.finish_reason.as_deref()), ("", Some("stop")));
    }

    #[test]
    fn a_thought_beside_the_content_is_noted() {
        for name in THOUGHTS {
            let found = with(json!({"content": "", *name: "hm"}));
            assert_eq!((found.content.as_str(), found.thought), ("", true), "{name}");
            assert!(!with(json!({"content": "a", *name: null})).thought);
        }
        let usage = json!({"completion_tokens_details": {"reasoning_tokens": 9}});
        assert!(of(json!({"choices": [{"message": {"content": ""}}], "usage": usage})).thought);
    }

    #[test]
    fn the_end_of_an_answer_is_read_in_every_word_for_it() {
        for (reason, expected) in [
            (json!("length"), Some(LENGTH)),
            (json!("MAX_TOKENS"), Some(LENGTH)),
            (json!({"type": "length", "length": 9}), Some(LENGTH)),
            (json!("SAFETY"), Some(CONTENT_FILTER)),
            (json!(0), Some("0")),
            (json!(null), None),
        ] {
            let found =
                of(json!({"choices": [{"message": {"content": "a"}, "finish_reason": reason}]}));
            assert_eq!(found.finish_reason.as_deref(), expected);
        }
        let refused = with(json!({"content": null, "refusal": "no"}));
        assert_eq!(refused.finish_reason.as_deref(), Some(CONTENT_FILTER));
    }

    #[test]
    fn usage_that_cannot_be_is_as_if_it_was_not_told() {
        for (told, expected) in [
            (json!(12), Some(12)),
            (json!(12.0), Some(12)),
            (json!(11.6), Some(12)),
            (json!("12"), Some(12)),
            (json!(-1), None),
            (json!(1e300), None),
            (json!(null), None),
            (json!([]), None),
        ] {
            let usage = json!({"prompt_tokens": told, "completion_tokens": told});
            let found = of(json!({"choices": [{"message": {"content": "a"}}], "usage": usage}));
            assert_eq!((found.prompt_tokens, found.completion_tokens), (expected, expected));
        }
        let found = of(json!({"choices": [{"message": {"content": "a"}}], "usage": "none"}));
        assert_eq!((found.content.as_str(), found.prompt_tokens), ("a", None));
    }

    #[test]
    fn without_an_answer_the_servers_own_words_are_repeated() {
        let said = json!({"message": "the fuse is blown"});
        for body in [
            json!({"choices": null, "error": said}),
            json!({"choices": [], "error": "the fuse is blown"}),
            json!({"error": said}),
            json!({"detail": "the fuse is blown"}),
            json!({"object": "error", "message": "the fuse is blown", "code": 500}),
            json!({"choices": [{"message": {"content": ""}, "error": said}]}),
            json!({"choices": [{"message": {"content": null}}], "error": said}),
            json!({"choices": "the fuse is blown"}),
            json!({"status": "the fuse is blown"}),
            json!("the fuse is blown"),
        ] {
            let reason = reason(Completion::of(&body));
            assert!(reason.contains("the fuse is blown"), "{body} {reason}");
        }
        let page = format!("<html>\n<body>the fuse is blown{}</body>", " x".repeat(1000));
        let reason = reason(Completion::of_text(&page));
        assert!(reason.contains("<html> <body>the fuse is blown x") && reason.len() < 300);
        let answered = of(json!({"choices": [{"message": {"content": "a"}}], "error": said}));
        assert_eq!(answered.content, "a");
    }

    #[test]
    fn a_stream_of_events_is_put_together() {
        let stream = ": ping\n\nevent: message\ndata: {\"choices\": [{\"delta\": {\"role\": \"assistant\", \"reasoning_content\": \"hm\"}}]}\n\n\
            data: {\"choices\": [{\"delta\": {\"content\": \"a \"}}]}\n\ndata:{\"choices\": [{\"delta\": {\"content\": \"b\"}, \"finish_reason\": \"length\"}]}\n\n";
        let end = "data: {\"choices\": [], \"usage\": {\"prompt_tokens\": 7, \"completion_tokens\": 2}}\n\ndata: [DONE]\n\n";
        let found = Completion::of_text(&(stream.to_owned() + end)).unwrap();
        let expected = Completion {
            content: "a b".into(),
            thought: true,
            finish_reason: Some(LENGTH.into()),
            prompt_tokens: Some(7),
            completion_tokens: Some(2),
        };
        assert_eq!(found, expected);
        let whole = "data: {\"choices\": [{\"message\": {\"content\": \"a\"}}]}\n\n";
        assert_eq!(Completion::of_text(whole).unwrap().content, "a");
        let error = "data: {\"choices\": [{\"delta\": {\"content\": \"a\"}}]}\n\ndata: {\"error\": {\"message\": \"blown\"}}\n\n";
        assert!(reason(Completion::of_text(error)).contains("blown"));
        let torn = "data: {\"choices\": [{\"delta\": {\"content\": \"a\"}}]}\n\ndata: {\"choices\": [{\"del";
        assert!(reason(Completion::of_text(torn)).contains("no completion"));
        assert_eq!(
            Completion::of_text("\u{feff}{\"choices\": [{\"text\": \"a\"}]}").unwrap().content,
            "a"
        );
    }
}
