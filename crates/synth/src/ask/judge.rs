//! An LLM as judge: one call per query, two grades.

use super::harvest::{Harvest, Kept};
use crate::config::SynthConfig;
use crate::error::Result;
use whetstone_llm::judging;
use whetstone_llm::{Entry, Estimate, Llm, PairJudge, TokenCounter, Work};
use whetstone_records::{Passage, Progress};

const COMPILED_IN: &str = include_str!("../../../../configs/prompts/judge.md");
const LIMIT_KEY: &str = "judge.max-answer-tokens";
/// These stand for the queries and answers that do not exist yet at the time of an estimate.
const TYPICAL_QUERY: &str =
    "how long is the customer given to hand in the form after the first letter?";
const TYPICAL_ANSWER: &str = r#"{"question": 2, "answer": 2}"#;

fn open(config: &SynthConfig) -> Result<PairJudge<'_>> {
    let form = judging::object([("question", judging::grade()), ("answer", judging::grade())]);
    let (judge, prompt) = (config.judge(), config.judge.prompt.as_deref());
    Ok(PairJudge::open(judge, prompt, COMPILED_IN, ("grades", form))?)
}

/// Estimates the cost of judging `queries` queries for each of these passages. The journal's share
/// is unknown before the queries exist.
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
        limit_key: LIMIT_KEY,
        typical_answer: Some(TYPICAL_ANSWER),
    };
    Ok(llm.estimate(&work, counter)?.times(queries))
}

/// Grades every kept query. Queries without a grade are counted as not graded.
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
        assess: &|_, entry| judging::assess(grades_in(entry).is_some(), entry),
        limit_key: LIMIT_KEY,
        typical_answer: Some(TYPICAL_ANSWER),
    };
    let outcomes = llm.run(&work, progress)?;
    llm.require_readable(&work, &outcomes)?;
    let mut grades = Vec::with_capacity(outcomes.len());
    for outcome in outcomes {
        for flaw in outcome.flaws.iter().flatten() {
            *harvest.flaws.entry(flaw).or_default() += 1;
        }
        harvest.tokens_in += outcome.tokens_in;
        harvest.tokens_out += outcome.tokens_out;
        harvest.not_graded += u64::from(outcome.open.is_some());
        grades.push(llm.answer_of(&outcome)?.and_then(|entry| grades_in(&entry)));
    }
    for (kept, grades) in harvest.kept.iter_mut().zip(grades) {
        let quality = kept.quality();
        (quality.question_grade, quality.answer_grade) =
            grades.map_or((None, None), |(a, b)| (Some(a), Some(b)));
    }
    Ok(())
}

/// The grades of question and answer.
fn grades_in(entry: &Entry) -> Option<(u8, u8)> {
    Some((judging::grade_in(entry, "question")?, judging::grade_in(entry, "answer")?))
}
