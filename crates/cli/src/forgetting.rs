//! What training has done to questions that it was not about: the same general set in the order of
//! two models.

use crate::evaluation::aligned;
use crate::failure::Problem;
use crate::rerank;
use crate::stages::Stages;
use anyhow::{Result, bail};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use whetstone_eval::{
    CompareConfig, Comparison, Measure, Report, Retention, compare, evaluate, retention,
};
use whetstone_model::DeviceName;
use whetstone_records::{
    AtomicFile, Manifest, Outcome, Progress, Qrels, Query, QueryId, Stage, digests, read_jsonl,
    sample_by_id, select_jsonl,
};

/// What is measured, and how.
#[derive(Clone, Debug)]
pub struct Job {
    /// The model that training began with.
    pub before: PathBuf,
    /// The model that came out.
    pub after: PathBuf,
    /// A BEIR folder of questions that training was not about.
    pub general: PathBuf,
    pub out: PathBuf,
    pub device: DeviceName,
    pub sample: Sample,
}

/// Which queries are asked, and how many candidates each has.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Sample {
    /// BM25's passages that the models order.
    pub depth: usize,
    /// A seeded sample of this many queries; 0 for all.
    pub max_queries: usize,
    pub seed: u64,
}

/// What came out.
#[derive(Debug, Serialize)]
pub struct Forgetting {
    #[serde(flatten)]
    pub report: Report,
    /// After held against before.
    pub comparison: Comparison,
    pub retention: Retention,
}

/// Names of the three systems in tables and files.
pub const SYSTEMS: [&str; 3] = ["bm25", "before", "after"];

impl Job {
    /// Makes BM25's candidates, has both models order them, and compares the two.
    pub fn run(&self, stages: &mut Stages) -> Result<Forgetting> {
        stages.run("candidates", &self.out, |progress| self.candidates(progress))?;
        for (name, model) in [(SYSTEMS[1], &self.before), (SYSTEMS[2], &self.after)] {
            let run = self.run_of(name);
            let [corpus, queries] =
                ["corpus.jsonl", "queries.jsonl"].map(|file| self.general.join(file));
            let candidates = self.run_of(SYSTEMS[0]);
            let inputs = rerank::Inputs {
                model,
                corpus: &corpus,
                queries: &queries,
                candidates: &candidates,
                fusion: None,
            };
            stages.run(&format!("rerank {name}"), &self.out, |progress| {
                rerank::rerank(&inputs, &run, self.device, progress)
            })?;
        }
        let result = self.compare()?;
        stages.run("forgetting", &self.out, |_| self.keep(&result))?;
        Ok(result)
    }

    fn run_of(&self, name: &str) -> PathBuf {
        self.out.join(format!("{name}.run"))
    }

    fn qrels(&self) -> PathBuf {
        self.out.join("qrels.tsv")
    }

    /// Writes BM25's run over the sampled queries, and their judgements.
    fn candidates(&self, progress: &dyn Progress) -> Result<Manifest> {
        let [corpus, queries, qrels] =
            ["corpus.jsonl", "queries.jsonl", "qrels/test.tsv"].map(|file| self.general.join(file));
        let inputs = digests([("corpus", &*corpus), ("queries", &queries), ("qrels", &qrels)])?;
        let stage = Stage::new("candidates", &self.out, &self.sample, inputs);
        if let Some(manifest) = stage.up_to_date() {
            return Ok(manifest);
        }
        let judged = Qrels::read(&qrels)?;
        let queries = self.sampled(&queries, &judged)?;
        let passages = read_jsonl(&corpus)?;
        progress.start("search with BM25", None, "queries");
        let run = whetstone_retrieve::bm25_run(&passages, &queries, self.sample.depth);
        progress.finish();
        run.write(&self.run_of(SYSTEMS[0]), SYSTEMS[0])?;
        let mut kept = Qrels::default();
        for query in &queries {
            for (passage, grade) in judged.get(query.id.as_str()).into_iter().flatten() {
                kept.insert(query.id.clone(), passage.clone(), *grade);
            }
        }
        kept.write_beir(&self.qrels())?;
        let counts = [("passages", passages.len()), ("queries", queries.len())];
        let counts: BTreeMap<_, _> =
            counts.map(|(name, count)| (name.to_owned(), count as u64)).into();
        Ok(stage.finish(&["bm25.run", "qrels.tsv"], Outcome { counts, ..Outcome::default() })?)
    }

