//! Answer quality end to end. An LLM answers each question from the passages of two systems. A
//! judge says which answer is better, twice, with the answers in either place.

use crate::client::Llm;
use crate::config::{LlmConfig, must};
use crate::error::Result;
use crate::journal::Entry;
use crate::judging::{self, Judge, JudgeConfig};
use crate::parse;
use crate::request::Request;
use crate::work::{Outcome, Work};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::Path;
use whetstone_records::{Progress, QueryId};

const ANSWER: &str = "You answer a question from passages. Use nothing but the passages. Answer in one to three sentences. \
    Where they do not hold the answer, say that they do not. Answer with JSON only: {\"answer\": \"…\"}.";
const JUDGE: &str = "You compare two answers to a question. The better one is right, complete and to the point; an answer that \
    says that it does not know is better than a wrong one. Where neither is better, say tie. Answer with JSON only: \
    {\"better\": \"A\"}, {\"better\": \"B\"} or {\"better\": \"tie\"}.";

/// `[answers]`: how the LLM answers from passages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct AnswersConfig {
    /// Sampling temperature, 0..=2.
    pub temperature: f32,
    /// Longest answer, in the LLM's tokens.
    pub max_answer_tokens: u32,
}

impl Default for AnswersConfig {
    fn default() -> Self {
        // The temperature of `ask`: below it, a small model loops.
        Self { temperature: 0.7, max_answer_tokens: judging::MAX_ANSWER_TOKENS }
    }
}

impl AnswersConfig {
    /// Refuses impossible values.
    pub fn check(&self) -> Result<()> {
        let temperature = self.temperature;
        must((0.0..=2.0).contains(&temperature), "answers.temperature", "in 0..=2", temperature)?;
        judging::check_limit("answers.max-answer-tokens", self.max_answer_tokens)
    }
}

/// The LLM that answers, and the one that judges.
#[derive(Clone, Copy)]
pub struct Comparison<'a> {
    pub llm: &'a LlmConfig,
    pub judge: &'a JudgeConfig,
    pub answers: &'a AnswersConfig,
}

/// A question, with the passages that each of two systems gives to the LLM.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    pub query: QueryId,
    pub text: String,
    pub before: Vec<String>,
    pub after: Vec<String>,
}

impl Case {
    /// Whether both systems hand over the same passages in the same order.
    fn is_same(&self) -> bool {
        self.before == self.after
    }
}

/// Whose answer is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preference {
    Before,
    After,
    /// Neither, or the judge changed its mind when the answers swapped places.
    Tie,
    /// An answer or a verdict is missing.
    Open,
}

/// The result of a question.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Compared {
    pub query: QueryId,
    pub text: String,
    pub before: Option<String>,
    pub after: Option<String>,
    pub preference: Preference,
    /// Whether the judge said the same with the answers in either place; none if it was not asked.
    pub consistent: Option<bool>,
}

