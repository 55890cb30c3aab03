//! What all judges have in common: who is asked, how, and what is wrong with an answer that says
//! nothing.

use crate::config::SynthConfig;
use crate::error::Result;
use crate::template::Template;
use serde_json::{Map, Value, json};
use std::path::Path;
use whetstone_llm::{Assessment, Entry, Message, Request, extra_body};
use whetstone_records::Passage;

/// The highest grade.
pub const BEST: u8 = 3;
/// Enough for grades or a verdict, and some talk around them.
const MAX_ANSWER_TOKENS: u32 = 60;

/// A judge of queries with a passage each.
pub struct PairJudge<'a> {
    config: &'a SynthConfig,
    template: Template,
    /// Name and schema of the answer.
    form: (&'static str, Value),
}

impl<'a> PairJudge<'a> {
    /// Reads the prompt in `file`, or takes the compiled-in one.
    pub fn open(
        config: &'a SynthConfig,
        file: Option<&Path>,
        compiled_in: &str,
        form: (&'static str, Value),
    ) -> Result<Self> {
        let template =
            Template::open(file, compiled_in, &["query", "title", "text"], &["query", "text"])?;
        Ok(Self { config, template, form })
    }

    pub fn request(
        &self,
        subject: String,
        query: &str,
        passage: &Passage,
        attempt: u32,
    ) -> Request {
        let values =
            [("query", query), ("title", passage.title.as_str()), ("text", passage.text.as_str())];
        request(self.config, subject, self.template.render(&values), self.form.clone(), attempt)
    }
}

/// A request to the judge of a config, at temperature 0: `messages` are what it is told and what it
/// is asked.
pub fn request(
    config: &SynthConfig,
    subject: String,
    messages: [String; 2],
    form: (&'static str, Value),
    attempt: u32,
) -> Request {
    let [system, user] = messages;
    Request {
        subject,
        llm: config.judge().to_owned(),
        messages: vec![Message::system(system), Message::user(user)],
        form,
        temperature: 0.0,
        max_answer_tokens: MAX_ANSWER_TOKENS,
        attempt,
        extra_body: extra_body(&config.llm),
    }
}

/// The schema of an object with these fields and no other.
pub fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let required: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    let properties: Map<String, Value> =
        fields.iter().map(|(name, of)| (name.to_string(), of.clone())).collect();
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

/// The schema of a grade.
pub fn grade() -> Value {
    json!({"type": "integer", "minimum": 0, "maximum": BEST})
}

/// The grade in a field of an answer.
pub fn grade_in(object: &Map<String, Value>, field: &str) -> Option<u8> {
    let grade = object.get(field)?.as_u64()?;
    u8::try_from(grade).ok().filter(|grade| *grade <= BEST)
}

/// What an answer is worth: what stands complete in it is good even where it was cut off after
/// that.
pub fn assess(is_readable: bool, entry: &Entry) -> Assessment {
    Assessment {
        flaw: (!is_readable).then(|| entry.flaw().unwrap_or("answers-unreadable")),
        usable: 0,
    }
}
