//! Writes a checkpoint as a folder that other programs load as it is: transformers,
//! sentence-transformers and text-embeddings-inference, and with ONNX files the programs over ONNX
//! Runtime. They compute the same logits as Whetstone, and `golden.json` lets them prove it. `shrink`
//! makes a model folder smaller.

mod checkpoint;
mod error;
mod format;
mod golden;
mod hf;
mod onnx;
mod shrink;

pub use error::{Error, Result};
pub use format::Format;
pub use shrink::{SHRINK, ShrinkJob, kept_layers, shrink};

use checkpoint::Checkpoint;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use whetstone_model::{DeviceName, Engine, Scorer};
use whetstone_records::{
    AtomicFolder, Input, Manifest, ModelDir, Outcome, Stage, manifest_name, sha256_file, write_json,
};

/// The stage's name, which its manifest has.
pub const EXPORT: &str = "export";

/// What is exported.
#[derive(Clone, Copy, Debug)]
pub struct ExportJob<'a> {
    /// A run, whose best step is taken, or the folder of a step.
    pub checkpoint: &'a Path,
    /// What the folder gets beside Hugging Face's files.
    pub formats: &'a [Format],
    /// A data set whose test or dev pairs become golden.json; none for built-in pairs.
    pub data: Option<&'a Path>,
}

impl<'a> ExportJob<'a> {
    /// Hugging Face's files alone.
    pub fn of(checkpoint: &'a Path) -> Self {
        Self { checkpoint, formats: &[], data: None }
    }

    /// The formats, each once, in an order of their own.
    fn formats(&self) -> Vec<Format> {
        let mut formats = self.formats.to_vec();
        formats.sort_unstable();
        formats.dedup();
        formats
    }
}

/// Writes a checkpoint as the model folder `out`.
///
/// # Errors
/// The checkpoint is incomplete or something else, its network has no such format, or `out` exists
/// and no export made it.
pub fn export(job: &ExportJob, out: &Path) -> Result<Manifest> {
    let checkpoint = Checkpoint::open(job.checkpoint)?;
    let (formats, pairs) = (job.formats(), job.data.map(golden::source));
    let mut inputs = checkpoint.digests()?;
    if let Some(pairs) = &pairs {
        inputs.push(Input::of_file("pairs", pairs)?);
    }
    let stage = |folder: &Path| Stage::new(EXPORT, folder, &formats, inputs.clone());
    if let Some(manifest) = stage(out).up_to_date() {
        AtomicFolder::tidy(out)?;
        return Ok(manifest);
    }
    // The loader used for scoring must accept the checkpoint before anything is written.
    let scorer = Scorer::load(
        &checkpoint.folder,
        None,
        Some(checkpoint.max_seq_tokens),
        &Engine::open(DeviceName::Cpu)?,
    )?;
    let folder = AtomicFolder::create(out, EXPORT)?;
    let started = stage(folder.path());
    let export = Export { checkpoint: &checkpoint, formats: &formats, pairs };
    let files = export.write(&scorer, folder.path())?;
    let counts = BTreeMap::from([
        ("step".to_owned(), checkpoint.step as u64),
        ("max-seq-tokens".to_owned(), checkpoint.max_seq_tokens as u64),
    ]);
    let mut notes = vec![format!("from `{}`", checkpoint.folder.display())];
    if checkpoint.step == 0 && checkpoint.dev_ndcg_at_10()?.is_some() {
        notes.push(
            "training brought nothing on dev: these are the weights that it began with".into(),
        );
    }
    notes.extend(keep_calibration(&ModelDir::new(out), &ModelDir::new(folder.path()))?);
    let manifest = started.finish(&files, Outcome { counts, notes, ..Outcome::default() })?;
    folder.commit()?;
    Ok(manifest)
}

/// Keeps what was measured of the same weights where a folder is written anew. Returns a note if
/// they are others.
fn keep_calibration(old: &ModelDir, new: &ModelDir) -> Result<Option<String>> {
    if !old.notes().is_file() {
        return Ok(None);
    }
    let weights = old.weights();
    if !weights.is_file() || sha256_file(&weights)? != sha256_file(&new.weights())? {
        let note = "the calibration of the earlier weights is gone: run `whetstone calibrate`";
        return Ok(Some(note.into()));
    }
    let manifest = manifest_name("calibrate");
    for name in [ModelDir::NOTES, ModelDir::RESULTS, &manifest] {
        let (from, to) = (old.root().join(name), new.root().join(name));
        if from.is_file() {
            let parent = to.parent().expect("a file stands in a folder");
            std::fs::create_dir_all(parent)
                .map_err(whetstone_records::Error::io("create", parent))?;
            std::fs::copy(&from, &to).map_err(whetstone_records::Error::io("write", &to))?;
        }
    }
    Ok(None)
}

/// What goes into a folder.
struct Export<'a> {
    checkpoint: &'a Checkpoint,
    formats: &'a [Format],
    /// The file with the pairs of golden.json.
    pairs: Option<PathBuf>,
}

impl Export<'_> {
    /// Writes every file of the model folder. Returns their names.
    fn write(&self, scorer: &Scorer, out: &Path) -> Result<Vec<&'static str>> {
        let (checkpoint, dir) = (self.checkpoint, ModelDir::new(out));
        let mut files = hf::write(checkpoint, out)?;
        for format in self.formats {
            let (to, tokens) = (format.path(&dir), checkpoint.max_seq_tokens);
            onnx::write(&checkpoint.folder, &to, format.numbers(), tokens)?;
            files.push(format.file());
        }
        let golden = golden::golden(self.pairs.as_deref(), scorer, checkpoint.max_seq_tokens)?;
        write_json(&dir.golden(), &golden)?;
        write_json(&dir.origin(), &checkpoint.origin()?)?;
        files.extend([ModelDir::GOLDEN, ModelDir::ORIGIN]);
        Ok(files)
    }
}