    /// The queries with a relevant passage, or a sample of them that follows from the seed and
    /// their ids alone.
    fn sampled(&self, path: &Path, judged: &Qrels) -> Result<Vec<Query>> {
        let has_answer = |query: &QueryId| {
            judged.get(query.as_str()).is_some_and(|grades| grades.values().any(|grade| *grade > 0))
        };
        let mut queries = select_jsonl(path, |query: &Query| has_answer(&query.id))?;
        if queries.is_empty() {
            let message = format!(
                "no query of `{}` has a relevant passage in qrels/test.tsv",
                path.display()
            );
            bail!(Problem::new(
                message,
                "a general set is a BEIR folder: corpus.jsonl, queries.jsonl, qrels/test.tsv"
            ));
        }
        let Sample { max_queries, seed, .. } = self.sample;
        sample_by_id(&mut queries, max_queries, seed, |query| &query.id);
        Ok(queries)
    }

    fn compare(&self) -> Result<Forgetting> {
        let runs = SYSTEMS.map(|name| (name.to_owned(), self.run_of(name)));
        let report = evaluate(&self.qrels(), &runs, &Measure::defaults())?;
        let config = CompareConfig::default();
        let [_, before, after] = &report.runs[..] else { unreachable!("three runs were measured") };
        let mut compared = compare(before, &[after], Measure::defaults()[0], &config)?;
        let comparison = compared.pop().expect("one system was compared");
        let retention = retention(&comparison.paired, &config);
        Ok(Forgetting { report, comparison, retention })
    }

    fn keep(&self, result: &Forgetting) -> Result<Manifest> {
        let runs = SYSTEMS.map(|name| (name, self.run_of(name)));
        let inputs = digests(runs.iter().map(|(name, path)| (*name, &**path)))?;
        let stage = Stage::new("forgetting", &self.out, &CompareConfig::default(), inputs);
        if let Some(manifest) = stage.up_to_date() {
            return Ok(manifest);
        }
        AtomicFile::write_all_to(
            &self.out.join("forgetting.json"),
            &serde_json::to_vec_pretty(result)?,
        )?;
        Ok(stage.finish(&["forgetting.json"], Outcome::default())?)
    }
}

impl Forgetting {
    /// A row for each system, a column for each measure.
    pub fn table(&self) -> String {
        let measures = Measure::defaults();
        let header = ["run".to_owned()].into_iter().chain(measures.iter().map(Measure::to_string));
        let rows = self.report.runs.iter().map(|run| {
            let means = run.evaluation.means.iter().map(|mean| format!("{mean:.4}"));
            [run.name.clone()].into_iter().chain(means).collect()
        });
        format!("{}\n", aligned(header.collect(), rows))
    }

    /// The decision with what it rests on.
    pub fn in_words(&self) -> String {
        let Comparison { paired, measure, .. } = &self.comparison;
        let (low, high) = (paired.interval.low, paired.interval.high);
        let worthwhile = CompareConfig::default().worthwhile_gain;
        let meaning = match self.retention {
            Retention::Gained => "the model orders general questions better than before",
            Retention::Kept => &format!("a loss of more than {worthwhile} is ruled out"),
            Retention::Forgot => {
                "the model has forgotten; fewer epochs, a lower learning rate or general pairs in training help"
            }
            Retention::NotEnoughQueries => {
                "so many queries cannot tell; ask more of them with --max-queries"
            }
        };
        format!(
            "{}: {measure} changed by {:+.4} on {} general queries (95 % interval {low:+.4} to {high:+.4}, p = {:.4}): \
             {meaning}",
            self.retention, paired.difference, paired.queries, paired.p
        )
    }
}
