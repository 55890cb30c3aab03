//! Run files: the stages that write them, and their names.

use crate::error::Result;
use std::path::{Path, PathBuf};
use whetstone_records::{DataSet, Error as RecordsError, read_text};

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

/// Returns the name in the last column of a run's first line.
pub fn run_name(path: &Path) -> Result<String> {
    let text = read_text(path)?;
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    Ok(first.split_ascii_whitespace().nth(5).unwrap_or("run").to_owned())
}

/// Returns the runs of a data set's first stages, by their names.
pub fn first_stages(data: &DataSet) -> Result<Vec<(String, PathBuf)>> {
    let folder = data.runs();
    let Ok(entries) = std::fs::read_dir(&folder) else { return Ok(vec![]) };
    let mut runs = vec![];
    for entry in entries {
        let path = entry.map_err(RecordsError::io("read", &folder))?.path();
        if path.extension().is_some_and(|extension| extension == "run") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            runs.push((name, path));
        }
    }
    runs.sort();
    Ok(runs)
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