/// The totals of the calls, for a manifest.
pub type Account = (Vec<(&'static str, u64)>, Vec<String>);

/// Answers every case from the passages of both systems and has the answers compared. Every answer
/// of the LLM is in the journal before it is used, so a stopped run pays for nothing twice. The
/// caps of `[llm]` hold.
///
/// Cases with the same passages are ties without a call.
pub fn compare_answers(
    cases: &[Case],
    comparison: &Comparison,
    journal: &Path,
    progress: &dyn Progress,
) -> Result<(Vec<Compared>, Account)> {
    let config = comparison.llm;
    let judge = Judge::of(config, comparison.judge);
    config.check_price(&config.name)?;
    config.check_price(judge.llm)?;
    let llm = Llm::open(config, journal)?;
    let answers = answer(cases, &llm, comparison, progress)?;
    let compared = compare(cases, answers, &llm, judge, progress)?;
    Ok((compared, (llm.counts(), llm.notes())))
}

/// The answers from the passages of before and after.
type Pair = [Option<String>; 2];

fn answer(
    cases: &[Case],
    llm: &Llm,
    comparison: &Comparison,
    progress: &dyn Progress,
) -> Result<Vec<Pair>> {
    let Comparison {
        llm: config, answers: AnswersConfig { temperature, max_answer_tokens }, ..
    } = *comparison;
    let answering = Judge { config, llm: &config.name, max_answer_tokens: *max_answer_tokens };
    let differing: Vec<usize> = (0..cases.len()).filter(|case| !cases[*case].is_same()).collect();
    let request = |index: usize, attempt: u32| {
        let case = &cases[differing[index / 2]];
        let passages = if index.is_multiple_of(2) { &case.before } else { &case.after };
        let numbered =
            (1..).zip(passages).map(|(number, text)| format!("Passage {number}: {text}\n"));
        let asked = format!("{}\nQuestion: {}", numbered.collect::<String>(), case.text);
        let form = ("answer", judging::object([("answer", json!({"type": "string"}))]));
        let asked = [ANSWER.to_owned(), asked];
        let request = answering.request(case.query.to_string(), asked, form, attempt);
        Request { temperature: *temperature, ..request }
    };
    let assess = |_: usize, entry: &Entry| judging::assess(field(entry, "answer").is_some(), entry);
    let work = Work {
        part: "answer",
        unit: "answers",
        count: differing.len() * 2,
        request: &request,
        assess: &assess,
        limit_key: "answers.max-answer-tokens",
        typical_answer: None,
    };
    let outcomes = llm.run(&work, progress)?;
    llm.require_readable(&work, &outcomes)?;
    let texts = read(llm, &outcomes, |entry| field(entry, "answer"))?;
    let mut answers = vec![[None, None]; cases.len()];
    for (case, pair) in differing.into_iter().zip(texts.chunks(2)) {
        answers[case] = [pair[0].clone(), pair[1].clone()];
    }
    Ok(answers)
}

fn compare(
    cases: &[Case],
    answers: Vec<Pair>,
    llm: &Llm,
    judge: Judge,
    progress: &dyn Progress,
) -> Result<Vec<Compared>> {
    let differ = |pair: &Pair| matches!(pair, [Some(before), Some(after)] if before != after);
    let open: Vec<usize> = (0..cases.len()).filter(|case| differ(&answers[*case])).collect();
    let request = |index: usize, attempt: u32| {
        let case = open[index / 2];
        let [Some(before), Some(after)] = &answers[case] else {
            unreachable!("only pairs of answers are compared")
        };
        let (a, b) = if index.is_multiple_of(2) { (before, after) } else { (after, before) };
        let asked = format!("Question: {}\n\nAnswer A: {a}\n\nAnswer B: {b}", cases[case].text);
        let form = (
            "better",
            judging::object([("better", json!({"type": "string", "enum": ["A", "B", "tie"]}))]),
        );
        judge.request(cases[case].query.to_string(), [JUDGE.to_owned(), asked], form, attempt)
    };
    let assess = |_: usize, entry: &Entry| judging::assess(verdict(entry).is_some(), entry);
    let work = Work {
        part: "judge",
        unit: "verdicts",
        count: open.len() * 2,
        request: &request,
        assess: &assess,
        limit_key: "judge.max-answer-tokens",
        typical_answer: Some(r#"{"better": "A"}"#),
    };
    let outcomes = llm.run(&work, progress)?;
    llm.require_readable(&work, &outcomes)?;
    let verdicts = read(llm, &outcomes, verdict)?;
    let compared = (0..cases.len()).zip(answers).map(|(case, [before, after])| {
        let place = open.binary_search(&case).ok();
        let (preference, consistent) = match (place, &before, &after) {
            (Some(place), ..) => decide(verdicts[2 * place], verdicts[2 * place + 1]),
            (None, Some(_), Some(_)) => (Preference::Tie, None),
            _ if cases[case].is_same() => (Preference::Tie, None),
            _ => (Preference::Open, None),
        };
        let Case { query, text, .. } = cases[case].clone();
        Compared { query, text, before, after, preference, consistent }
    });
    Ok(compared.collect())
}

/// The verdict of a judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    A,
    B,
    Tie,
}

/// `first`: answer A was the one from before; `second`: it was the one from after.
fn decide(first: Option<Verdict>, second: Option<Verdict>) -> (Preference, Option<bool>) {
    match (first, second) {
        (Some(Verdict::A), Some(Verdict::B)) => (Preference::Before, Some(true)),
        (Some(Verdict::B), Some(Verdict::A)) => (Preference::After, Some(true)),
        (Some(Verdict::Tie), Some(Verdict::Tie)) => (Preference::Tie, Some(true)),
        (Some(_), Some(_)) => (Preference::Tie, Some(false)),
        _ => (Preference::Open, None),
    }
}

/// The text of a field that is not blank.
fn field(entry: &Entry, name: &str) -> Option<String> {
    parse::field(&entry.said(), name)
}

fn verdict(entry: &Entry) -> Option<Verdict> {
    let better = field(entry, "better")?.to_lowercase();
    match better.strip_prefix("answer").unwrap_or(&better).trim() {
        "a" => Some(Verdict::A),
        "b" => Some(Verdict::B),
        "tie" => Some(Verdict::Tie),
        _ => None,
    }
}

/// What each outcome's answer says; none where there is none to use.
fn read<T>(
    llm: &Llm,
    outcomes: &[Outcome],
    say: impl Fn(&Entry) -> Option<T>,
) -> Result<Vec<Option<T>>> {
    outcomes
        .iter()
        .map(|outcome| Ok(llm.answer_of(outcome)?.and_then(|entry| say(&entry))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_judge_that_keeps_its_mind_prefers() {
        use Verdict::*;
        assert_eq!(decide(Some(A), Some(B)), (Preference::Before, Some(true)));
        assert_eq!(decide(Some(B), Some(A)), (Preference::After, Some(true)));
        assert_eq!(
            decide(Some(A), Some(A)),
            (Preference::Tie, Some(false)),
            "it likes the first place"
        );
        assert_eq!(decide(Some(Tie), Some(B)), (Preference::Tie, Some(false)));
        assert_eq!(decide(Some(A), None), (Preference::Open, None));
    }
}
