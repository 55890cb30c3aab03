//! Starting a training run over.

use crate::error::Result;
use std::fs;
use std::path::Path;
use whetstone_records::{Error as RecordsError, RunDir, forget};

/// Deletes what a training run has written, so that the next one starts at step 0.
pub fn forget_run(run: &Path) -> Result<()> {
    forget(run, "train")?;
    let run = RunDir::new(run);
    let path = run.identity();
    if path.exists() {
        // In one step: where this is stopped half-way, the next training clears the rest instead
        // of going on from it.
        fs::File::create(&path).map_err(RecordsError::io("write", &path))?;
    }
    finish(&run)
}

/// Removes the rest of a run whose identity was emptied; any other is left alone.
pub(crate) fn finish(run: &RunDir) -> Result<()> {
    if !fs::metadata(run.identity()).is_ok_and(|metadata| metadata.len() == 0) {
        return Ok(());
    }
    let entries = fs::read_dir(run.root()).map_err(RecordsError::io("read", run.root()))?;
    for entry in entries {
        let entry = entry.map_err(RecordsError::io("read", run.root()))?;
        if is_made_by_training(&entry.file_name().to_string_lossy()) {
            remove(&entry.path())?;
        }
    }
    // The identity last, as it says what remains to be done.
    [run.best(), run.log(), run.identity()].iter().try_for_each(|path| remove(path))
}

/// Whether a folder's name is that of a step, of the teacher's scores, of the blended model, or of
/// what is left of one.
fn is_made_by_training(name: &str) -> bool {
    RunDir::is_step_name(name)
        || name == RunDir::TEACHER
        || name.trim_start_matches('.').starts_with(RunDir::BLENDED)
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
        fs::create_dir(run.blended()).unwrap();
        fs::write(run.log(), "{}").unwrap();
        fs::write(folder.path().join("thesis.tex"), "x").unwrap();
        forget_run(folder.path()).unwrap();
        assert_eq!(there(), 4, "without run.json it is no training run");
        fs::write(run.identity(), "{}").unwrap();
        finish(&run).unwrap();
        assert_eq!(there(), 5, "only a run that was to be forgotten is cleared away");
        forget_run(folder.path()).unwrap();
        assert_eq!(there(), 1);
        assert!(folder.path().join("thesis.tex").exists());
    }

    #[test]
    fn a_run_that_was_half_forgotten_is_cleared_before_anything_goes_on_from_it() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::new(folder.path());
        // As after a kill: the identity is emptied, and half of a step is gone.
        fs::write(run.identity(), "").unwrap();
        fs::create_dir(run.step(5)).unwrap();
        fs::create_dir(run.path(".step-000010.old")).unwrap();
        finish(&run).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
