//! The stage contract: what a stage read and wrote, and whether it must run again.

use crate::atomic::{AtomicFile, FolderLock};
use crate::error::{Error, Result};
use crate::input::Input;
use crate::io::{sha256_bytes, sha256_file};
use crate::language::Language;
use crate::layout::manifest_name;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Instant;

/// What a stage read, with which config, and what it wrote. It is written last, so a manifest means
/// that its outputs are whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub stage: String,
    /// Version of the program that wrote the outputs.
    pub version: String,
    /// SHA-256 of the stage's config.
    pub config: String,
    /// SHA-256 of every input, by role.
    pub inputs: BTreeMap<String, String>,
    /// SHA-256 of every output, by its path below the stage's folder.
    pub outputs: BTreeMap<String, String>,
    /// What the stage counted, such as `passages` or `skipped-binary`.
    pub counts: BTreeMap<String, u64>,
    /// Number of items still to do; running the same command again continues with them.
    #[serde(default)]
    pub open: u64,
    /// Longest query and passage together for which the outputs are made, in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_seq_tokens: Option<usize>,
    /// The language of the corpus, as the config names it or as it was detected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
    /// The cost of scoring, for a stage that scores pairs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
    /// Speeds and other numbers that are not counts, such as `pairs-per-s`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rates: BTreeMap<String, f64>,
    /// What the user should know about the result.
    pub notes: Vec<String>,
    pub wall_s: f64,
    /// True if an earlier run made these outputs and this one did nothing.
    #[serde(default, skip_deserializing)]
    pub up_to_date: bool,
}

/// The cost of scoring pairs with a reranker.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    pub pairs: u64,
    /// Wall time, including the loading of the model.
    pub seconds: f64,
}

/// What a stage reports about its work, for the manifest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    pub counts: BTreeMap<String, u64>,
    pub notes: Vec<String>,
    /// Number of items still to do.
    pub open: u64,
    /// Longest query and passage together for which the outputs are made, in tokens.
    pub max_seq_tokens: Option<usize>,
    /// The language of the corpus.
    pub language: Option<Language>,
    /// Number of pairs that a reranker scored; the manifest adds the time.
    pub scored_pairs: Option<u64>,
    pub rates: BTreeMap<String, f64>,
}

/// Invalidates a stage's earlier result, so that the stage runs again.
pub fn forget(out: &Path, stage: &str) -> Result<()> {
    let manifest = out.join(manifest_name(stage));
    if !manifest.exists() {
        return Ok(());
    }
    // Emptied, not removed: it still says who made the folder, which is why the stage may replace
    // it. In place, as a temporary file would stay for good where the stage is killed before the
    // old manifest is gone: the next run finds everything up to date.
    File::create(&manifest).map_err(Error::io("write", &manifest))?;
    Ok(())
}

/// One run of a stage over its output folder. It decides whether there is work and writes the
/// manifest at the end.
///
/// ```
/// # use whetstone_records::{AtomicFile, Manifest, Outcome, Result, Stage, digests};
/// # use std::path::Path;
/// fn count(input: &Path, out: &Path) -> Result<Manifest> {
///     let stage = Stage::new("count", out, &(), digests([("input", input)])?);
///     if let Some(manifest) = stage.begin()? {
///         return Ok(manifest);
///     }
///     let bytes = std::fs::metadata(input).map_or(0, |metadata| metadata.len());
///     AtomicFile::write_all_to(&out.join("count.txt"), bytes.to_string().as_bytes())?;
///     stage.finish(&["count.txt"], Outcome::default())
/// }
/// # let folder = tempfile::tempdir().unwrap();
/// # let input = folder.path().join("input");
/// # std::fs::write(&input, "four").unwrap();
/// # let out = folder.path().join("out");
/// assert!(!count(&input, &out)?.up_to_date);
/// assert!(count(&input, &out)?.up_to_date);
/// # Ok::<(), whetstone_records::Error>(())
/// ```
pub struct Stage {
    name: String,
    out: PathBuf,
    config: String,
    inputs: Vec<Input>,
    started: Instant,
    held: OnceLock<Held>,
}

/// Locks held while a stage works.
struct Held {
    /// The manifest to be. Creating it early shows whether the folder is writable.
    manifest: AtomicFile,
    folder: Option<FolderLock>,
}

impl Stage {
    /// Describes the run by its config and its inputs' digests.
    pub fn new(
        name: impl Into<String>,
        out: &Path,
        config: &impl Serialize,
        inputs: impl IntoIterator<Item: Into<Input>>,
    ) -> Self {
        let config =
            serde_json::to_vec(config).expect("configs are plain data, which always serialises");
        Self {
            name: name.into(),
            out: out.to_path_buf(),
            config: sha256_bytes(&config),
            inputs: inputs.into_iter().map(Into::into).collect(),
            started: Instant::now(),
            held: OnceLock::new(),
        }
    }

