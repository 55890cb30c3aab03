//! An LLM as judge: one call a query, two grades.

use super::harvest::{Harvest, Kept};
use super::template::Template;
use crate::config::SynthConfig;
use crate::error::Result;
use crate::judging;
use crate::llm::{Llm, Request, Work, parse};
use std::path::Path;
use whetstone_records::Progress;

const COMPILED_IN: &str = include_str!("../../../../configs/prompts/judge.md");

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
        assess: &|_, entry| judging::assess(grades_in(&entry.content).is_some(), entry),
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
        grades.push(llm.answer_of(&outcome)?.and_then(|entry| grades_in(&entry.content)));
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
    let form = ("grades", judging::object([("question", judging::grade()), ("answer", judging::grade())]));
    let subject = format!("{} {}", kept.query.id, kept.passage.id);
    judging::request(config, subject, template.render(&values), form, attempt)
}

/// The grades of question and answer.
fn grades_in(content: &str) -> Option<(u8, u8)> {
    let object = parse::object(content)?;
    Some((judging::grade_in(&object, "question")?, judging::grade_in(&object, "answer")?))
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
