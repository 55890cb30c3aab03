use crate::error::{Error, Result};
use crate::layout::manifest_name;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// A folder that appears under its real name only when it is whole, as [`crate::AtomicFile`] does
/// for a file.
///
/// Files go to a sibling `NAME.partial`; [`AtomicFolder::commit`] syncs and renames. An existing
/// folder is replaced only where the same stage made it, so that a mistaken `--out` never costs
/// anybody their files.
pub struct AtomicFolder {
    /// Where files go until the commit.
    path: PathBuf,
    real: PathBuf,
}

impl AtomicFolder {
    /// Begins the folder `path` of the stage `stage`.
    ///
    /// # Errors
    /// [`Error::Occupied`] where `path` holds something without that stage's manifest.
    pub fn create(path: &Path, stage: &str) -> Result<Self> {
        let ours = path.join(manifest_name(stage)).is_file();
        let empty = fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
        if path.exists() && !ours && !empty {
            return Err(Error::Occupied { path: path.into(), stage: stage.into() });
        }
        let temporary = sibling(path, "partial");
        remove(&temporary)?;
        fs::create_dir_all(&temporary).map_err(Error::io("create folder", &temporary))?;
        Ok(Self { path: temporary, real: path.to_path_buf() })
    }

    /// Where files are to be written until the commit.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes what was written the folder; errors leave the old one in place.
    pub fn commit(self) -> Result<()> {
        sync(&self.path)?;
        let old = sibling(&self.real, "old");
        remove(&old)?;
        if self.real.exists() {
            fs::rename(&self.real, &old).map_err(Error::io("move aside", &self.real))?;
        }
        fs::rename(&self.path, &self.real).map_err(Error::io("rename into place", &self.real))?;
        remove(&old)
    }
}

impl Drop for AtomicFolder {
    fn drop(&mut self) {
        // After a commit the temporary is gone and this finds nothing.
        let _ = fs::remove_dir_all(&self.path);
    }
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

fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
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
    fn a_folder_of_something_else_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        fs::write(parent.path().join("thesis.tex"), "x").unwrap();
        assert!(matches!(AtomicFolder::create(parent.path(), "pull"), Err(Error::Occupied { .. })));
        assert!(parent.path().join("thesis.tex").exists());
    }
}
