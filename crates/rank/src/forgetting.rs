//! Measures what training did to unrelated questions: two models order the same general set.

use crate::error::{Error, Result};
use crate::rerank::{RERANK, RerankJob, rerank};
use crate::run_file::stage_name;
use crate::texts::TextFiles;
use serde::Serialize;
use std::fmt;
use std::path::{Path, PathBuf};
use whetstone_eval::{
    CompareConfig, Comparison, Measure, Report, Retention, compare, evaluate, retention,
};
use whetstone_model::Placement;
use whetstone_records::{
    DataSet, Manifest, Outcome, Passage, Progress, Qrels, Query, QueryId, Stage, digests, forget,
    read_jsonl, sample_by_id, select_jsonl, write_json,
};
use whetstone_retrieve::bm25_run;

/// The inputs.
#[derive(Clone, Debug)]
pub struct ForgettingJob {
    /// The model that training started from.
    pub before: PathBuf,
    /// The trained model.
    pub after: PathBuf,
    /// A BEIR folder of questions unrelated to training.
    pub general: DataSet,
    pub out: PathBuf,
    pub placement: Placement,
    pub sample: GeneralSample,
}

/// The number of queries, and of candidates for each.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct GeneralSample {
    /// BM25's passages for the models to order.
    pub depth: usize,
    /// Size of the seeded sample of queries; 0 for all.
    pub max_queries: usize,
    pub seed: u64,
}

/// The result.
#[derive(Debug, Serialize)]
pub struct Forgetting {
    #[serde(flatten)]
    pub report: Report,
    /// After compared with before.
    pub comparison: Comparison,
    pub retention: Retention,
}

/// Names of the three systems in tables and files.
const SYSTEMS: [&str; 3] = ["bm25", "before", "after"];
const CANDIDATES: &str = "candidates";
const FORGETTING: &str = "forgetting";
const QRELS: &str = "qrels.tsv";
const RESULT: &str = "forgetting.json";

impl ForgettingJob {
    /// Makes BM25's candidates, has both models order them, and compares the results. Reports every
    /// complete stage.
    pub fn run(
        &self,
        progress: &dyn Progress,
        mut tell: impl FnMut(&Manifest),
    ) -> Result<Forgetting> {
        tell(&self.candidates(progress)?);
        for (name, model) in [(SYSTEMS[1], &self.before), (SYSTEMS[2], &self.after)] {
            tell(&self.rerank(name, model, progress)?);
        }
        let result = self.compare()?;
        tell(&self.keep(&result)?);
        Ok(result)
    }

    /// Invalidates earlier results.
    pub fn forget(&self) -> Result<()> {
        let reranked = SYSTEMS[1..].iter().map(|name| stage_name(RERANK, &self.run_of(name)));
        let stages = reranked.chain([CANDIDATES, FORGETTING].map(str::to_owned));
        Ok(stages.into_iter().try_for_each(|stage| forget(&self.out, &stage))?)
    }

    fn run_of(&self, system: &str) -> PathBuf {
        self.out.join(run_name(system))
    }

    fn qrels(&self) -> PathBuf {
        self.out.join(QRELS)
    }

    fn rerank(&self, name: &str, model: &Path, progress: &dyn Progress) -> Result<Manifest> {
        let (corpus, queries) = (self.general.corpus(), self.general.queries());
        let candidates = self.run_of(SYSTEMS[0]);
        let texts = TextFiles { corpus: &corpus, queries: &queries };
        let job =
            RerankJob { model, head_label: None, texts, candidates: &candidates, joining: None };
        rerank(&job, &self.run_of(name), self.placement, progress)
    }

    /// Writes BM25's run over the sampled queries, and their judgements.
    fn candidates(&self, progress: &dyn Progress) -> Result<Manifest> {
        let (corpus, qrels) = (self.general.corpus(), self.general.test_qrels());
        let queries = self.general.queries();
        let inputs = digests([("corpus", &*corpus), ("queries", &queries), ("qrels", &qrels)])?;
        let stage = Stage::new(CANDIDATES, &self.out, &self.sample, inputs);
        if let Some(manifest) = stage.begin()? {
            return Ok(manifest);
        }
        let judged = Qrels::read(&qrels)?;
        let queries = self.sampled(&judged)?;
        let passages: Vec<Passage> = read_jsonl(&corpus)?;
        progress.start("search with BM25", None, "queries");
        let language = self.general.language()?.unwrap_or_default();
        let run = bm25_run(&passages, &queries, self.sample.depth, language);
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
        let counts = counts.map(|(name, count)| (name.to_owned(), count as u64)).into();
        let outcome = Outcome { counts, ..Outcome::default() };
        Ok(stage.finish(&[&run_name(SYSTEMS[0]), QRELS], outcome)?)
    }

    /// The queries with a relevant passage, or a sample that depends only on the seed and their
    /// ids.
    fn sampled(&self, judged: &Qrels) -> Result<Vec<Query>> {
        let queries = self.general.queries();
        let has_answer = |query: &QueryId| {
            judged.get(query.as_str()).is_some_and(|grades| grades.values().any(|grade| *grade > 0))
        };
        let mut found = select_jsonl(&queries, |query: &Query| has_answer(&query.id))?;
        if found.is_empty() {
            return Err(Error::NothingRelevant { queries });
        }
        let GeneralSample { max_queries, seed, .. } = self.sample;
        sample_by_id(&mut found, max_queries, seed, |query| &query.id);
        Ok(found)
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
        let stage = Stage::new(FORGETTING, &self.out, &CompareConfig::default(), inputs);
        if let Some(manifest) = stage.begin()? {
            return Ok(manifest);
        }
        write_json(&self.out.join(RESULT), result)?;
        Ok(stage.finish(&[RESULT], Outcome::default())?)
    }
}

/// The path, below the job's folder, of a system's run.
fn run_name(system: &str) -> String {
    format!("{system}.run")
}

/// The decision and its grounds.
impl fmt::Display for Forgetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Comparison { paired, measure, .. } = &self.comparison;
        let (low, high) = (paired.interval.low, paired.interval.high);
        let worthwhile = CompareConfig::default().worthwhile_gain;
        let meaning = match self.retention {
            Retention::Gained => "the model orders general questions better than before",
            Retention::Kept => &format!("a loss of more than {worthwhile} is ruled out"),
            Retention::Forgot => {
                "the model has forgotten; fewer epochs, a lower learning rate or general pairs in \
                 training help"
            }
            Retention::NotEnoughQueries => {
                "so many queries cannot tell; ask more of them with --max-queries"
            }
        };
        write!(
            f,
            "{}: {measure} changed by {:+.4} on {} general queries \
             (95 % interval {low:+.4} to {high:+.4}, p = {:.4}): {meaning}",
            self.retention, paired.difference, paired.queries, paired.p
        )
    }
}
