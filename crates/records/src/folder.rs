//! Folders that exist only when whole.

use crate::atomic::FolderLock;
use crate::error::{Error, Result};
use crate::layout::manifest_name;
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Suffix of a folder while it is written.
const PARTIAL: &str = "partial";
/// Suffix of a folder while it is deleted.
const OLD: &str = "old";

/// A folder that appears under its real name only when it is whole, like [`crate::AtomicFile`].
///
/// Files go to a hidden sibling `.NAME.partial`; [`AtomicFolder::commit`] syncs and renames it. The
/// next run overwrites what a killed process left.
pub struct AtomicFolder {
    /// Where files go until the commit.
    path: PathBuf,
    real: PathBuf,
    is_whole: bool,
    _lock: FolderLock,
}

impl AtomicFolder {
    /// Begins the folder `path` for `stage`. Replaces an existing folder only if the same stage
    /// made it, so a mistaken `--out` never costs anybody their files.
    ///
    /// # Errors
    /// [`Error::Occupied`] if `path` holds something without that stage's manifest, and
    /// [`Error::Busy`] if another process is writing it.
    pub fn create(path: &Path, stage: &str) -> Result<Self> {
        Self::check(path, stage)?;
        Self::replacing(path)
    }

    /// Returns whether `stage` may begin the folder, for work that ends there much later.
    ///
    /// # Errors
    /// [`Error::Occupied`], as [`AtomicFolder::create`].
    pub fn check(path: &Path, stage: &str) -> Result<()> {
        let ours = path.join(manifest_name(stage)).is_file();
        let empty = fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
        if path.exists() && !ours && !empty {
            return Err(Error::Occupied { path: path.into(), stage: stage.into() });
        }
        Ok(())
    }

    /// Begins a folder that replaces whatever is there. Only for folders inside one's own.
    pub fn replacing(path: &Path) -> Result<Self> {
        let temporary = sibling(path, PARTIAL);
        let lock = FolderLock::take(&temporary)?;
        for entry in fs::read_dir(&temporary).map_err(Error::io("read", &temporary))? {
            let left = entry.map_err(Error::io("read", &temporary))?.path();
            match left.is_dir() && !left.is_symlink() {
                true => fs::remove_dir_all(&left),
                false => fs::remove_file(&left),
            }
            .map_err(Error::io("remove", &left))?;
        }
        Ok(Self { path: temporary, real: path.to_path_buf(), is_whole: false, _lock: lock })
    }

    /// Deletes the replaced folder that a run killed right after its commit left behind. Stages
    /// call it when their folder is up to date.
    pub fn tidy(path: &Path) -> Result<()> {
        remove(&sibling(path, OLD))
    }

    /// Returns the folder to write files into until the commit.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Moves the written folder into place; on an error the old one stays.
    pub fn commit(mut self) -> Result<()> {
        sync(&self.path)?;
        let old = sibling(&self.real, OLD);
        remove(&old)?;
        let replaces = self.real.exists();
        if replaces {
            fs::rename(&self.real, &old).map_err(Error::io("move aside", &self.real))?;
        }
        if let Err(source) = fs::rename(&self.path, &self.real) {
            if replaces {
                let _ = fs::rename(&old, &self.real);
            }
            return Err(Error::io("rename into place", &self.real)(source));
        }
        self.is_whole = true;
        remove(&old)
    }
}

