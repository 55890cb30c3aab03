//! A run's folder: checkpoints, where it stands, which one is the best.

use crate::config::TrainConfig;
use crate::error::{Error, Result};
use crate::forget;
use crate::optimizer::AdamW;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use whetstone_model::CrossEncoderNetwork;
use whetstone_records::{AtomicFile, Best, ModelDir, RunDir};

/// Where a run stands; with the weights and the optimizer, all that is needed to go on exactly as
/// if nothing happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    pub step: usize,
    pub best: Best,
    /// Evaluations since the best one.
    pub stale: usize,
    /// Bytes of log.jsonl that belong to the steps up to this one.
    pub log_bytes: u64,
}

/// What must not change between the parts of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub config: TrainConfig,
    pub inputs: BTreeMap<String, String>,
}

/// The files of a model folder that are copied along, so that every checkpoint is a model folder
/// itself.
const MODEL_FILES: [&str; 5] = [
    ModelDir::CONFIG,
    ModelDir::TOKENIZER,
    ModelDir::TOKENIZER_CONFIG,
    ModelDir::SPECIAL_TOKENS,
    ModelDir::VOCABULARY,
];

/// A run's folder.
pub(crate) struct Checkpoints {
    run: PathBuf,
    /// How many of the last ones are kept.
    keep: usize,
}

impl Checkpoints {
    /// Opens a run's folder; what is left of a run that was to be forgotten is cleared away first.
    ///
    /// # Errors
    /// [`Error::OtherRun`] where it holds a run with another config or other data.
    pub fn open(run: &Path, identity: &Identity) -> Result<Self> {
        let path = run.join(RunDir::IDENTITY);
        forget::finish(&RunDir::new(run))?;
        if let Ok(bytes) = fs::read(&path) {
            let earlier: Identity = serde_json::from_slice(&bytes).map_err(|source| {
                Error::Checkpoint { path: path.clone(), what: source.to_string() }
            })?;
            if let Some(what) = difference(&earlier, identity) {
                return Err(Error::OtherRun { path: run.into(), what });
            }
        } else {
            AtomicFile::write_all_to(&path, &json(identity))?;
        }
        let config = toml::to_string_pretty(&identity.config)
            .expect("a config is plain data, which always serialises");
        AtomicFile::write_all_to(&run.join(RunDir::CONFIG), config.as_bytes())?;
        Ok(Self { run: run.into(), keep: identity.config.keep_checkpoints })
    }

    /// The folder of the run.
    pub fn run(&self) -> &Path {
        &self.run
    }

    pub fn folder(&self, step: usize) -> PathBuf {
        self.run.join(RunDir::step_name(step))
    }

    /// The last whole checkpoint.
    pub fn last(&self) -> Result<Option<State>> {
        let mut last: Option<State> = None;
        for (_, path) in self.folders()?.into_iter().filter(|(step, _)| step.is_some()) {
            let path = path.join(RunDir::STATE);
            let bytes = fs::read(&path).map_err(Error::io("read", &path))?;
            let state: State = serde_json::from_slice(&bytes).map_err(|source| {
                Error::Checkpoint { path: path.clone(), what: source.to_string() }
            })?;
            if last.as_ref().is_none_or(|last| last.step < state.step) {
                last = Some(state);
            }
        }
        Ok(last)
    }

    /// Writes a checkpoint, whole or not at all, then drops those that are no longer needed.
    pub fn save(
        &self,
        state: &State,
        network: &CrossEncoderNetwork,
        optimizer: Option<&AdamW>,
        model_dir: &Path,
    ) -> Result<()> {
        let folder = self.folder(state.step);
        let temporary = model_folder(&folder, network, model_dir)?;
        if let Some(optimizer) = optimizer {
            optimizer.save(&temporary.join(RunDir::OPTIMIZER))?;
        }
        AtomicFile::write_all_to(&temporary.join(RunDir::STATE), &json(state))?;
        replace(&temporary, &folder)?;
        self.settle(state)
    }

    /// Says which checkpoint is the best, and drops those that are no longer needed: what follows a
    /// checkpoint, and what a run that goes on from it may find undone.
    pub fn settle(&self, state: &State) -> Result<()> {
        AtomicFile::write_all_to(&self.run.join(RunDir::BEST), &json(&state.best))?;
        self.prune(state)
    }

