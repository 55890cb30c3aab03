//! The inputs of a stage: their digests, and whether they changed.

use crate::error::{Error, Result};
use crate::io::{sha256_file, sha256_open};
use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What the file system says about a file; any write changes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    bytes: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    /// Returns how an open file looks now.
    pub fn of(file: &File) -> io::Result<Self> {
        Ok(Self::from(file.metadata()?))
    }
}

impl From<Metadata> for Stamp {
    fn from(metadata: Metadata) -> Self {
        Self { bytes: metadata.len(), modified: metadata.modified().ok() }
    }
}

/// An input of a stage: its role, its SHA-256 and, for a file, its stamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    pub role: String,
    pub digest: String,
    file: Option<(PathBuf, Stamp)>,
}

impl Input {
    /// Digests a file.
    pub fn of_file(role: impl Into<String>, path: &Path) -> Result<Self> {
        let mut file = File::open(path).map_err(Error::io("read", path))?;
        let stamp = Stamp::of(&file).map_err(Error::io("read", path))?;
        let digest = sha256_open(&mut file, path)?;
        Ok(Self { role: role.into(), digest, file: Some((path.into(), stamp)) })
    }

    /// Refuses a file that changed since it was digested.
    ///
    /// # Errors
    /// [`Error::Changed`]. A file that was only touched is digested again and passes.
    pub fn check(&self) -> Result<()> {
        let Some((path, stamp)) = &self.file else { return Ok(()) };
        let is_untouched = path.metadata().is_ok_and(|metadata| Stamp::from(metadata) == *stamp);
        if is_untouched || sha256_file(path).is_ok_and(|digest| digest == self.digest) {
            return Ok(());
        }
        Err(Error::Changed { path: path.clone() })
    }
}

/// An input that has a digest but is not a file.
impl From<(String, String)> for Input {
    fn from((role, digest): (String, String)) -> Self {
        Self { role, digest, file: None }
    }
}

/// Digests the files that a stage reads, each given with its role.
pub fn digests<'a>(files: impl IntoIterator<Item = (&'a str, &'a Path)>) -> Result<Vec<Input>> {
    files.into_iter().map(|(role, path)| Input::of_file(role, path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_may_be_touched_and_not_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("corpus.jsonl");
        std::fs::write(&path, "one").unwrap();
        let input = Input::of_file("corpus", &path).unwrap();
        input.check().unwrap();
        let later = SystemTime::now() + std::time::Duration::from_secs(9);
        File::options().write(true).open(&path).unwrap().set_modified(later).unwrap();
        input.check().unwrap();
        std::fs::write(&path, "two").unwrap();
        let message = input.check().unwrap_err().to_string();
        assert!(message.ends_with("corpus.jsonl` was changed while it was read"), "{message}");
        std::fs::remove_file(&path).unwrap();
        assert!(input.check().is_err());
    }
}
