//! Finds the step of a run to export, and reads what the run says about it.

use crate::error::{Error, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use whetstone_model::{Architecture, Family};
use whetstone_records::{
    Best, Input, ModelDir, Origin, RunDir, manifest_name, read_json, read_text,
};

/// One step of a training run.
#[derive(Debug)]
pub struct Checkpoint {
    /// The step's folder, with config.json, model.safetensors and the tokenizer's files.
    pub folder: PathBuf,
    /// The folder of the run.
    pub run: PathBuf,
    pub step: usize,
    pub max_seq_tokens: usize,
    /// The base model of the training, as named in the config.
    pub base_model: Option<String>,
    /// The files of the run, digested before they were read.
    of_run: Vec<Input>,
}

/// The keys of a run's `config.toml` that affect the model folder.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RunConfig {
    max_seq_tokens: Option<usize>,
    model: Option<String>,
}

impl Checkpoint {
    /// Finds the best step of a run folder, or takes the step folder given.
    ///
    /// # Errors
    /// [`Error::Untrained`] for a run whose best step is the random head that it began with.
    pub fn open(path: &Path) -> Result<Self> {
        let none = || Error::NoCheckpoint { path: path.into() };
        let run = RunDir::new(path);
        if run.best().is_file() {
            let of_run = files_of_run(path)?;
            let best: Best = json(&run.best())?;
            if best.fresh_head && best.blended.is_none() {
                return Err(Error::Untrained { run: path.into(), start: run.step(best.step) });
            }
            return Self::of_step(run.path(best.folder()), path.into(), best.step, of_run);
        }
        if !ModelDir::new(path).weights().is_file() {
            return Err(none());
        }
        // `step-000500` and `./step-000500/` name the same folder.
        let folder = path.canonicalize().map_err(whetstone_records::Error::io("read", path))?;
        let name = folder.file_name().and_then(|name| name.to_str()).ok_or_else(none)?;
        let step = RunDir::step_of(name).ok_or_else(none)?;
        let run = folder.parent().ok_or_else(none)?.to_path_buf();
        let of_run = files_of_run(&run)?;
        Self::of_step(path.into(), run, step, of_run)
    }

    fn of_step(folder: PathBuf, run: PathBuf, step: usize, of_run: Vec<Input>) -> Result<Self> {
        let path = RunDir::new(&run).config();
        let text = read_text(&path)?;
        let config: RunConfig =
            toml::from_str(&text).map_err(|source| Error::Toml { path: path.clone(), source })?;
        let max_seq_tokens =
            config.max_seq_tokens.ok_or_else(|| Error::NoCheckpoint { path: run.clone() })?;
        Ok(Self { folder, run, step, max_seq_tokens, base_model: config.model, of_run })
    }

    /// Digests every file that goes into the model folder, and those of the run.
    pub fn digests(&self) -> Result<Vec<Input>> {
        let of_step = [ModelDir::WEIGHTS, ModelDir::CONFIG].into_iter();
        let of_step: Vec<&str> = of_step.chain(ModelDir::TOKENIZER_PARTS).collect();
        let mut inputs = digests_of(&self.folder, &of_step)?;
        inputs.extend(digests_of(&self.folder, &self.late_interaction_files())?);
        inputs.extend(self.of_run.iter().cloned());
        Ok(inputs)
    }

    /// Returns the files that only a late interaction has; none for a cross-encoder.
    pub fn late_interaction_files(&self) -> Vec<&'static str> {
        ModelDir::new(&self.folder).late_interaction_files()
    }

    /// Returns the model's family.
    pub fn family(&self) -> Result<&'static Family> {
        Ok(Architecture::read(&self.folder)?.family)
    }

    /// Returns the step's `config.json`.
    pub fn base_config(&self) -> Result<Map<String, Value>> {
        json(&ModelDir::new(&self.folder).config())
    }

    /// Returns the dev nDCG@10; None unless this is the run's best step and dev was measured.
    pub fn dev_ndcg_at_10(&self) -> Result<Option<f64>> {
        let path = RunDir::new(&self.run).best();
        if !path.is_file() {
            return Ok(None);
        }
        let best: Best = json(&path)?;
        let measured = match best.blended {
            Some(blended) if self.folder.ends_with(RunDir::BLENDED) => blended.ndcg_at_10,
            _ => best.ndcg_at_10,
        };
        Ok(measured.filter(|_| best.step == self.step))
    }

    /// Returns what the model is made of.
    pub fn origin(&self) -> Result<Origin> {
        let start = self.base_model.as_deref().map(student).transpose()?.flatten();
        let (base_model, base_license, shrunk) = match start {
            Some(Origin { base_model, base_license, shrunk, .. }) => {
                (base_model, base_license, shrunk)
            }
            None => {
                let base = self.base_model.clone();
                (base, self.base_model.as_deref().and_then(licence), None)
            }
        };
        Ok(Origin {
            version: env!("CARGO_PKG_VERSION").into(),
            base_model,
            base_license,
            shrunk,
            step: self.step,
            max_seq_tokens: self.max_seq_tokens,
            template: self.family()?.template.to_string(),
            dev_ndcg_at_10: self.dev_ndcg_at_10()?,
            data: self.data_digests()?,
            config: read_text(&RunDir::new(&self.run).config())?,
        })
    }

    /// Returns the SHA-256 of the training data, by role; empty if the run has no manifest.
    fn data_digests(&self) -> Result<BTreeMap<String, String>> {
        let path = self.run.join(manifest_name("train"));
        if !path.is_file() {
            return Ok(BTreeMap::new());
        }
        let manifest: whetstone_records::Manifest = json(&path)?;
        Ok(manifest.inputs)
    }
}