impl Drop for AtomicFolder {
    fn drop(&mut self) {
        // After a commit, another process may already own the name.
        if !self.is_whole {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Renames a folder, then deletes it, so that half of it is never taken for the whole. A missing
/// folder is no error.
pub fn remove_folder(folder: &Path) -> Result<()> {
    let is_nameless = folder.extension().is_some_and(|suffix| suffix == OLD || suffix == PARTIAL);
    if is_nameless || !folder.exists() {
        return remove(folder);
    }
    let old = sibling(folder, OLD);
    remove(&old)?;
    fs::rename(folder, &old).map_err(Error::io("move aside", folder))?;
    remove(&old)
}

fn sync(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(Error::io("read", folder))? {
        let path = entry.map_err(Error::io("read", folder))?.path();
        match path.is_dir() {
            true => sync(&path)?,
            false => File::open(&path)
                .and_then(|file| file.sync_all())
                .map_err(Error::io("write", &path))?,
        }
    }
    Ok(())
}

/// Returns a hidden name beside a folder. A plain `model.old` could be somebody's own copy.
fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{suffix}"));
    path.with_file_name(name)
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io("remove", folder)(source))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(folder: &Path) {
        fs::create_dir_all(folder.join("manifests")).unwrap();
        fs::write(folder.join("manifests/pull.json"), "{}").unwrap();
    }

    #[test]
    fn a_folder_appears_whole_and_replaces_only_its_own() {
        let parent = tempfile::tempdir().unwrap();
        let out = parent.path().join("models/a");
        for text in ["first", "second"] {
            let folder = AtomicFolder::create(&out, "pull").unwrap();
            fs::write(folder.path().join("a.txt"), text).unwrap();
            manifest(folder.path());
            assert_ne!(fs::read_to_string(out.join("a.txt")).ok().as_deref(), Some(text));
            folder.commit().unwrap();
            assert_eq!(fs::read_to_string(out.join("a.txt")).unwrap(), text);
        }
        assert_eq!(fs::read_dir(out.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_copy_that_somebody_keeps_beside_a_folder_is_left_alone() {
        let parent = tempfile::tempdir().unwrap();
        let out = parent.path().join("model");
        for name in ["model", "model.old", "model.partial"] {
            manifest(&parent.path().join(name));
        }
        let folder = AtomicFolder::create(&out, "pull").unwrap();
        manifest(folder.path());
        folder.commit().unwrap();
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 3);
    }

    #[test]
    fn what_a_kill_after_the_commit_left_is_tidied_up() {
        let parent = tempfile::tempdir().unwrap();
        let out = parent.path().join("model");
        manifest(&out);
        fs::rename(&out, sibling(&out, OLD)).unwrap();
        manifest(&out);
        AtomicFolder::tidy(&out).unwrap();
        AtomicFolder::tidy(&out).unwrap();
        assert!(out.join("manifests/pull.json").exists());
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_dropped_without_a_commit_leaves_the_old_one() {
        let parent = tempfile::tempdir().unwrap();
        let out = parent.path().join("a");
        manifest(&out);
        let folder = AtomicFolder::create(&out, "pull").unwrap();
        fs::write(folder.path().join("half"), "x").unwrap();
        drop(folder);
        assert!(out.join("manifests/pull.json").exists());
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_that_another_writes_is_refused_and_a_killed_ones_rest_is_overwritten() {
        let parent = tempfile::tempdir().unwrap();
        let out = parent.path().join("a");
        let first = AtomicFolder::replacing(&out).unwrap();
        fs::create_dir(first.path().join("sub")).unwrap();
        fs::write(first.path().join("half"), "x").unwrap();
        assert!(matches!(AtomicFolder::replacing(&out), Err(Error::Busy { .. })));
        let partial = first.path().to_path_buf();
        // As after a kill: the lock is gone, the files remain.
        drop(first);
        fs::create_dir_all(partial.join("sub")).unwrap();
        fs::write(partial.join("half"), "x").unwrap();
        let second = AtomicFolder::replacing(&out).unwrap();
        fs::write(second.path().join("whole"), "x").unwrap();
        second.commit().unwrap();
        assert_eq!(fs::read_dir(&out).unwrap().count(), 1);
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_removed_folder_and_its_rests_are_gone() {
        let parent = tempfile::tempdir().unwrap();
        for name in ["step-000500", ".step-000500.old", ".step-000500.partial"] {
            let folder = parent.path().join(name);
            manifest(&folder);
            remove_folder(&folder).unwrap();
            remove_folder(&folder).unwrap();
            assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0, "{name}");
        }
    }

    #[test]
    fn a_folder_of_something_else_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        fs::write(parent.path().join("thesis.tex"), "x").unwrap();
        assert!(matches!(AtomicFolder::create(parent.path(), "pull"), Err(Error::Occupied { .. })));
        assert!(parent.path().join("thesis.tex").exists());
    }
}
