//! Learns from dev how to combine a model's order with the first stage's, and what its logits mean.

mod dev_set;

use crate::error::Result;
use crate::notes::write_notes;
use dev_set::DevSet;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use whetstone_eval::{Measure, ModelNotes, Provenance};
use whetstone_model::{CrossEncoder, DeviceName, Engine};
use whetstone_records::{
    DataSet, Manifest, ModelDir, Outcome, Progress, Stage, digests, sha256_file,
};

/// The name of the stage.
pub const CALIBRATE: &str = "calibrate";

/// The measure that decides the fusion: nDCG@10.
fn measure() -> Measure {
    "ndcg@10".parse().expect("a measure's name")
}

/// What a calibration reads.
#[derive(Clone, Copy, Debug)]
pub struct CalibrateJob<'a> {
    pub model: &'a ModelDir,
    /// A data set: its dev pairs, and their judgements if it has any.
    pub data: &'a DataSet,
    /// The first stage's scores of the dev candidates, if the dev pairs lack them.
    pub first_stage: Option<&'a Path>,
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

    fn stage(&self) -> Result<Stage> {
        let mut read = self.model.parts()?;
        let mut also = |role: &str, path: PathBuf| read.push((role.to_owned(), path));
        also("dev", self.data.dev());
        self.qrels().into_iter().for_each(|path| also("qrels", path));
        self.first_stage.into_iter().for_each(|path| also("first-stage", path.into()));
        let inputs = digests(read.iter().map(|(role, path)| (role.as_str(), path.as_path())))?;
        let config = Config { precisions: self.precisions, measure: measure() };
        Ok(Stage::new(CALIBRATE, self.model.root(), &config, inputs))
    }
}

/// Scores the dev candidates with the model and writes `whetstone.json` into its folder: the best
/// fusion on dev, the calibration of its logits and the thresholds.
pub fn calibrate(
    job: &CalibrateJob,
    device: DeviceName,
    progress: &dyn Progress,
) -> Result<Manifest> {
    let stage = job.stage()?;
    if let Some(manifest) = stage.begin()? {
        return Ok(manifest);
    }
    let dev = DevSet::read(job)?;
    let encoder = CrossEncoder::load(job.model.root(), None, &Engine::open(device)?)?;
    let logits = dev.score(&encoder, progress)?;
    let provenance = Provenance {
        weights: job.model.weights_digest()?,
        dev: sha256_file(&job.data.dev())?,
        device: device.to_string(),
    };
    let notes = dev.notes(&logits, job.precisions, provenance);
    write_notes(job.model, &notes)?;
    let outcome = Outcome { counts: counts(&notes), notes: notes.notes, ..Outcome::default() };
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
