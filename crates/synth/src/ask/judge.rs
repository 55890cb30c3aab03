//! An LLM as judge: one call a query, two grades.

use super::harvest::{Harvest, Kept};
use super::questions::broken;
use super::template::Template;
use crate::config::SynthConfig;
use crate::error::Result;
use crate::llm::{Assessment, Entry, Llm, Message, Request, Work, extra_body, parse};
use serde_json::json;
use std::path::Path;
use whetstone_records::Progress;

const COMPILED_IN: &str = include_str!("../../../../configs/prompts/judge.md");
/// Enough for the two grades and some talk around them.
const MAX_ANSWER_TOKENS: u32 = 60;
/// The highest grade.
const BEST: u64 = 3;

/// Grades every query that is kept; those without a grade are counted as not graded.
pub fn grade(harvest: &mut Harvest, llm: &Llm, config: &SynthConfig, progress: &dyn Progress) -> Result<()> {
    let path = Path::new("configs/prompts/judge.md");
    let template = Template::parse(COMPILED_IN, path, &["query", "title", "text"], &["query", "text"])?;
    let kept = &harvest.kept;
    let request = |index: usize, attempt: u32| request(&kept[index], attempt, &template, config);
    let work = Work {
        part: "judge",
        unit: "queries",
        count: kept.len(),
        request: &request,
        assess: &|_, entry| Assessment { flaw: flaw(entry), usable: 0 },
    };
    let outcomes = llm.run(&work, progress)?;
    let mut grades = Vec::with_capacity(outcomes.len());
    for outcome in outcomes {
        for flaw in outcome.flaws.iter().flatten() {
            *harvest.flaws.entry(flaw).or_default() += 1;
        }
        harvest.tokens_in += outcome.tokens_in;
        harvest.tokens_out += outcome.tokens_out;
        harvest.not_graded += u64::from(outcome.open.is_some());
        let entry = outcome.key.map(|key| llm.entry(&key)).transpose()?.flatten();
        grades.push(entry.and_then(|entry| grades_in(&entry.content)));
    }
    for (kept, grades) in harvest.kept.iter_mut().zip(grades) {
        let quality = kept.quality();
        (quality.question_grade, quality.answer_grade) = grades.map_or((None, None), |(a, b)| (Some(a), Some(b)));
    }
    Ok(())
}

fn request(kept: &Kept, attempt: u32, template: &Template, config: &SynthConfig) -> Request {
    let values = [
        ("query", kept.query.text.as_str()),
        ("title", kept.passage.title.as_str()),
        ("text", kept.passage.text.as_str()),
    ];
    let [system, user] = template.render(&values);
    let grade = json!({"type": "integer", "minimum": 0, "maximum": BEST});
    let schema = json!({
        "type": "object",
        "properties": {"question": grade, "answer": grade},
        "required": ["question", "answer"],
        "additionalProperties": false,
    });
    Request {
        subject: format!("{} {}", kept.query.id, kept.passage.id),
        llm: config.filter.judge_llm.clone().unwrap_or_else(|| config.llm.name.clone()),
        messages: vec![Message::system(system), Message::user(user)],
        form: ("grades", schema),
        temperature: 0.0,
        max_answer_tokens: MAX_ANSWER_TOKENS,
        attempt,
        extra_body: extra_body(&config.llm),
    }
}

/// Grades that stand complete in an answer are good even where it was cut off after them.
fn flaw(entry: &Entry) -> Option<&'static str> {
    match grades_in(&entry.content) {
        Some(_) => None,
        None => Some(broken(entry).unwrap_or("answers-unreadable")),
    }
}

/// The grades of question and answer.
fn grades_in(content: &str) -> Option<(u8, u8)> {
    let object = parse::object(content)?;
    let grade = |name: &str| object.get(name)?.as_u64().filter(|grade| *grade <= BEST).map(|grade| grade as u8);
    Some((grade("question")?, grade("answer")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grades_are_found_among_words_and_only_where_both_are_sound() {
        assert_eq!(grades_in(r#"{"question": 3, "answer": 0}"#), Some((3, 0)));
        assert_eq!(grades_in("Here:\n```json\n{\"answer\": 2, \"question\": 1}\n``` ok"), Some((1, 2)));
        for poor in ["", "3", r#"{"question": 3}"#, r#"{"question": 4, "answer": 0}"#, r#"{"question": "3", "answer"#] {
            assert_eq!(grades_in(poor), None, "{poor}");
        }
    }
}
