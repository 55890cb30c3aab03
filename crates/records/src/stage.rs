//! The stage contract: what was read and written, and whether it has to be done again.

use crate::error::{Error, Result};
use crate::io::{AtomicFile, sha256_bytes, sha256_file};
use crate::layout::manifest_name;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What a stage read, with which config, and what it wrote. Written last: a manifest says that its
/// outputs are whole.
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
    /// How many items are still to be done: the same command goes on with them.
    #[serde(default)]
    pub open: u64,
    /// What the scoring of pairs took, where the stage scores pairs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
    /// Speeds and other numbers that are no counts, such as `pairs-per-s`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rates: BTreeMap<String, f64>,
    /// What the user should know about the result.
    pub notes: Vec<String>,
    pub wall_s: f64,
    /// Whether an earlier run had made these outputs and nothing was done now.
    #[serde(default, skip_deserializing)]
    pub up_to_date: bool,
}

/// What a reranker took to score pairs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    pub pairs: u64,
    /// Wall time, the loading of the model included.
    pub seconds: f64,
}

/// What a stage has to say about its work, for the manifest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    pub counts: BTreeMap<String, u64>,
    pub notes: Vec<String>,
    /// How many items are still to be done.
    pub open: u64,
    /// How many pairs a reranker scored; the manifest adds the time.
    pub scored_pairs: Option<u64>,
    pub rates: BTreeMap<String, f64>,
}

/// Returns the SHA-256 of files by their roles: the inputs of a stage.
pub fn digests<'a>(
    files: impl IntoIterator<Item = (&'a str, &'a Path)>,
) -> Result<Vec<(String, String)>> {
    files.into_iter().map(|(role, path)| Ok((role.to_owned(), sha256_file(path)?))).collect()
}

/// Makes a stage's earlier result count for nothing, so that the stage is done again.
pub fn forget(out: &Path, stage: &str) -> Result<()> {
    let manifest = out.join(manifest_name(stage));
    // Emptied, not removed: it still says who made the folder, which is why the stage may replace
    // it.
    if manifest.exists() { AtomicFile::write_all_to(&manifest, b"{}\n") } else { Ok(()) }
}

/// One run of a stage over its output folder: decides whether there is work, and writes the
/// manifest at its end.
pub struct Stage {
    name: String,
    out: PathBuf,
    config: String,
    inputs: BTreeMap<String, String>,
    started: Instant,
}

impl Stage {
    /// Describes the run by its config and the digests of its inputs, by role.
    pub fn new(
        name: impl Into<String>,
        out: &Path,
        config: &impl Serialize,
        inputs: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let config =
            serde_json::to_vec(config).expect("configs are plain data, which always serialises");
        Self {
            name: name.into(),
            out: out.to_path_buf(),
            config: sha256_bytes(&config),
            inputs: inputs.into_iter().collect(),
            started: Instant::now(),
        }
    }

    fn manifest_path(&self) -> PathBuf {
        self.out.join(manifest_name(&self.name))
    }

    /// Returns the manifest of an earlier run with the same version, config and inputs whose
    /// outputs are untouched.
    pub fn up_to_date(&self) -> Option<Manifest> {
        let bytes = std::fs::read(self.manifest_path()).ok()?;
        let manifest: Manifest = serde_json::from_slice(&bytes).ok()?;
        let same = manifest.version == env!("CARGO_PKG_VERSION")
            && manifest.config == self.config
            && manifest.inputs == self.inputs
            && manifest.open == 0
            && manifest.outputs.iter().all(|(path, digest)| {
                sha256_file(&self.out.join(path)).is_ok_and(|found| found == *digest)
            });
        same.then_some(Manifest { up_to_date: true, ..manifest })
    }

    /// Writes the manifest over the named outputs (paths below the output folder) and returns it.
    pub fn finish(self, outputs: &[&str], outcome: Outcome) -> Result<Manifest> {
        let Outcome { counts, notes, open, scored_pairs, rates } = outcome;
        let wall_s = self.started.elapsed().as_secs_f64();
        let digest = |path: &&str| Ok((path.to_string(), sha256_file(&self.out.join(path))?));
        let manifest = Manifest {
            stage: self.name.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            config: self.config.clone(),
            inputs: self.inputs.clone(),
            outputs: outputs.iter().map(digest).collect::<Result<_>>()?,
            counts,
            open,
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
        AtomicFile::write_all_to(&path, &text)?;
        Ok(manifest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_that_left_something_open_is_done_again() {
        let folder = tempfile::tempdir().unwrap();
        let stage = || Stage::new("ask", folder.path(), &(), []);
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
        let stage = || Stage::new("export", folder.path(), &(), []);
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
            Stage::new("chunk", out, &config, [("corpus".into(), digest.into())])
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
}