    /// The same run with one more setting. At its default it changes nothing, so that the results of
    /// versions without it stay valid.
    pub fn with_setting<T: Serialize + Default + PartialEq>(mut self, setting: &T) -> Self {
        if *setting != T::default() {
            let setting =
                serde_json::to_string(setting).expect("settings are plain data like configs");
            self.config = sha256_bytes(format!("{}{setting}", self.config).as_bytes());
        }
        self
    }

    /// Returns the manifest if there is nothing to do. Otherwise locks the folder until this stage
    /// is finished or dropped.
    ///
    /// # Errors
    /// [`Error::Busy`] if another run holds the folder, or any error that keeps it from being
    /// written to. All of them come before any work is done.
    pub fn begin(&self) -> Result<Option<Manifest>> {
        self.hold(|out| FolderLock::take(out).map(Some))
    }

    /// Like [`Stage::begin`], but only keeps the same stage out: other stages may work in the
    /// folder.
    pub fn begin_beside_others(&self) -> Result<Option<Manifest>> {
        self.hold(|_| Ok(None))
    }

    fn hold(
        &self,
        lock: impl FnOnce(&Path) -> Result<Option<FolderLock>>,
    ) -> Result<Option<Manifest>> {
        if let Some(manifest) = self.up_to_date() {
            return Ok(Some(manifest));
        }
        let folder = lock(&self.out)?;
        let manifest = AtomicFile::create(&self.manifest_path())?;
        let _ = self.held.set(Held { manifest, folder });
        Ok(None)
    }

    fn inputs_by_role(&self) -> BTreeMap<String, String> {
        self.inputs.iter().map(|input| (input.role.clone(), input.digest.clone())).collect()
    }

    fn manifest_path(&self) -> PathBuf {
        self.out.join(manifest_name(&self.name))
    }

    /// Returns the manifest of an earlier run with the same version, config and inputs, if its
    /// outputs are untouched.
    pub fn up_to_date(&self) -> Option<Manifest> {
        let bytes = std::fs::read(self.manifest_path()).ok()?;
        let manifest: Manifest = serde_json::from_slice(&bytes).ok()?;
        let same = manifest.version == env!("CARGO_PKG_VERSION")
            && manifest.config == self.config
            && manifest.inputs == self.inputs_by_role()
            && manifest.open == 0
            && manifest.outputs.iter().all(|(path, digest)| {
                sha256_file(&self.out.join(path)).is_ok_and(|found| found == *digest)
            });
        same.then_some(Manifest { up_to_date: true, ..manifest })
    }

