//! The dev queries of a data set, with all that is known about their candidates.

use super::{CalibrateJob, measure};
use crate::error::{Error, Result};
use crate::run_file::run_name;
use std::collections::HashMap;
use std::path::Path;
use whetstone_eval::{
    Dev, FusionChoice, Judged, ModelNotes, Provenance, REAL_QUERIES, Threshold, best_fusion,
    calibrate, threshold,
};
use whetstone_model::CrossEncoder;
use whetstone_records::{Hit, Pair, Progress, Qrels, QueryId, Run, read_jsonl};

/// The candidates of the dev queries with their judgements and the first stage's scores.
pub struct DevSet {
    pairs: Vec<Pair>,
    qrels: Qrels,
    first_stage: Run,
    first_stage_name: String,
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
        let (first_stage, first_stage_name) = match job.first_stage {
            Some(path) => (scores_of(&pairs, path)?, run_name(path)?),
            None => provenance_scores(&pairs, &path)?,
        };
        Ok(Self { pairs, qrels, first_stage, first_stage_name })
    }

    /// Returns the logit of every pair.
    pub fn score(&self, encoder: &CrossEncoder, progress: &dyn Progress) -> Result<Vec<f32>> {
        let texts = self.pairs.iter().map(|pair| (pair.query.as_str(), pair.passage.as_str()));
        let pairs: Vec<(&str, &str)> = texts.collect();
        progress.start("score dev", Some(pairs.len() as u64), "pairs");
        let logits = encoder.score(&pairs, progress)?;
        progress.finish();
        Ok(logits)
    }

    /// Returns what the logits say about the model.
    pub fn notes(&self, logits: &[f32], precisions: &[f64], provenance: Provenance) -> ModelNotes {
        let fusion = best_fusion(&self.qrels, &self.first_stage, &self.reranked(logits), measure());
        let judged = self.judged(logits);
        let dev = Dev {
            queries: self.first_stage.len(),
            pairs: judged.len(),
            relevant_pairs: judged.iter().filter(|pair| pair.relevant).count(),
        };
        let mut notes = vec![about(&fusion)];
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
        let (version, first_stage) =
            (env!("CARGO_PKG_VERSION").to_owned(), self.first_stage_name.clone());
        ModelNotes { version, fusion, first_stage, calibration, thresholds, dev, notes, provenance }
    }

    /// The candidates in the model's order.
    fn reranked(&self, logits: &[f32]) -> Run {
        self.pairs.iter().zip(logits).map(|(pair, score)| hit(pair, *score)).collect()
    }

    fn judged(&self, logits: &[f32]) -> Vec<Judged> {
        let numbers: HashMap<&QueryId, usize> = self
            .first_stage
            .iter()
            .enumerate()
            .map(|(number, (query, _))| (query, number))
            .collect();
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
        "nDCG@10 on dev: first stage {:.3}, model alone {:.3}, {} {:.3}",
        fusion.first_stage_alone, fusion.reranked, fusion.fusion, fusion.fused
    )
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

/// The scores that `whetstone pair` writes beside every dev pair, and the name of their system.
fn provenance_scores(pairs: &[Pair], path: &Path) -> Result<(Run, String)> {
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
    Ok((hits.into_iter().collect(), name))
}

/// The scores of the dev pairs in a run, which must have them all.
fn scores_of(pairs: &[Pair], path: &Path) -> Result<Run> {
    let whole = Run::read(path)?;
    let scores: HashMap<(&str, &str), f32> = whole
        .iter()
        .flat_map(|(query, hits)| {
            hits.iter().map(move |hit| ((query.as_str(), hit.passage.as_str()), hit.score))
        })
        .collect();
    let mut hits = Vec::with_capacity(pairs.len());
    for pair in pairs {
        let Some(score) = scores.get(&(pair.query_id.as_str(), pair.passage_id.as_str())) else {
            let (query, passage) = (pair.query_id.clone(), pair.passage_id.clone());
            return Err(Error::NotRanked { path: path.into(), query, passage });
        };
        hits.push(hit(pair, *score));
    }
    Ok(hits.into_iter().collect())
}
