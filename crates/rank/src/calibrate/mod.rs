//! Learns from dev how to combine a model's order with the first stage's, and what its logits mean.

mod dev_set;

use crate::card::write_card;
use crate::error::Result;
use crate::notes::write_notes;
use crate::rerank::Scores;
use crate::run_file::{RunPaths, runs_in};
use dev_set::DevSet;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use whetstone_eval::{Measure, ModelNotes, Provenance};
use whetstone_model::{Engine, Placement, Scorer};
use whetstone_records::{
    DataSet, Manifest, ModelDir, Outcome, Progress, Stage, digests, sha256_file,
};

/// The name of the stage.
pub const CALIBRATE: &str = "calibrate";

/// The measure that decides the join: nDCG@10.
fn measure() -> Measure {
    "ndcg@10".parse().expect("a measure's name")
}

/// What a calibration reads.
#[derive(Clone, Copy, Debug)]
pub struct CalibrateJob<'a> {
    pub model: &'a ModelDir,
    /// A data set: its dev pairs, and their judgements if it has any.
    pub data: &'a DataSet,
    /// The first stages' runs over the dev queries, by their names; without any, the data set's
    /// own.
    pub first_stages: &'a RunPaths,
    /// The shares of right passages for which to find thresholds.
    pub precisions: &'a [f64],
}

#[derive(Serialize)]
struct Config<'a> {
    precisions: &'a [f64],
    measure: Measure,
}

impl CalibrateJob<'_> {
    fn qrels(&self) -> Option<PathBuf> {
        Some(self.data.dev_qrels()).filter(|path| path.exists())
    }

    /// The runs that hold the first stages' scores; none where only the pairs do.
    fn first_stages(&self) -> Result<RunPaths> {
        if self.first_stages.is_empty() {
            return runs_in(&self.data.dev_runs());
        }
        Ok(self.first_stages.clone())
    }

    fn stage(&self) -> Result<Stage> {
        let mut read = self.model.parts()?;
        read.push(("dev".to_owned(), self.data.dev()));
        read.extend(self.qrels().map(|path| ("qrels".to_owned(), path)));
        let first = self.first_stages()?.into_iter();
        read.extend(first.map(|(name, path)| (format!("first-stage {name}"), path)));
        let inputs = digests(read.iter().map(|(role, path)| (role.as_str(), &**path)))?;
        let config = Config { precisions: self.precisions, measure: measure() };
        Ok(Stage::new(CALIBRATE, self.model.root(), &config, inputs))
    }
}

/// Scores the dev candidates with the model and writes `whetstone.json` into its folder: how to join
/// its logits with the first stages' scores, the calibration of its logits and the thresholds.
pub fn calibrate(
    job: &CalibrateJob,
    placement: Placement,
    progress: &dyn Progress,
) -> Result<Manifest> {
    let stage = job.stage()?.with_setting(&placement.precision);
    if let Some(manifest) = stage.begin()? {
        return Ok(manifest);
    }
    let dev = DevSet::read(job)?;
    let scorer = Scorer::load(job.model.root(), None, None, &Engine::placed(placement)?)?;
    let logits = dev.score(&scorer, progress)?;
    let provenance = Provenance {
        weights: job.model.weights_digest()?,
        dev: sha256_file(&job.data.dev())?,
        device: placement.to_string(),
    };
    let notes = dev.notes((&logits, Scores::of(&scorer)), job.precisions, provenance);
    write_notes(job.model, &notes)?;
    let outcome = Outcome { counts: counts(&notes), notes: notes.notes, ..Outcome::default() };
    // The manifest comes last: a run that finds it goes no further.
    write_card(job.model)?;
    Ok(stage.finish(&[ModelDir::NOTES], outcome)?)
}

fn counts(notes: &ModelNotes) -> BTreeMap<String, u64> {
    let counts = [
        ("dev-queries", notes.dev.queries),
        ("dev-pairs", notes.dev.pairs),
        ("dev-relevant-pairs", notes.dev.relevant_pairs),
        ("thresholds", notes.thresholds.len()),
    ];
    counts.map(|(name, count)| (name.to_owned(), count as u64)).into()
}
