//! The folder of a run: its checkpoints, where it stands and which step is the best.

use crate::config::TrainConfig;
use crate::error::{Error, Result};
use crate::forget;
use crate::optimizer::AdamW;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use whetstone_model::PairNetwork;
use whetstone_records::{
    AtomicFile, AtomicFolder, Best, Error as RecordsError, ModelDir, RunDir, read_json,
    remove_folder,
};

/// Where a run stands. Together with the weights and the optimizer, this is all that a resumed run
/// needs to continue exactly.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    pub step: usize,
    pub best: Best,
    /// nDCG@10 of each dev query at the step with the highest mean. The best step may be a later one
    /// that is no worse as far as the dev set can tell. Empty before any step could be told apart.
    #[serde(default)]
    pub highest: Vec<f64>,
    /// Evaluations since the one with the highest mean.
    pub stale: usize,
    /// Length of log.jsonl at this step, in bytes.
    pub log_bytes: u64,
}

/// What must stay the same when a run is resumed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub config: TrainConfig,
    pub inputs: BTreeMap<String, String>,
}

/// Keys that may change when a run is resumed, because they do not affect the weights.
const MOVE_NO_WEIGHT: [&str; 8] = [
    "model",
    "teacher",
    "eval-every-steps",
    "patience",
    "keep-checkpoints",
    "general-dev",
    "gradient-checkpointing",
    "strict",
];

/// Files copied from the base model, so that every checkpoint is itself a model folder.
const MODEL_FILES: [&str; 8] = {
    let [a, b, c, d, e, f, g] = ModelDir::TOKENIZER_PARTS;
    [ModelDir::CONFIG, a, b, c, d, e, f, g]
};

/// A run's folder.
pub(crate) struct Checkpoints {
    run: PathBuf,
    /// How many of the most recent checkpoints are kept.
    keep: usize,
    /// Longest input of the model, in tokens.
    max_seq_tokens: usize,
}

impl Checkpoints {
    /// Opens a run's folder. One without a step yet becomes that of this run, and what is left of a
    /// run that was to be forgotten is cleared away first.
    ///
    /// # Errors
    /// [`Error::OtherRun`] if the folder holds a run with other data, or with a config that would
    /// lead to other weights.
    pub fn open(run: &Path, identity: &Identity) -> Result<Self> {
        let path = run.join(RunDir::IDENTITY);
        forget::finish(&RunDir::new(run))?;
        let earlier: Option<Identity> = read_json(&path).map_err(|error| damaged(&path, error))?;
        let config = &identity.config;
        let (keep, max_seq_tokens) = (config.keep_checkpoints, config.max_seq_tokens());
        let checkpoints = Self { run: run.into(), keep, max_seq_tokens };
        let other = earlier.as_ref().and_then(|earlier| difference(earlier, identity));
        if let Some(what) = other
            && checkpoints.folders()?.iter().any(|(step, _)| step.is_some())
        {
            return Err(Error::OtherRun { path: run.into(), what });
        }
        if earlier.as_ref() != Some(identity) {
            AtomicFile::write_all_to(&path, &json(identity))?;
        }
        let config = toml::to_string_pretty(&identity.config)
            .expect("a config is plain data, which always serialises");
        AtomicFile::write_all_to(&run.join(RunDir::CONFIG), config.as_bytes())?;
        Ok(checkpoints)
    }

    /// The folder of the run.
    pub fn run(&self) -> &Path {
        &self.run
    }

    pub fn folder(&self, step: usize) -> PathBuf {
        self.run.join(RunDir::step_name(step))
    }

    /// Returns where the last whole checkpoint stands, or None if there is none.
    pub fn last(&self) -> Result<Option<State>> {
        // In order, so that the last one is the newest.
        let Some((Some(_), path)) = self.folders()?.pop() else { return Ok(None) };
        let path = path.join(RunDir::STATE);
        let missing = || Error::Checkpoint { path: path.clone(), what: "it is missing".into() };
        let state: Option<State> = read_json(&path).map_err(|error| damaged(&path, error))?;
        state.ok_or_else(missing).map(Some)
    }

    /// Writes a checkpoint, whole or not at all, then deletes those no longer needed.
    pub fn save(
        &self,
        state: &State,
        network: &PairNetwork,
        optimizer: Option<&AdamW>,
        model_dir: &Path,
    ) -> Result<()> {
        let folder = AtomicFolder::replacing(&self.folder(state.step))?;
        self.write_model(folder.path(), network, &self.base(model_dir))?;
        if let Some(optimizer) = optimizer {
            optimizer.save(&folder.path().join(RunDir::OPTIMIZER))?;
        }
        AtomicFile::write_all_to(&folder.path().join(RunDir::STATE), &json(state))?;
        folder.commit()?;
        self.settle(state)
    }

