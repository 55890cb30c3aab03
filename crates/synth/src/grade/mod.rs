//! Relevance grades by an LLM for training pairs: soft labels, teacher scores, and negatives that
//! do answer.

use crate::collection::Collection;
use crate::config::SynthConfig;
use crate::error::Result;
use crate::split::Split;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use whetstone_llm::judging;
use whetstone_llm::{Judge, Llm, PairJudge, Work};
use whetstone_records::{
    DataSet, Input, Manifest, Negative, Outcome, Passage, PassageId, Progress, Query, QueryId,
    Stage, digests, read_jsonl, write_jsonl,
};

/// The file that `pair` reads if it exists.
pub const GRADES: &str = DataSet::GRADES;
/// A negative with at least this grade answers the query.
pub const ANSWERS: u8 = 2;

const COMPILED_IN: &str = include_str!("../../../../configs/prompts/grade.md");
const INPUTS: [&str; 4] =
    [DataSet::CORPUS, DataSet::QUERIES, DataSet::ALL_QRELS, DataSet::NEGATIVES];

/// A line of `grades.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grade {
    pub query_id: QueryId,
    pub passage_id: PassageId,
    /// 0..=3.
    pub grade: u8,
    /// Name of the LLM.
    pub llm: String,
}

/// Grades by query and passage.
pub type Grades = HashMap<(QueryId, PassageId), u8>;

/// Reads the grades of a data set; none where it has none.
pub fn read(out: &Path) -> Result<Grades> {
    let path = DataSet::new(out).grades();
    let grades: Vec<Grade> = if path.exists() { read_jsonl(&path)? } else { Vec::new() };
    Ok(grades.into_iter().map(|grade| ((grade.query_id, grade.passage_id), grade.grade)).collect())
}

/// Asks an LLM to grade every positive and every negative of the training queries of `OUT`. Writes
/// `OUT/grades.jsonl` for `pair`. It shares the journal and the caps with `ask`. Another run asks
/// only what is open.
pub fn grade(out: &Path, config: &SynthConfig, progress: &dyn Progress) -> Result<Manifest> {
    config.check()?;
    let llm_name = config.judge().llm;
    config.llm.check_price(llm_name)?;
    let mut inputs = digests(
        INPUTS.map(|file| (file, out.join(file))).iter().map(|(file, path)| (*file, &**path)),
    )?;
    if let Some(path) = &config.grade.prompt {
        inputs.push(Input::of_file("prompt", path)?);
    }
    let prompt = (COMPILED_IN, llm_name, config.grade.max_answer_tokens, &config.llm.extra_body);
    let stage = Stage::new("grade", out, &(prompt, &config.split, config.seed), inputs);
    if let Some(manifest) = stage.up_to_date() {
        return Ok(manifest);
    }
    let data = DataSet::new(out);
    let collection = Collection::read(out, &config.split, config.seed)?;
    let pairs = pairs(&collection, read_jsonl(&data.negatives())?);
    let form = ("grade", judging::object([("grade", judging::grade())]));
    let judge = Judge { max_answer_tokens: config.grade.max_answer_tokens, ..config.judge() };
    let judge = PairJudge::open(judge, config.grade.prompt.as_deref(), COMPILED_IN, form)?;
    let llm = Llm::open(&config.llm, &data.ask_journal())?;
    let work = Work {
        part: "grade",
        unit: "pairs",
        count: pairs.len(),
        request: &|index, attempt| {
            let Pair { query, passage, .. } = pairs[index];
            judge.request(format!("{} {}", query.id, passage.id), &query.text, passage, attempt)
        },
        assess: &|_, entry| judging::assess(judging::grade_in(entry, "grade").is_some(), entry),
        limit_key: "grade.max-answer-tokens",
        typical_answer: Some(r#"{"grade": 2}"#),
    };
    let outcomes = llm.run(&work, progress)?;
    llm.require_readable(&work, &outcomes)?;
    let mut found = Found::default();
    for (pair, outcome) in pairs.iter().zip(outcomes) {
        let entry = llm.answer_of(&outcome)?;
        found.add(
            pair,
            entry.and_then(|entry| judging::grade_in(&entry, "grade")),
            outcome.open.is_some(),
            llm_name,
        );
    }
    write_jsonl(&data.grades(), &found.grades)?;
    found.counts.insert("pairs".into(), pairs.len() as u64);
    found.counts.extend(llm.counts().into_iter().map(|(name, count)| (name.to_owned(), count)));
    let open = found.counts.get("pairs-not-graded").copied().unwrap_or(0);
    Ok(stage.finish(
        &[GRADES],
        Outcome { counts: found.counts, notes: llm.notes(), open, ..Outcome::default() },
    )?)
}

/// A query with a passage for training.
#[derive(Clone, Copy)]
struct Pair<'a> {
    query: &'a Query,
    passage: &'a Passage,
    is_positive: bool,
}

/// The positives of training queries and the mined negatives, in the order of their queries.
fn pairs(collection: &Collection, negatives: Vec<Negative>) -> Vec<Pair<'_>> {
    let mut pairs = Vec::new();
    let mut of_query: HashMap<QueryId, Vec<PassageId>> = HashMap::new();
    for negative in negatives {
        of_query.entry(negative.query_id).or_default().push(negative.passage_id);
    }
    for place in collection.queries_of(Split::Train) {
        let query = &collection.queries[place];
        let positives = collection.positives[place].iter().map(|(passage, _)| (*passage, true));
        let negatives = of_query.remove(&query.id).unwrap_or_default();
        let negatives = negatives
            .iter()
            .filter_map(|id| collection.passage(id))
            .map(|passage| (passage, false));
        pairs.extend(positives.chain(negatives).map(|(passage, is_positive)| Pair {
            query,
            passage: &collection.passages[passage as usize],
            is_positive,
        }));
    }
    pairs
}

#[derive(Default)]
struct Found {
    grades: Vec<Grade>,
    counts: BTreeMap<String, u64>,
}

impl Found {
    fn add(&mut self, pair: &Pair, grade: Option<u8>, is_open: bool, llm: &str) {
        let kind = if pair.is_positive { "positives" } else { "negatives" };
        let name = match grade {
            Some(grade) => format!("{kind}-of-grade-{grade}"),
            None if is_open => "pairs-not-graded".to_owned(),
            None => "grades-unreadable".to_owned(),
        };
        *self.counts.entry(name).or_default() += 1;
        self.grades.extend(grade.map(|grade| Grade {
            query_id: pair.query.id.clone(),
            passage_id: pair.passage.id.clone(),
            grade,
            llm: llm.to_owned(),
        }));
    }
}

#[cfg(test)]
mod tests;
