//! What dev says about a model: how to join its order with the first stage's, and what its logits
//! mean.

use crate::failure::Problem;
use anyhow::{Result, bail};
use serde::Serialize;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use whetstone_eval::{
    Dev, Judged, Measure, ModelNotes, Provenance, REAL_QUERIES, Threshold, best_fusion,
    calibrate as fit, threshold,
};
use whetstone_model::{CrossEncoder, DeviceName, Engine};
use whetstone_records::{
    Hit, Manifest, Outcome, Pair, Progress, Qrels, QueryId, Run, Stage, digests, read_jsonl,
    read_text, sha256_file,
};

/// The name of the stage.
pub const STAGE: &str = "calibrate";

/// What the choice of a fusion goes by: nDCG@10.
pub fn measure() -> Measure {
    "ndcg@10".parse().expect("a measure's name")
}

/// What a calibration reads.
pub struct Inputs<'a> {
    pub model: &'a Path,
    /// A data set: `dev.jsonl`, and `qrels/dev.tsv` where there is one.
    pub data: &'a Path,
    /// The first stage's scores of the dev candidates, where `dev.jsonl` does not hold them.
    pub first_stage: Option<&'a Path>,
    /// The shares of right passages that thresholds are wanted for.
    pub precisions: &'a [f64],
}

#[derive(Serialize)]
struct Config<'a> {
    precisions: &'a [f64],
    measure: Measure,
}

impl Inputs<'_> {
    fn dev(&self) -> PathBuf {
        self.data.join("dev.jsonl")
    }

    fn qrels(&self) -> Option<PathBuf> {
        Some(self.data.join("qrels/dev.tsv")).filter(|path| path.exists())
    }

    fn stage(&self) -> Result<Stage> {
        let model = |name: &str| self.model.join(name);
        let mut read = vec![
            ("weights", model("model.safetensors")),
            ("config", model("config.json")),
            ("tokenizer", model("tokenizer.json")),
            ("dev", self.dev()),
        ];
        read.extend(self.qrels().map(|path| ("qrels", path)));
        read.extend(self.first_stage.map(|path| ("first-stage", path.to_path_buf())));
        let inputs = digests(read.iter().map(|(role, path)| (*role, &**path)))?;
        Ok(Stage::new(
            STAGE,
            self.model,
            &Config { precisions: self.precisions, measure: measure() },
            inputs,
        ))
    }
}

/// Scores the dev candidates with the model and writes `whetstone.json` into its folder: the fusion
/// that does best on dev, the calibration of its logits and the thresholds.
pub fn calibrate(inputs: &Inputs, device: DeviceName, progress: &dyn Progress) -> Result<Manifest> {
    let stage = inputs.stage()?;
    if let Some(manifest) = stage.up_to_date() {
        return Ok(manifest);
    }
    let dev = DevSet::read(inputs)?;
    let encoder = CrossEncoder::load(inputs.model, None, &Engine::open(device)?)?;
    let pairs: Vec<(&str, &str)> =
        dev.pairs.iter().map(|pair| (pair.query.as_str(), pair.passage.as_str())).collect();
    progress.start("score dev", Some(pairs.len() as u64), "pairs");
    let logits = encoder.score(&pairs, progress)?;
    progress.finish();
    let provenance = Provenance {
        weights: sha256_file(&inputs.model.join("model.safetensors"))?,
        dev: sha256_file(&inputs.dev())?,
        device: device.to_string(),
    };
    let notes = dev.notes(&logits, inputs.precisions, provenance);
    notes.write(inputs.model)?;
    let counts = [
        ("dev-queries", notes.dev.queries),
        ("dev-pairs", notes.dev.pairs),
        ("dev-relevant-pairs", notes.dev.relevant_pairs),
        ("thresholds", notes.thresholds.len()),
    ];
    let counts = counts.map(|(name, count)| (name.to_owned(), count as u64)).into();
    Ok(stage.finish(
        &[ModelNotes::FILE],
        Outcome { counts, notes: notes.notes, ..Outcome::default() },
    )?)
}

/// The candidates of the dev queries with their judgements and the first stage's scores.
struct DevSet {
    pairs: Vec<Pair>,
    qrels: Qrels,
    first_stage: Run,
    first_stage_name: String,
}

