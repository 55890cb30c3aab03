//! Questions and grades out of whatever an LLM answered.

use serde_json::{Map, Value};

/// Returns the questions in an answer: from JSON of any shape that holds strings, from JSON that
/// was cut off or stands among other words, or from plain lines.
pub fn questions(content: &str) -> Vec<String> {
    // Reasoning models may think aloud first.
    let content = content.rsplit_once("</think>").map_or(content, |(_, answer)| answer).trim();
    if let Some(begin) = content.find(['{', '[']) {
        let json = &content[begin..];
        let whole = serde_json::Deserializer::from_str(json).into_iter::<Value>().next();
        let found = match whole {
            Some(Ok(value)) => strings(&value),
            _ => literals(json),
        };
        if !found.is_empty() {
            return found;
        }
    }
    content.lines().map(str::trim).filter(|line| is_question(line)).map(str::to_owned).collect()
}

/// Returns the first JSON object in an answer, whatever stands around it.
pub fn object(content: &str) -> Option<Map<String, Value>> {
    let content = content.rsplit_once("</think>").map_or(content, |(_, answer)| answer);
    let json = &content[content.find('{')?..];
    match serde_json::Deserializer::from_str(json).into_iter::<Value>().next() {
        Some(Ok(Value::Object(object))) => Some(object),
        _ => None,
    }
}

/// All strings of a value, deep in arrays and objects; keys are not among them.
fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().flat_map(strings).collect(),
        Value::Object(fields) => fields.values().flat_map(strings).collect(),
        _ => Vec::new(),
    }
}

/// The finished string literals of JSON that is not finished, without keys.
fn literals(json: &str) -> Vec<String> {
    let bytes = json.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(begin) = json[at..].find('"').map(|offset| at + offset) {
        let mut end = begin + 1;
        while end < bytes.len() && bytes[end] != b'"' {
            end += if bytes[end] == b'\\' { 2 } else { 1 };
        }
        if end >= bytes.len() {
            break;
        }
        let key = json[end + 1..].trim_start().starts_with(':');
        if let (false, Ok(text)) = (key, serde_json::from_str(&json[begin..=end])) {
            found.push(text);
        }
        at = end + 1;
    }
    found
}

/// A line of a plain answer that is meant as a query, and no talk around it.
fn is_question(line: &str) -> bool {
    let numbered = line.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '*');
    !line.ends_with(':') && (numbered || line.trim_end_matches(['"', '*']).ends_with('?'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_found_in_every_kind_of_answer() {
        let expected = ["What is a?", "How \"b\"?"];
        for answer in [
            r#"{"questions": ["What is a?", "How \"b\"?"]}"#,
            r#"["What is a?", "How \"b\"?"]"#,
            r#"{"questions": [{"question": "What is a?"}, {"question": "How \"b\"?"}]}"#,
            "Sure! Here it is:\n```json\n{\"questions\": [\"What is a?\", \"How \\\"b\\\"?\"]}\n```\nMore?",
            r#"{"questions": ["What is a?", "How \"b\"?", "Why is this c"#,
            "<think>[\"no\"]</think>{\"q\": [\"What is a?\", \"How \\\"b\\\"?\"]}",
            "Here are two:\nWhat is a?\nHow \"b\"?\n",
        ] {
            assert_eq!(questions(answer), expected, "{answer}");
        }
        assert_eq!(
            questions("1. What is a?\n2. keyword query"),
            ["1. What is a?", "2. keyword query"]
        );
    }

    #[test]
    fn junk_gives_nothing_and_no_panic() {
        for answer in
            ["", "I cannot do that.", "{", "[\"", "[\"\\", "{\"a\": 1}", "\"é\\", "[\"\u{e9}"]
        {
            assert_eq!(questions(answer), Vec::<String>::new(), "{answer}");
        }
    }
}
