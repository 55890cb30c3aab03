//! Which models this machine has: in `models` and in the hub's cache.

use crate::error::{Error, Result};
use crate::folder;
use crate::pull::{default_folder, revision_of_pulled};
use hf_hub::Cache;
use std::fs;
use std::path::{Path, PathBuf};
use whetstone_records::ModelDir;

/// Where pulled models lie.
const MODELS: &str = "models";
/// What the cache puts before the name of a model's folder, whose slashes are `--`.
const CACHED: &str = "models--";
/// Below a model's folder in the cache: a folder for each commit.
const SNAPSHOTS: &str = "snapshots";

/// A model on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its id on the hub, or its path below `models`.
    pub name: String,
    pub folder: PathBuf,
    /// The commit on the hub that its files are of, if that is known.
    pub revision: Option<String>,
    /// Size of the files that belong to the model.
    pub bytes: u64,
}

/// Lists the models in `models` of the working folder, then those in the hub's cache. A model is a
/// folder with a config.json. What cannot be read is passed over.
pub fn inventory() -> Vec<Found> {
    let mut found = pulled(Path::new(MODELS));
    found.extend(cached(Cache::from_env().path()));
    found
}

/// Returns the folder of a model that is on this machine: a folder, a pulled model, or an id in the
/// hub's cache. Downloads nothing.
///
/// # Errors
/// A model that is not here, and a folder that is no whole model.
pub fn locate(model: &str) -> Result<PathBuf> {
    let cached = || {
        let config = Cache::from_env().repo(crate::hub::repo(model)).get(ModelDir::CONFIG)?;
        Some(config.parent()?.to_path_buf())
    };
    let folder = [PathBuf::from(model), default_folder(model)]
        .into_iter()
        .find(|folder| folder.is_dir())
        .or_else(cached)
        .ok_or_else(|| Error::NotHere { model: model.into() })?;
    folder::check(&ModelDir::new(&folder))?;
    Ok(folder)
}

/// The models below a folder: `NAME`, and `OWNER/NAME` as ids on the hub are pulled to.
fn pulled(models: &Path) -> Vec<Found> {
    let mut found = Vec::new();
    for (name, folder) in folders(models) {
        if is_model(&folder) {
            found.push(Found::new(name, folder));
            continue;
        }
        let below = folders(&folder).into_iter().filter(|(_, folder)| is_model(folder));
        found.extend(below.map(|(inner, folder)| Found::new(format!("{name}/{inner}"), folder)));
    }
    found
}

/// The models in the hub's cache, each of its commits by itself.
fn cached(cache: &Path) -> Vec<Found> {
    let mut found = Vec::new();
    for (name, folder) in folders(cache) {
        let Some(name) = name.strip_prefix(CACHED) else { continue };
        for (commit, snapshot) in folders(&folder.join(SNAPSHOTS)) {
            if is_model(&snapshot) {
                let found_here = Found::new(name.replace("--", "/"), snapshot);
                found.push(Found { revision: Some(commit), ..found_here });
            }
        }
    }
    found
}

/// The folders in a folder, by their names, without hidden ones.
fn folders(folder: &Path) -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let named =
        entries.map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()));
    let mut folders: Vec<_> =
        named.filter(|(name, path)| !name.starts_with('.') && path.is_dir()).collect();
    folders.sort();
    folders
}

fn is_model(folder: &Path) -> bool {
    ModelDir::new(folder).config().is_file()
}

impl Found {
    fn new(name: String, folder: PathBuf) -> Self {
        let model = ModelDir::new(&folder);
        let size = |name: String| fs::metadata(model.path(name)).map_or(0, |file| file.len());
        let bytes = model.files().into_iter().flatten().map(size).sum();
        Self { name, revision: revision_of_pulled(&folder), bytes, folder }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(folder: &Path) {
        fs::create_dir_all(folder).unwrap();
        let model = ModelDir::new(folder);
        fs::write(model.config(), "{}").unwrap();
        fs::write(model.weights(), [0; 10]).unwrap();
        fs::write(folder.join("notes.txt"), "not of the model").unwrap();
    }

    #[test]
    fn pulled_models_are_found_by_name_and_below_their_owner() {
        let root = tempfile::tempdir().unwrap();
        for name in ["minilm-l6", "owner/one", "owner/two", ".half-written"] {
            model(&root.path().join(name));
        }
        fs::create_dir_all(root.path().join("empty/inside")).unwrap();
        let found = pulled(root.path());
        let names: Vec<&str> = found.iter().map(|found| found.name.as_str()).collect();
        assert_eq!(names, ["minilm-l6", "owner/one", "owner/two"]);
        assert_eq!((found[0].bytes, &found[0].revision), (12, &None));
        assert_eq!(pulled(&root.path().join("nowhere")), []);
    }

    #[test]
    fn the_cache_has_a_model_once_for_each_commit() {
        let root = tempfile::tempdir().unwrap();
        for commit in ["c0ffee", "decade"] {
            model(&root.path().join("models--some--model/snapshots").join(commit));
        }
        model(&root.path().join("datasets--some--set/snapshots/c0ffee"));
        let found = cached(root.path());
        let named: Vec<_> =
            found.iter().map(|found| (found.name.as_str(), found.revision.as_deref())).collect();
        assert_eq!(named, [("some/model", Some("c0ffee")), ("some/model", Some("decade"))]);
    }
}