    /// Writes the manifest over the named outputs (paths below the output folder) and returns it.
    ///
    /// # Errors
    /// [`Error::Changed`] if an input changed after the stage began, since nobody knows which
    /// version the outputs were made from.
    pub fn finish(mut self, outputs: &[&str], outcome: Outcome) -> Result<Manifest> {
        self.inputs.iter().try_for_each(Input::check)?;
        let Outcome { counts, notes, open, max_seq_tokens, language, scored_pairs, rates } =
            outcome;
        let wall_s = self.started.elapsed().as_secs_f64();
        let digest = |path: &&str| Ok((path.to_string(), sha256_file(&self.out.join(path))?));
        let manifest = Manifest {
            stage: self.name.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            config: self.config.clone(),
            inputs: self.inputs_by_role(),
            outputs: outputs.iter().map(digest).collect::<Result<_>>()?,
            counts,
            open,
            max_seq_tokens,
            language,
            cost: scored_pairs.map(|pairs| Cost { pairs, seconds: wall_s }),
            rates,
            notes,
            wall_s,
            up_to_date: false,
        };
        let path = self.manifest_path();
        let text = serde_json::to_vec_pretty(&manifest).map_err(|source| Error::Json {
            path: path.clone(),
            line: 0,
            source,
        })?;
        let (mut file, _folder) = match self.held.take() {
            Some(held) => (held.manifest, held.folder),
            None => (AtomicFile::create(&path)?, None),
        };
        file.write_all(&text).map_err(Error::io("write", &path))?;
        file.commit()?;
        Ok(manifest)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(Held { manifest, folder }) = self.held.take() {
            drop(manifest);
            // Goes only if it is empty. Then the lock removes the folder if that was new.
            let _ = self.manifest_path().parent().map(std::fs::remove_dir);
            drop(folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [Input; 0] = [];

    #[test]
    fn a_later_setting_counts_unless_it_has_its_default() {
        let folder = tempfile::tempdir().unwrap();
        let stage = || Stage::new("count", folder.path(), &(), Vec::<Input>::new());
        stage().finish(&[], Outcome::default()).unwrap();
        assert!(stage().with_setting(&0).up_to_date().is_some());
        assert!(stage().with_setting(&1).up_to_date().is_none());
        stage().with_setting(&1).finish(&[], Outcome::default()).unwrap();
        assert!(stage().with_setting(&1).up_to_date().is_some());
        assert!(stage().with_setting(&2).up_to_date().is_none());
        assert!(stage().up_to_date().is_none());
    }

    #[test]
    fn a_stage_that_left_something_open_is_done_again() {
        let folder = tempfile::tempdir().unwrap();
        let stage = || Stage::new("ask", folder.path(), &(), NONE);
        for (open, done) in [(2, false), (0, true)] {
            let outcome = Outcome { open, scored_pairs: Some(7), ..Outcome::default() };
            let manifest = stage().finish(&[], outcome).unwrap();
            assert_eq!((manifest.open, manifest.cost.unwrap().pairs), (open, 7));
            assert_eq!(stage().up_to_date().is_some(), done);
        }
    }

    #[test]
    fn a_forgotten_stage_is_done_again_and_still_says_who_made_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let stage = || Stage::new("export", folder.path(), &(), NONE);
        forget(folder.path(), "export").unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        stage().finish(&[], Outcome::default()).unwrap();
        forget(folder.path(), "export").unwrap();
        assert!(stage().up_to_date().is_none());
        assert!(folder.path().join(manifest_name("export")).exists());
    }

    #[test]
    fn a_stage_is_up_to_date_until_its_config_inputs_or_outputs_change() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path();
        let stage = |config: u32, digest: &str| {
            Stage::new("chunk", out, &config, [("corpus".to_owned(), digest.to_owned())])
        };
        assert!(stage(1, "a").up_to_date().is_none());
        std::fs::write(out.join("corpus.jsonl"), "x").unwrap();
        stage(1, "a").finish(&["corpus.jsonl"], Outcome::default()).unwrap();
        assert!(stage(1, "a").up_to_date().is_some_and(|manifest| manifest.up_to_date));
        assert!(stage(2, "a").up_to_date().is_none());
        assert!(stage(1, "b").up_to_date().is_none());
        std::fs::write(out.join("corpus.jsonl"), "y").unwrap();
        assert!(stage(1, "a").up_to_date().is_none());
    }
    #[test]
    fn two_runs_at_once_have_one_folder_each() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("data");
        let stage = |name: &str| Stage::new(name, &out, &(), NONE);
        let first = stage("ask");
        assert!(first.begin().unwrap().is_none());
        for name in ["ask", "mine"] {
            let message = stage(name).begin().unwrap_err().to_string();
            assert!(message.starts_with("another run of whetstone is writing to"), "{message}");
        }
        first.finish(&[], Outcome::default()).unwrap();
        assert!(stage("ask").begin().unwrap().is_some());
        assert!(stage("mine").begin().unwrap().is_none());
        assert_eq!(std::fs::read_dir(&out).unwrap().count(), 1, "manifests alone");
    }

    #[test]
    fn stages_beside_others_keep_only_themselves_away() {
        let folder = tempfile::tempdir().unwrap();
        let stage = |name: &str| Stage::new(name, folder.path(), &(), NONE);
        let (first, second) = (stage("rerank-a.run"), stage("rerank-b.run"));
        assert!(first.begin_beside_others().unwrap().is_none());
        assert!(second.begin_beside_others().unwrap().is_none());
        assert!(matches!(stage("rerank-a.run").begin_beside_others(), Err(Error::Busy { .. })));
        drop((first, second));
        let left = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 0, "no temporary of a manifest");
    }

    #[test]
    fn a_stage_that_fails_at_once_leaves_no_folder() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out/data");
        let stage = Stage::new("chunk", &out, &(), NONE);
        assert!(stage.begin().unwrap().is_none());
        assert!(out.exists());
        drop(stage);
        assert!(!out.exists());
    }

    #[test]
    fn an_input_that_changes_under_a_stage_leaves_no_manifest() {
        let folder = tempfile::tempdir().unwrap();
        let input = folder.path().join("corpus.jsonl");
        std::fs::write(&input, "one").unwrap();
        let stage = || {
            let inputs = crate::input::digests([("corpus", &*input)]).unwrap();
            Stage::new("mine", folder.path(), &(), inputs)
        };
        let first = stage();
        first.begin().unwrap();
        std::fs::write(&input, "three").unwrap();
        assert!(matches!(first.finish(&[], Outcome::default()), Err(Error::Changed { .. })));
        let second = stage();
        assert!(second.begin().unwrap().is_none());
        second.finish(&[], Outcome::default()).unwrap();
    }
}