/// Returns the licence in the card of a model folder: the line `license: …` of its front matter.
fn licence(model: &str) -> Option<String> {
    let card = read_text(&ModelDir::new(model).card()).ok()?;
    let mut lines = card.lines();
    lines.next().filter(|line| line.trim_end() == "---")?;
    let mut matter = lines.take_while(|line| line.trim_end() != "---");
    let licence = matter.find_map(|line| line.strip_prefix("license:"))?;
    Some(licence.trim().trim_matches(['"', '\'']).to_owned()).filter(|licence| !licence.is_empty())
}

/// What a model is made of, if it was made smaller: its base is that of the larger one.
fn student(model: &str) -> Result<Option<Origin>> {
    let origin: Option<Origin> = read_json(&ModelDir::new(model).origin())?;
    Ok(origin.filter(|origin| origin.shrunk.is_some()))
}

fn files_of_run(run: &Path) -> Result<Vec<Input>> {
    digests_of(run, &[RunDir::CONFIG, RunDir::BEST])
}

/// Digests those of the named files that a folder has.
fn digests_of(folder: &Path, names: &[&str]) -> Result<Vec<Input>> {
    let present = names.iter().map(|name| (*name, folder.join(name)));
    let present = present.filter(|(_, path)| path.exists());
    present.map(|(name, path)| Ok(Input::of_file(name, &path)?)).collect()
}

fn json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = read_text(path)?;
    serde_json::from_str(&text).map_err(|source| Error::Json { path: path.into(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_folder() -> tempfile::TempDir {
        let run = tempfile::tempdir().unwrap();
        for step in ["step-000000", "step-000500"] {
            std::fs::create_dir(run.path().join(step)).unwrap();
            std::fs::write(run.path().join(step).join("model.safetensors"), "").unwrap();
        }
        std::fs::write(run.path().join("config.toml"), "max-seq-tokens = 96\nseed = 1\n").unwrap();
        run
    }

    #[test]
    fn a_run_folder_means_its_best_step() {
        let run = run_folder();
        std::fs::write(run.path().join("best.json"), r#"{"step": 500, "ndcg@10": 0.5}"#).unwrap();
        let checkpoint = Checkpoint::open(run.path()).unwrap();
        assert_eq!(checkpoint.folder, run.path().join("step-000500"));
        assert_eq!((checkpoint.step, checkpoint.max_seq_tokens), (500, 96));
        assert_eq!(checkpoint.dev_ndcg_at_10().unwrap(), Some(0.5));
        let first = Checkpoint::open(&run.path().join("step-000000")).unwrap();
        assert_eq!(first.step, 0);
        assert_eq!(first.dev_ndcg_at_10().unwrap(), None);
    }

    #[test]
    fn a_step_or_a_run_that_changes_while_it_is_exported_is_noticed() {
        let run = run_folder();
        let best = run.path().join("best.json");
        std::fs::write(&best, r#"{"step": 500, "ndcg@10": 0.5}"#).unwrap();
        let weights = run.path().join("step-000500/model.safetensors");
        for path in [&best, &weights] {
            let checkpoint = Checkpoint::open(run.path()).unwrap();
            // As training does, which replaces it between two reads.
            std::fs::write(path, "{\"step\": 0, \"ndcg@10\": 0.25}").unwrap();
            let inputs = checkpoint.digests().unwrap();
            let out = tempfile::tempdir().unwrap();
            std::fs::write(path, "{\"step\": 1}").unwrap();
            let stage = whetstone_records::Stage::new("export", out.path(), &(), inputs);
            let error = stage.finish(&[], whetstone_records::Outcome::default()).unwrap_err();
            let changed = format!("`{}` was changed while it was read", path.display());
            assert_eq!(error.to_string(), changed);
            std::fs::write(&best, r#"{"step": 500, "ndcg@10": 0.5}"#).unwrap();
        }
    }

    #[test]
    fn a_start_with_a_random_head_is_exported_only_where_it_is_named() {
        let run = run_folder();
        let best = r#"{"step": 0, "ndcg@10": 0.5, "fresh_head": true}"#;
        std::fs::write(run.path().join("best.json"), best).unwrap();
        let error = Checkpoint::open(run.path()).unwrap_err();
        let hint = whetstone_records::Hint::hint(&error).unwrap();
        assert!(matches!(error, Error::Untrained { .. }) && hint.contains("step-000000"), "{hint}");
        assert_eq!(Checkpoint::open(&run.path().join("step-000000")).unwrap().step, 0);
    }

    #[test]
    fn the_licence_is_read_from_the_front_matter_of_the_base_models_card() {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().to_str().unwrap();
        assert_eq!(licence(name), None);
        let card = |text: &str| std::fs::write(folder.path().join("README.md"), text).unwrap();
        card("---\nlanguage: en\nlicense: \"apache-2.0\"\n---\n# MiniLM\n");
        assert_eq!(licence(name).as_deref(), Some("apache-2.0"));
        card("---\nlanguage: en\n---\nlicense: mit\n");
        assert_eq!(licence(name), None);
        card("license: mit\n");
        assert_eq!(licence(name), None);
    }

    #[test]
    fn a_folder_without_a_best_step_is_refused() {
        let run = run_folder();
        assert!(matches!(Checkpoint::open(run.path()), Err(Error::NoCheckpoint { .. })));
        assert!(matches!(
            Checkpoint::open(Path::new("/nowhere/at/all")),
            Err(Error::NoCheckpoint { .. })
        ));
    }
}
