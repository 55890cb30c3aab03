//! The dev queries of a data set, with all that is known about their candidates.

use super::{CalibrateJob, measure};
use crate::error::{Error, Result};
use crate::rerank::Scores;
use crate::run_file::RunPaths;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;
use whetstone_eval::{
    Dev, FirstStages, FusionChoice, Judged, ModelNotes, Provenance, REAL_QUERIES, RRF_K, Threshold,
    calibrate, rrf, threshold,
};
use whetstone_model::Scorer;
use whetstone_records::{Hit, Pair, Progress, Qrels, QueryId, Run, read_jsonl};

/// The candidates of the dev queries with their judgements and the first stages' scores.
pub struct DevSet {
    pairs: Vec<Pair>,
    qrels: Qrels,
    first: FirstStages,
}

impl DevSet {
    pub fn read(job: &CalibrateJob) -> Result<Self> {
        let path = job.data.dev();
        let pairs: Vec<Pair> = read_jsonl(&path)?;
        if pairs.is_empty() {
            return Err(Error::NoDevPairs { path });
        }
        let qrels = match job.qrels() {
            Some(path) => Qrels::read(&path)?,
            None => Qrels::of_labels(&pairs),
        };
        let runs = job.first_stages()?;
        let first = match runs.is_empty() {
            true => scores_in_pairs(&pairs, &path)?,
            false => scores_in_runs(&pairs, &path, &runs)?,
        };
        Ok(Self { pairs, qrels, first })
    }

    /// Returns the model's score of every pair.
    pub fn score(&self, scorer: &Scorer, progress: &dyn Progress) -> Result<Vec<f32>> {
        let texts = self.pairs.iter().map(|pair| (pair.query.as_str(), pair.passage.as_str()));
        let pairs: Vec<(&str, &str)> = texts.collect();
        progress.start("score dev", Some(pairs.len() as u64), "pairs");
        let logits = scorer.score(&pairs, progress)?;
        progress.finish();
        Ok(logits)
    }

    /// Returns what the logits say about the model.
    pub fn notes(
        &self,
        (logits, kind): (&[f32], Scores),
        precisions: &[f64],
        provenance: Provenance,
    ) -> ModelNotes {
        let fusion = FusionChoice::on_dev(
            &self.qrels,
            &self.first,
            (&self.reranked(logits), kind.temperature()),
            &self.queries_of_people(),
            measure(),
        );
        let judged = self.judged(logits);
        let dev = Dev {
            queries: self.queries().len(),
            pairs: judged.len(),
            relevant_pairs: judged.iter().filter(|pair| pair.relevant).count(),
        };
        let mut notes = vec![about(&fusion), how_chosen(&fusion)];
        if dev.queries < REAL_QUERIES {
            let queries = dev.queries;
            notes.push(format!(
                "all this rests on {queries} dev queries; with fewer than {REAL_QUERIES} it is \
                 unsteady"
            ));
        }
        let calibration = calibrate(&judged).map_err(|why| notes.push(why.to_string())).ok();
        if let Some(calibration) = &calibration {
            notes.push(format!(
                "calibration error {:.3} before, {:.3} after {}",
                calibration.ece_before, calibration.ece_after, calibration.scaling
            ));
        }
        let mut thresholds: Vec<Threshold> = Vec::new();
        for wanted in precisions {
            match threshold(&judged, *wanted) {
                Ok(found) => {
                    notes.push(describe(&found));
                    thresholds.push(found);
                }
                Err(why) => notes.push(why.to_string()),
            }
        }
        ModelNotes {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            fusion,
            first_stages: self.first.scores.keys().cloned().collect(),
            calibration,
            thresholds,
            dev,
            notes,
            provenance,
        }
    }

    fn queries(&self) -> BTreeSet<&QueryId> {
        self.pairs.iter().map(|pair| &pair.query_id).collect()
    }

    /// The queries that no generator made.
    fn queries_of_people(&self) -> BTreeSet<QueryId> {
        let of_people = self.pairs.iter().filter(|pair| {
            pair.query_metadata.as_ref().is_none_or(|metadata| metadata.generator.is_none())
        });
        of_people.map(|pair| pair.query_id.clone()).collect()
    }

