//! An LLM as judge: one call a query, two grades.

use super::harvest::{Harvest, Kept};
use crate::config::SynthConfig;
use crate::error::Result;
use whetstone_llm::judging;
use whetstone_llm::{Estimate, Llm, PairJudge, TokenCounter, Work, parse};
use whetstone_records::{Passage, Progress};

const COMPILED_IN: &str = include_str!("../../../../configs/prompts/judge.md");
/// These stand for the queries and answers that are not there yet in an estimate.
const TYPICAL_QUERY: &str =
    "how long is the customer given to hand in the form after the first letter?";
const TYPICAL_ANSWER: &str = r#"{"question": 2, "answer": 2}"#;

fn open(config: &SynthConfig) -> Result<PairJudge<'_>> {
    let form = judging::object([("question", judging::grade()), ("answer", judging::grade())]);
    let (judge, prompt) = (config.judge(), config.judge.prompt.as_deref());
    Ok(PairJudge::open(judge, prompt, COMPILED_IN, ("grades", form))?)
}

/// Estimates what judging the queries of these passages will take, `queries` for each of them; what
/// the journal holds of it cannot be known before the queries are.
pub fn estimate(
    llm: &Llm,
    passages: &[&Passage],
    queries: f64,
    config: &SynthConfig,
    counter: &TokenCounter,
) -> Result<Estimate> {
    let judge = open(config)?;
    let work = Work {
        part: "judge",
        unit: "queries",
        count: passages.len(),
        request: &|index, attempt| {
            judge.request(format!("{index}"), TYPICAL_QUERY, passages[index], attempt)
        },
        assess: &|_, entry| judging::assess(true, entry),
        typical_answer: Some(TYPICAL_ANSWER),
    };
    Ok(llm.estimate(&work, counter)?.times(queries))
}

/// Grades every query that is kept; those without a grade are counted as not graded.
pub fn grade(
    harvest: &mut Harvest,
    llm: &Llm,
    config: &SynthConfig,
    progress: &dyn Progress,
) -> Result<()> {
    let judge = open(config)?;
    let kept = &harvest.kept;
    let work = Work {
        part: "judge",
        unit: "queries",
        count: kept.len(),
        request: &|index, attempt| {
            let Kept { query, passage } = &kept[index];
            judge.request(format!("{} {}", query.id, passage.id), &query.text, passage, attempt)
        },
        assess: &|_, entry| judging::assess(grades_in(&entry.content).is_some(), entry),
        typical_answer: Some(TYPICAL_ANSWER),
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
        (quality.question_grade, quality.answer_grade) =
            grades.map_or((None, None), |(a, b)| (Some(a), Some(b)));
    }
    Ok(())
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
        assert_eq!(
            grades_in("Here:\n```json\n{\"answer\": 2, \"question\": 1}\n``` ok"),
            Some((1, 2))
        );
        for poor in [
            "",
            "3",
            r#"{"question": 3}"#,
            r#"{"question": 4, "answer": 0}"#,
            r#"{"question": "3", "answer"#,
        ] {
            assert_eq!(grades_in(poor), None, "{poor}");
        }
    }
}