    /// Writes the best checkpoint with the base model mixed in, and says in best.json that it is
    /// the one to take.
    pub fn save_blended(
        &self,
        state: &State,
        network: &CrossEncoderNetwork,
        model_dir: &Path,
    ) -> Result<()> {
        let folder = self.run.join(RunDir::BLENDED);
        replace(&model_folder(&folder, network, model_dir)?, &folder)?;
        Ok(AtomicFile::write_all_to(&self.run.join(RunDir::BEST), &json(&state.best))?)
    }

    pub fn optimizer_path(&self, step: usize) -> PathBuf {
        self.folder(step).join(RunDir::OPTIMIZER)
    }

    /// The folders of checkpoints by step; what a killed run left of one has no step, and comes
    /// first.
    fn folders(&self) -> Result<Vec<(Option<usize>, PathBuf)>> {
        let mut folders = Vec::new();
        for entry in fs::read_dir(&self.run).map_err(Error::io("read", &self.run))? {
            let entry = entry.map_err(Error::io("read", &self.run))?;
            if let Some(name) = entry.file_name().to_str().filter(|name| RunDir::is_step_name(name))
            {
                folders.push((RunDir::step_of(name), entry.path()));
            }
        }
        folders.sort();
        Ok(folders)
    }

    /// Keeps the first, the best and the last checkpoints, and the optimizer of the very last.
    fn prune(&self, state: &State) -> Result<()> {
        let steps = self.folders()?;
        let first_kept = steps.len().saturating_sub(self.keep);
        for (place, (step, path)) in steps.into_iter().enumerate() {
            if step == Some(state.step) {
                continue;
            }
            if step.is_some()
                && (place >= first_kept || step == Some(0) || step == Some(state.best.step))
            {
                let _ = fs::remove_file(path.join(RunDir::OPTIMIZER));
            } else {
                discard(&path)?;
            }
        }
        Ok(())
    }
}

/// Writes a model folder beside `folder`, to be renamed into place; returns where it is.
fn model_folder(folder: &Path, network: &CrossEncoderNetwork, model_dir: &Path) -> Result<PathBuf> {
    let temporary = folder.with_extension("tmp");
    let _ = fs::remove_dir_all(&temporary);
    fs::create_dir_all(&temporary).map_err(Error::io("create folder", &temporary))?;
    for file in MODEL_FILES {
        let from = model_dir.join(file);
        if from.exists() {
            fs::copy(&from, temporary.join(file)).map_err(Error::io("copy", &from))?;
        }
    }
    network.save(&temporary.join(ModelDir::WEIGHTS))?;
    Ok(temporary)
}

/// Deletes a folder, which loses its name first: no half of it is ever taken for the whole.
fn discard(folder: &Path) -> Result<()> {
    let nameless = folder.with_extension("old");
    let _ = fs::remove_dir_all(&nameless);
    if folder.exists() && folder != nameless {
        fs::rename(folder, &nameless).map_err(Error::io("move aside", folder))?;
        fs::remove_dir_all(&nameless).map_err(Error::io("delete", &nameless))?;
    }
    Ok(())
}

fn replace(temporary: &Path, folder: &Path) -> Result<()> {
    discard(folder)?;
    fs::rename(temporary, folder).map_err(Error::io("rename into place", folder))
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec_pretty(value).expect("plain data always serialises")
}

/// The first thing that differs, as the user would say it.
fn difference(earlier: &Identity, now: &Identity) -> Option<String> {
    let (a, b) =
        (serde_json::to_value(&earlier.config).ok()?, serde_json::to_value(&now.config).ok()?);
    let keys = a.as_object()?.keys().find(|key| a.get(key) != b.get(key));
    if let Some(key) = keys {
        return Some(format!("`{key}`: {} then, {} now", a[key], b[key]));
    }
    let inputs = now.inputs.iter().find(|(role, digest)| earlier.inputs.get(*role) != Some(digest));
    inputs.map(|(role, _)| format!("`{role}`"))
}

/// Returns the folder of a run's best step, or the folder itself where it is a checkpoint or a
/// model folder.
pub fn best_step(checkpoint: &Path) -> Result<PathBuf> {
    let path = checkpoint.join(RunDir::BEST);
    if !path.exists() {
        return Ok(checkpoint.to_path_buf());
    }
    let bytes = fs::read(&path).map_err(Error::io("read", &path))?;
    let best: Best = serde_json::from_slice(&bytes)
        .map_err(|source| Error::Checkpoint { path: path.clone(), what: source.to_string() })?;
    Ok(checkpoint.join(best.folder()))
}
