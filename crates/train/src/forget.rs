//! Starting a training run over.

use crate::error::Result;
use std::fs;
use std::path::Path;
use whetstone_records::{Error as RecordsError, RunDir, forget};

/// Deletes what a training run has written, so that the next one starts at step 0.
pub fn forget_run(run: &Path) -> Result<()> {
    forget(run, "train")?;
    let run = RunDir::new(run);
    if !run.identity().exists() {
        return Ok(());
    }
    let entries = fs::read_dir(run.root()).map_err(RecordsError::io("read", run.root()))?;
    for entry in entries {
        let entry = entry.map_err(RecordsError::io("read", run.root()))?;
        if RunDir::is_step_name(&entry.file_name().to_string_lossy()) {
            remove(&entry.path())?;
        }
    }
    // Identity last: if this is interrupted, the folder still counts as that run.
    [run.best(), run.log(), run.identity()].iter().try_for_each(|path| remove(path))
}

fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(RecordsError::io("remove", path)(error).into())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_run_makes_is_removed_and_only_from_a_run() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::new(folder.path());
        let there = || fs::read_dir(folder.path()).unwrap().count();
        fs::create_dir(run.step(5)).unwrap();
        fs::write(run.log(), "{}").unwrap();
        fs::write(folder.path().join("thesis.tex"), "x").unwrap();
        forget_run(folder.path()).unwrap();
        assert_eq!(there(), 3, "without run.json it is no training run");
        fs::write(run.identity(), "{}").unwrap();
        forget_run(folder.path()).unwrap();
        assert_eq!(there(), 1);
        assert!(folder.path().join("thesis.tex").exists());
    }
}