    /// The candidates in the model's order.
    fn reranked(&self, logits: &[f32]) -> Run {
        self.pairs.iter().zip(logits).map(|(pair, score)| hit(pair, *score)).collect()
    }

    fn judged(&self, logits: &[f32]) -> Vec<Judged> {
        let numbers: HashMap<&QueryId, usize> =
            self.queries().into_iter().enumerate().map(|(number, query)| (query, number)).collect();
        let judged = |(pair, logit): (&Pair, &f32)| {
            let grades = self.qrels.get(pair.query_id.as_str());
            let grade = grades
                .and_then(|grades| grades.get(pair.passage_id.as_str()))
                .copied()
                .unwrap_or(0);
            Judged { query: numbers[&pair.query_id], logit: f64::from(*logit), relevant: grade > 0 }
        };
        self.pairs.iter().zip(logits).map(judged).collect()
    }
}

/// A pair as a line of a run.
fn hit(pair: &Pair, score: f32) -> (QueryId, Hit) {
    (pair.query_id.clone(), Hit { passage: pair.passage_id.clone(), score })
}

fn about(fusion: &FusionChoice) -> String {
    format!(
        "nDCG@10 on dev: first stages {:.3}, model alone {:.3}, ranks fused {:.3}, joined scores \
         {:.3}",
        fusion.first_stages, fusion.model_alone, fusion.ranks, fusion.joined
    )
}

fn how_chosen(fusion: &FusionChoice) -> String {
    let (join, people) = (&fusion.join, fusion.queries_of_people);
    if fusion.chosen_on_dev {
        return format!("scores are joined as {join}, the best on {people} dev queries of people");
    }
    let why = match people < REAL_QUERIES {
        true => format!("{people} dev queries are of people, and {REAL_QUERIES} could choose"),
        false => format!("nothing is clearly better on {people} dev queries of people"),
    };
    format!("scores are joined as {join}, the default: {why}")
}

fn describe(threshold: &Threshold) -> String {
    format!(
        "precision {} from logit {:.3} on: {} dev passages, {:.3} of them right \
         (95 % interval {:.3} to {:.3}), {:.3} of what is relevant",
        threshold.wanted,
        threshold.logit,
        threshold.above,
        threshold.precision,
        threshold.precision_low,
        threshold.precision_high,
        threshold.recall
    )
}

/// The scores that `whetstone pair` writes beside every dev pair, by the name of their system.
fn scores_in_pairs(pairs: &[Pair], path: &Path) -> Result<FirstStages> {
    let mut name = String::new();
    let mut score = |pair: &Pair| {
        let provenance = pair.provenance.as_ref()?;
        name.clone_from(&provenance.miner);
        provenance.score
    };
    let mut hits = Vec::with_capacity(pairs.len());
    for (index, pair) in pairs.iter().enumerate() {
        let Some(score) = score(pair) else {
            return Err(Error::NoFirstStage { path: path.into(), line: index + 1 });
        };
        hits.push(hit(pair, score));
    }
    let order: Run = hits.into_iter().collect();
    Ok(FirstStages { scores: BTreeMap::from([(name, order.clone())]), order })
}

/// The scores of the first stages' own runs. Each must rank some dev candidate.
fn scores_in_runs(pairs: &[Pair], dev: &Path, runs: &RunPaths) -> Result<FirstStages> {
    let wanted: HashSet<(&str, &str)> =
        pairs.iter().map(|pair| (pair.query_id.as_str(), pair.passage_id.as_str())).collect();
    let mut scores = BTreeMap::new();
    for (name, path) in runs {
        let run = Run::read(path)?;
        let is_wanted =
            |query: &QueryId, hit: &Hit| wanted.contains(&(query.as_str(), hit.passage.as_str()));
        if !run.iter().any(|(query, hits)| hits.iter().any(|hit| is_wanted(query, hit))) {
            return Err(Error::NoneRanked { run: path.clone(), dev: dev.into() });
        }
        scores.insert(name.clone(), run);
    }
    // The order in which the search itself would show them, if the pairs hold it.
    let order = match scores_in_pairs(pairs, dev) {
        Ok(first) => first.order,
        Err(_) => rrf(&scores.values().collect::<Vec<_>>(), RRF_K),
    };
    Ok(FirstStages { order, scores })
}
