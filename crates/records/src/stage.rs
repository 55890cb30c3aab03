use crate::error::{Error, Result};
use crate::io::{AtomicFile, sha256_bytes, sha256_file};
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
    /// What the user should know about the result.
    pub notes: Vec<String>,
    pub wall_s: f64,
    /// Whether an earlier run had made these outputs and nothing was done now.
    #[serde(default, skip_deserializing)]
    pub up_to_date: bool,
}

/// Returns the SHA-256 of files by their roles: the inputs of a stage.
pub fn digests<'a>(
    files: impl IntoIterator<Item = (&'a str, &'a Path)>,
) -> Result<Vec<(String, String)>> {
    files.into_iter().map(|(role, path)| Ok((role.to_owned(), sha256_file(path)?))).collect()
}

/// One run of a stage over its output folder: decides whether there is work, and writes the
/// manifest at its end.
pub struct Stage {
    name: &'static str,
    out: PathBuf,
    config: String,
    inputs: BTreeMap<String, String>,
    started: Instant,
}

impl Stage {
    /// Describes the run by its config and the digests of its inputs, by role.
    pub fn new(
        name: &'static str,
        out: &Path,
        config: &impl Serialize,
        inputs: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let config =
            serde_json::to_vec(config).expect("configs are plain data, which always serialises");
        Self {
            name,
            out: out.to_path_buf(),
            config: sha256_bytes(&config),
            inputs: inputs.into_iter().collect(),
            started: Instant::now(),
        }
    }

    fn manifest_path(&self) -> PathBuf {
        self.out.join("manifests").join(format!("{}.json", self.name))
    }

    /// Returns the manifest of an earlier run with the same version, config and inputs whose
    /// outputs are untouched.
    pub fn up_to_date(&self) -> Option<Manifest> {
        let bytes = std::fs::read(self.manifest_path()).ok()?;
        let manifest: Manifest = serde_json::from_slice(&bytes).ok()?;
        let same = manifest.version == env!("CARGO_PKG_VERSION")
            && manifest.config == self.config
            && manifest.inputs == self.inputs
            && manifest.outputs.iter().all(|(path, digest)| {
                sha256_file(&self.out.join(path)).is_ok_and(|found| found == *digest)
            });
        same.then_some(Manifest { up_to_date: true, ..manifest })
    }

    /// Writes the manifest over the named outputs (paths below the output folder) and returns it.
    pub fn finish(
        self,
        outputs: &[&str],
        counts: BTreeMap<String, u64>,
        notes: Vec<String>,
    ) -> Result<Manifest> {
        let digest = |path: &&str| Ok((path.to_string(), sha256_file(&self.out.join(path))?));
        let manifest = Manifest {
            stage: self.name.into(),
            version: env!("CARGO_PKG_VERSION").into(),
            config: self.config.clone(),
            inputs: self.inputs.clone(),
            outputs: outputs.iter().map(digest).collect::<Result<_>>()?,
            counts,
            notes,
            wall_s: self.started.elapsed().as_secs_f64(),
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
    fn a_stage_is_up_to_date_until_its_config_inputs_or_outputs_change() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path();
        let stage = |config: u32, digest: &str| {
            Stage::new("chunk", out, &config, [("corpus".into(), digest.into())])
        };
        assert!(stage(1, "a").up_to_date().is_none());
        std::fs::write(out.join("corpus.jsonl"), "x").unwrap();
        stage(1, "a").finish(&["corpus.jsonl"], BTreeMap::new(), vec![]).unwrap();
        assert!(stage(1, "a").up_to_date().is_some_and(|manifest| manifest.up_to_date));
        assert!(stage(2, "a").up_to_date().is_none());
        assert!(stage(1, "b").up_to_date().is_none());
        std::fs::write(out.join("corpus.jsonl"), "y").unwrap();
        assert!(stage(1, "a").up_to_date().is_none());
    }
}
