//! Measures what reranking does to the answers of an LLM that reads the first passages.

use crate::error::{Error, Result};
use crate::texts::{TextFiles, Texts};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;
use whetstone_eval::{CompareConfig, paired};
use whetstone_llm::{Case, Compared, Comparison, Judge, Preference, compare_answers};
use whetstone_records::{
    DataSet, Manifest, Outcome, Progress, QueryId, Run, Stage, digests, read_json, sample_by_id,
    write_json, write_jsonl,
};

/// The name of the stage.
pub const ANSWERS: &str = "answers";
const COMPARED: &str = "answers.jsonl";
const SUMMARY: &str = "answers.json";
const JOURNAL: &str = "answers.journal.jsonl";

/// The inputs.
pub struct AnswersJob<'a> {
    /// The LLM that answers, and the one that judges.
    pub comparison: Comparison<'a>,
    /// The data set of the queries.
    pub data: &'a DataSet,
    pub before: &'a Path,
    pub after: &'a Path,
    pub out: &'a Path,
    /// How many passages the LLM reads.
    pub top: usize,
    /// Size of the sample of queries to ask; 0 for all.
    pub max_queries: usize,
    /// Seed of the sample.
    pub seed: u64,
}

/// The result: `answers.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answers {
    /// Queries with two compared answers.
    pub queries: usize,
    pub after_better: usize,
    pub before_better: usize,
    pub ties: usize,
    /// Queries without an answer or a verdict.
    pub open: usize,
    /// Share of the judged pairs on which the judge said the same in either order.
    pub consistent_fraction: f64,
    /// Mean of +1 (after), 0 and −1 (before), its 95 % interval and the two-sided p-value.
    pub difference: f64,
    pub low: f64,
    pub high: f64,
    pub p: f64,
    pub answered_by: String,
    pub judged_by: String,
}

impl fmt::Display for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            queries, after_better, before_better, ties, open, difference, low, high, p, ..
        } = self;
        write!(
            f,
            "of {queries} queries, the answer after reranking is better for {after_better}, \
             before for {before_better}, neither for {ties}\n\
             mean preference {difference:+.3} (95 % interval {low:+.3} to {high:+.3}, p = {p:.4}); \
             the judge kept its mind on {:.0} % of the pairs",
            100.0 * self.consistent_fraction
        )?;
        if *open > 0 {
            write!(f, "\n{open} queries lack an answer or a verdict: run the command again")
        } else {
            Ok(())
        }
    }
}

impl AnswersJob<'_> {
    /// Asks, judges and writes both files.
    pub fn run(&self, progress: &dyn Progress) -> Result<(Manifest, Answers)> {
        let stage = self.stage()?;
        let summary = self.out.join(SUMMARY);
        if let Some(manifest) = stage.begin()?
            && let Some(answers) = read_json(&summary)?
        {
            return Ok((manifest, answers));
        }
        let (compared, mut outcome) = self.ask(&self.cases()?, progress)?;
        let answers = self.sum_up(&compared);
        write_jsonl(&self.out.join(COMPARED), &compared)?;
        write_json(&summary, &answers)?;
        outcome.counts.insert("queries".to_owned(), answers.queries as u64);
        outcome.open = answers.open as u64;
        Ok((stage.finish(&[COMPARED, SUMMARY], outcome)?, answers))
    }

    /// Has every case answered and judged. The outcome holds the cost.
    fn ask(&self, cases: &[Case], progress: &dyn Progress) -> Result<(Vec<Compared>, Outcome)> {
        let journal = self.out.join(JOURNAL);
        let (compared, (calls, notes)) =
            compare_answers(cases, &self.comparison, &journal, progress)?;
        let counts = calls.into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
        Ok((compared, Outcome { counts, notes, ..Outcome::default() }))
    }

    fn stage(&self) -> Result<Stage> {
        let (corpus, queries) = (self.data.corpus(), self.data.queries());
        let read = [
            ("corpus", &*corpus),
            ("queries", &queries),
            ("before", self.before),
            ("after", self.after),
        ];
        let Comparison { llm, judge, answers } = self.comparison;
        let config = (llm, judge, answers, self.top, self.max_queries, self.seed);
        Ok(Stage::new(ANSWERS, self.out, &config, digests(read)?))
    }

    /// The queries of both runs, or a sample of them, with the first passages of each run.
    fn cases(&self) -> Result<Vec<Case>> {
        let (before, after) = (Run::read(self.before)?, Run::read(self.after)?);
        let queries = self.sampled(&before, &after)?;
        let [before, after] = [&before, &after].map(|run| self.first(run, &queries));
        let (corpus, asked) = (self.data.corpus(), self.data.queries());
        let files = TextFiles { corpus: &corpus, queries: &asked };
        let texts = Texts::of_candidates(files, [&before, &after])?;
        let passages = |run: &Run, query: &QueryId| {
            let hits = run.get(query.as_str()).unwrap_or_default().iter();
            hits.map(|hit| texts.passages[&hit.passage].full_text()).collect()
        };
        let case = |query: &QueryId| Case {
            query: query.clone(),
            text: texts.queries[query].text.clone(),
            before: passages(&before, query),
            after: passages(&after, query),
        };
        Ok(queries.iter().map(case).collect())
    }

    /// The queries that both runs have, or a sample of them.
    fn sampled(&self, before: &Run, after: &Run) -> Result<Vec<QueryId>> {
        let both = before.iter().filter(|(query, _)| after.get(query.as_str()).is_some());
        let mut queries: Vec<QueryId> = both.map(|(query, _)| query.clone()).collect();
        if queries.is_empty() {
            let (before, after) = (self.before.into(), self.after.into());
            return Err(Error::NoQueryInCommon { before, after });
        }
        sample_by_id(&mut queries, self.max_queries, self.seed, |query| query);
        Ok(queries)
    }

    /// What the LLM reads of a run.
    fn first(&self, run: &Run, queries: &[QueryId]) -> Run {
        let mut first = Run::default();
        for query in queries {
            let hits = run.get(query.as_str()).unwrap_or_default();
            first.insert(query.clone(), hits.iter().take(self.top).cloned().collect());
        }
        first
    }

    fn sum_up(&self, compared: &[Compared]) -> Answers {
        let count = |preference| compared.iter().filter(|one| one.preference == preference).count();
        let values: Vec<f64> = compared
            .iter()
            .filter_map(|one| match one.preference {
                Preference::After => Some(1.0),
                Preference::Before => Some(-1.0),
                Preference::Tie => Some(0.0),
                Preference::Open => None,
            })
            .collect();
        let judged: Vec<bool> = compared.iter().filter_map(|one| one.consistent).collect();
        let consistent = judged.iter().filter(|consistent| **consistent).count() as f64;
        let statistics = paired(&values, &CompareConfig::default());
        Answers {
            queries: values.len(),
            after_better: count(Preference::After),
            before_better: count(Preference::Before),
            ties: count(Preference::Tie),
            open: count(Preference::Open),
            consistent_fraction: if judged.is_empty() {
                1.0
            } else {
                consistent / judged.len() as f64
            },
            difference: statistics.difference,
            low: statistics.interval.low.max(-1.0),
            high: statistics.interval.high.min(1.0),
            p: statistics.p,
            answered_by: self.comparison.llm.name.clone(),
            judged_by: Judge::of(self.comparison.llm, self.comparison.judge).llm.to_owned(),
        }
    }
}
