//! What reranking does to the answers of an LLM that reads the first passages.

use crate::failure::Problem;
use crate::rerank::{passage_texts, query_texts};
use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use whetstone_eval::{CompareConfig, paired};
use whetstone_llm::{Case, Compared, Comparison, Preference, compare_answers};
use whetstone_records::{
    AtomicFile, Manifest, Outcome, Progress, QueryId, Run, Stage, digests, read_text, sample_by_id,
    write_jsonl,
};
use whetstone_synth::SynthConfig;

/// The name of the stage.
pub const STAGE: &str = "answers";
const OUTPUTS: [&str; 2] = ["answers.jsonl", "answers.json"];

/// What is asked of whom.
pub struct Job<'a> {
    pub config: &'a SynthConfig,
    pub data: &'a Path,
    pub before: &'a Path,
    pub after: &'a Path,
    pub out: &'a Path,
    pub top: usize,
    pub max_queries: usize,
}

/// What came out: `answers.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answers {
    /// Queries with both answers compared.
    pub queries: usize,
    pub after_better: usize,
    pub before_better: usize,
    pub ties: usize,
    /// Queries that lack an answer or a verdict.
    pub open: usize,
    /// Share of the pairs judged on which the judge said the same in either order.
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
            "of {queries} queries, the answer after reranking is better for {after_better}, before for {before_better}, \
             neither for {ties}\nmean preference {difference:+.3} (95 % interval {low:+.3} to {high:+.3}, p = {p:.4}); the \
             judge kept its mind on {:.0} % of the pairs",
            100.0 * self.consistent_fraction
        )?;
        if *open > 0 {
            write!(f, "\n{open} queries lack an answer or a verdict: run the command again")
        } else {
            Ok(())
        }
    }
}

impl Job<'_> {
    /// Asks, judges and writes both files.
    pub fn run(&self, progress: &dyn Progress) -> Result<(Manifest, Answers)> {
        let stage = self.stage()?;
        let kept = self.out.join(OUTPUTS[1]);
        if let Some(manifest) = stage.up_to_date() {
            return Ok((manifest, serde_json::from_str(&read_text(&kept)?)?));
        }
        let cases = self.cases()?;
        let journal = self.out.join("answers.journal.jsonl");
        let SynthConfig { llm, judge, answers, .. } = self.config;
        let comparison = Comparison { llm, judge, answers };
        let (compared, (calls, notes)) = compare_answers(&cases, &comparison, &journal, progress)?;
        let answers = self.sum_up(&compared);
        write_jsonl(&self.out.join(OUTPUTS[0]), &compared)?;
        AtomicFile::write_all_to(&kept, &serde_json::to_vec_pretty(&answers)?)?;
        let mut counts: BTreeMap<String, u64> =
            calls.into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
        counts.insert("queries".to_owned(), answers.queries as u64);
        let open = answers.open as u64;
        let outcome = Outcome { counts, notes, open, ..Outcome::default() };
        Ok((stage.finish(&OUTPUTS, outcome)?, answers))
    }

    fn stage(&self) -> Result<Stage> {
        let [corpus, queries] = ["corpus.jsonl", "queries.jsonl"].map(|name| self.data.join(name));
        let read = [
            ("corpus", &*corpus),
            ("queries", &queries),
            ("before", self.before),
            ("after", self.after),
        ];
        let config = (self.config, self.top, self.max_queries);
        Ok(Stage::new(STAGE, self.out, &config, digests(read)?))
    }

    /// The queries of both runs, or a sample of them, with the first passages of each run.
    fn cases(&self) -> Result<Vec<Case>> {
        let (before, after) = (Run::read(self.before)?, Run::read(self.after)?);
        let both = before
            .iter()
            .map(|(query, _)| query)
            .filter(|query| after.get(query.as_str()).is_some());
        let mut queries: Vec<&QueryId> = both.collect();
        if queries.is_empty() {
            let (before, after) = (self.before.display(), self.after.display());
            let message = format!("`{before}` and `{after}` have no query in common");
            bail!(Problem::new(message, "both must rank the queries of one data set"));
        }
        sample_by_id(&mut queries, self.max_queries, self.config.seed, |query| *query);
        let top = |run: &Run| {
            let mut first = Run::default();
            for query in &queries {
                let hits = run.get(query.as_str()).unwrap_or_default();
                first.insert((*query).clone(), hits.iter().take(self.top).cloned().collect());
            }
            first
        };
        let (before, after) = (top(&before), top(&after));
        let questions = query_texts(&self.data.join("queries.jsonl"), &before)?;
        let corpus = self.data.join("corpus.jsonl");
        let texts = [passage_texts(&corpus, &before)?, passage_texts(&corpus, &after)?];
        let passages = |run: &Run, which: usize, query: &QueryId| {
            let hits = run.get(query.as_str()).unwrap_or_default().iter();
            hits.map(|hit| texts[which][&hit.passage].clone()).collect()
        };
        let case = |query: &&QueryId| Case {
            query: (*query).clone(),
            text: questions[*query].clone(),
            before: passages(&before, 0, query),
            after: passages(&after, 1, query),
        };
        Ok(queries.iter().map(case).collect())
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
            answered_by: self.config.llm.name.clone(),
            judged_by: self.config.judge().llm.to_owned(),
        }
    }
}