impl DevSet {
    fn read(inputs: &Inputs) -> Result<Self> {
        let pairs: Vec<Pair> = read_jsonl(&inputs.dev())?;
        if pairs.is_empty() {
            let message = format!("`{}` has no pairs", inputs.dev().display());
            bail!(Problem::new(
                message,
                "the data set needs dev queries: raise `dev-fraction` in [split]"
            ));
        }
        let qrels = match inputs.qrels() {
            Some(path) => Qrels::read(&path)?,
            None => from_labels(&pairs),
        };
        let (first_stage, first_stage_name) = match inputs.first_stage {
            Some(path) => (scores_of(&pairs, path)?, run_name(path)?),
            None => provenance_scores(&pairs, &inputs.dev())?,
        };
        Ok(Self { pairs, qrels, first_stage, first_stage_name })
    }

    fn notes(&self, logits: &[f32], precisions: &[f64], provenance: Provenance) -> ModelNotes {
        let fusion = best_fusion(&self.qrels, &self.first_stage, &self.reranked(logits), measure());
        let judged = self.judged(logits);
        let dev = Dev {
            queries: self.first_stage.len(),
            pairs: judged.len(),
            relevant_pairs: judged.iter().filter(|pair| pair.relevant).count(),
        };
        let mut notes = vec![format!(
            "nDCG@10 on dev: first stage {:.3}, model alone {:.3}, {} {:.3}",
            fusion.first_stage_alone, fusion.reranked, fusion.fusion, fusion.fused
        )];
        if dev.queries < REAL_QUERIES {
            let queries = dev.queries;
            notes.push(format!(
                "all this rests on {queries} dev queries; with fewer than {REAL_QUERIES} it is unsteady"
            ));
        }
        let calibration = fit(&judged).map_err(|why| notes.push(why.to_string())).ok();
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

fn describe(threshold: &Threshold) -> String {
    format!(
        "precision {} from logit {:.3} on: {} dev passages, {:.3} of them right (95 % interval {:.3} to {:.3}), \
         {:.3} of what is relevant",
        threshold.wanted,
        threshold.logit,
        threshold.above,
        threshold.precision,
        threshold.precision_low,
        threshold.precision_high,
        threshold.recall
    )
}

/// Judgements where there is no qrels file: what is labelled above 0 is relevant.
fn from_labels(pairs: &[Pair]) -> Qrels {
    let mut qrels = Qrels::default();
    for pair in pairs {
        qrels.insert(pair.query_id.clone(), pair.passage_id.clone(), i32::from(pair.label > 0.0));
    }
    qrels
}

/// The scores that `whetstone pair` writes beside every dev pair, and who gave them.
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
            bail!(Problem::new(
                format!(
                    "`{}` line {}: the pair has no score of the first stage",
                    path.display(),
                    index + 1
                ),
                "name the first stage's run over the dev candidates with --first-stage",
            ));
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
            let (query, passage) = (&pair.query_id, &pair.passage_id);
            let message = format!(
                "`{}` does not rank passage `{passage}` for query `{query}`",
                path.display()
            );
            bail!(Problem::new(message, "the run must hold every candidate of dev.jsonl"));
        };
        hits.push(hit(pair, *score));
    }
    Ok(hits.into_iter().collect())
}

/// Returns the name in the last column of a run's first line.
pub fn run_name(path: &Path) -> Result<String> {
    let text = read_text(path)?;
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    Ok(first.split_ascii_whitespace().nth(5).unwrap_or("run").to_owned())
}

/// Returns the notes of a model.
///
/// # Errors
/// Where it has none, or those of other weights.
pub fn notes_of(model: &Path) -> Result<ModelNotes> {
    let hint = format!("run `whetstone calibrate --model {} --data DIR` first", model.display());
    let Some(notes) = ModelNotes::read(model)? else {
        bail!(Problem::new(format!("`{}` has not been calibrated", model.display()), hint));
    };
    if notes.provenance.weights != sha256_file(&model.join("model.safetensors"))? {
        let message = format!("`{}` was made for other weights", ModelNotes::path(model).display());
        bail!(Problem::new(message, hint));
    }
    Ok(notes)
}