    /// Records which checkpoint is the best, then deletes those no longer needed. Call it after a
    /// checkpoint and on resume, where a killed run may have left this undone.
    pub fn settle(&self, state: &State) -> Result<()> {
        AtomicFile::write_all_to(&self.run.join(RunDir::BEST), &json(&state.best))?;
        self.prune(state)
    }

    /// Writes the best checkpoint with the base model mixed in and names it in best.json as the one
    /// to export.
    pub fn save_blended(
        &self,
        state: &State,
        network: &PairNetwork,
        model_dir: &Path,
    ) -> Result<()> {
        let folder = AtomicFolder::replacing(&self.run.join(RunDir::BLENDED))?;
        self.write_model(folder.path(), network, &self.base(model_dir))?;
        folder.commit()?;
        Ok(AtomicFile::write_all_to(&self.run.join(RunDir::BEST), &json(&state.best))?)
    }

    /// Writes the files of a model into a folder.
    fn write_model(&self, folder: &Path, network: &PairNetwork, base: &Path) -> Result<()> {
        for file in MODEL_FILES {
            let from = base.join(file);
            if from.exists() {
                fs::copy(&from, folder.join(file)).map_err(RecordsError::io("copy", &from))?;
            }
        }
        Ok(network.save(folder, base, self.max_seq_tokens)?)
    }

    /// Returns the folder to copy the files beside the weights from. Once there is a first step,
    /// that is it, so the base model may change or vanish meanwhile.
    fn base(&self, model_dir: &Path) -> PathBuf {
        let first = self.folder(0);
        if first.exists() { first } else { model_dir.into() }
    }

    /// Refuses to resume from the last step of a finished run, which has no optimizer.
    pub fn check_optimizer(&self, step: usize) -> Result<()> {
        let path = self.folder(step);
        match step == 0 || path.join(RunDir::OPTIMIZER).exists() {
            true => Ok(()),
            false => Err(Error::NoOptimizer { path }),
        }
    }

    pub fn optimizer_path(&self, step: usize) -> PathBuf {
        self.folder(step).join(RunDir::OPTIMIZER)
    }

    /// Returns the folders of checkpoints, sorted by step. Remains of a killed run have no step and
    /// come first.
    fn folders(&self) -> Result<Vec<(Option<usize>, PathBuf)>> {
        let mut folders = Vec::new();
        for entry in fs::read_dir(&self.run).map_err(RecordsError::io("read", &self.run))? {
            let entry = entry.map_err(RecordsError::io("read", &self.run))?;
            if let Some(name) = entry.file_name().to_str().filter(|name| RunDir::is_step_name(name))
            {
                folders.push((RunDir::step_of(name), entry.path()));
            }
        }
        folders.sort();
        Ok(folders)
    }

    /// Keeps the first, the best and the last checkpoints, and only the newest optimizer.
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
                remove_folder(&path)?;
            }
        }
        Ok(())
    }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec_pretty(value).expect("plain data always serialises")
}

/// Returns the error for a file of the run that does not parse.
fn damaged(path: &Path, error: RecordsError) -> Error {
    match error {
        RecordsError::Json { source, .. } => {
            Error::Checkpoint { path: path.into(), what: source.to_string() }
        }
        other => other.into(),
    }
}

/// Names the first difference that affects the weights, in the user's words.
fn difference(earlier: &Identity, now: &Identity) -> Option<String> {
    let (a, b) =
        (serde_json::to_value(&earlier.config).ok()?, serde_json::to_value(&now.config).ok()?);
    let moves_weights = |key: &&String| !MOVE_NO_WEIGHT.contains(&key.as_str());
    let keys = a.as_object()?.keys().filter(moves_weights).find(|key| a.get(key) != b.get(key));
    if let Some(key) = keys {
        return Some(format!("`{key}`: {} then, {} now", a[key], b[key]));
    }
    let of_training = |role: &&String| !role.starts_with("general-dev");
    let mut roles = now.inputs.keys().chain(earlier.inputs.keys()).filter(of_training);
    let role = roles.find(|role| earlier.inputs.get(*role) != now.inputs.get(*role));
    role.map(|role| format!("`{role}`"))
}

/// Returns the folder of a run's best step. Returns the folder itself if it is a checkpoint or a
/// model folder.
pub fn best_step(checkpoint: &Path) -> Result<PathBuf> {
    let path = checkpoint.join(RunDir::BEST);
    let best: Option<Best> = read_json(&path).map_err(|error| damaged(&path, error))?;
    Ok(best.map_or_else(|| checkpoint.to_path_buf(), |best| checkpoint.join(best.folder())))
}
