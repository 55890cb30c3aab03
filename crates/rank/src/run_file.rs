//! Run files: the stages that write them, and their names.

use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use whetstone_records::{DataSet, Error as RecordsError, Run};

/// The name of the stage that writes the run `out`: several runs share a folder.
pub fn stage_name(command: &str, out: &Path) -> String {
    format!("{command}-{}", out.file_stem().unwrap_or_default().to_string_lossy())
}

/// The folder of a run file, and its stage's manifest in that folder.
pub fn folder(out: &Path) -> &Path {
    out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The path of a run file below its folder.
pub fn file_name(out: &Path) -> String {
    out.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Returns the name in the last column of a run's first line, or `run` if there is none.
pub fn run_name(path: &Path) -> Result<String> {
    let name = Run::read_name(path)?;
    Ok(if name.is_empty() { "run".into() } else { name })
}

/// Runs by their names.
pub type RunPaths = BTreeMap<String, PathBuf>;

/// Returns the runs of a data set's first stages, by their names.
pub fn first_stages(data: &DataSet) -> Result<Vec<(String, PathBuf)>> {
    Ok(runs_in(&data.runs())?.into_iter().collect())
}

/// Returns the runs in a folder, by their names; none if there is no such folder.
pub(crate) fn runs_in(folder: &Path) -> Result<RunPaths> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(RunPaths::new()) };
    let mut runs = RunPaths::new();
    for entry in entries {
        let path = entry.map_err(RecordsError::io("read", folder))?.path();
        if path.extension().is_some_and(|extension| extension == "run") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            runs.insert(name, path);
        }
    }
    Ok(runs)
}

/// Returns runs by their names. One without a name has that of its last column.
///
/// # Errors
/// Two runs have one name.
pub fn by_name(runs: &[(Option<String>, PathBuf)]) -> Result<RunPaths> {
    let mut by_name = RunPaths::new();
    for (name, path) in runs {
        let name = name.clone().map_or_else(|| run_name(path), Ok)?;
        if let Some(other) = by_name.insert(name.clone(), path.clone()) {
            return Err(Error::SameName { name, one: other, other: path.clone() });
        }
    }
    Ok(by_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_stages_are_the_run_files_of_a_data_set_in_order_of_their_names() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataSet::new(folder.path());
        assert_eq!(first_stages(&data).unwrap(), []);
        std::fs::create_dir(data.runs()).unwrap();
        for name in ["dense.run", "bm25.run", "notes.txt"] {
            std::fs::write(data.runs().join(name), "\nq Q0 p 1 0.5 mine\n").unwrap();
        }
        let runs = first_stages(&data).unwrap();
        let names: Vec<&str> = runs.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["bm25", "dense"]);
        assert_eq!(run_name(&runs[0].1).unwrap(), "mine");
    }

    #[test]
    fn runs_of_one_folder_have_stages_of_their_own() {
        let out = Path::new("tuned.run");
        assert_eq!((folder(out), &*stage_name("rerank", out)), (Path::new("."), "rerank-tuned"));
        assert_eq!(folder(Path::new("out/a.run")), Path::new("out"));
    }
}
