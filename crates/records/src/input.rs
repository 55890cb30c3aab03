//! The inputs of a stage: their digests, and whether they changed.

use crate::error::{Error, Result};
use crate::io::{open_file, sha256_bytes, sha256_file, sha256_open};
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

/// An input of a stage: its role, its SHA-256, and the files that it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    pub role: String,
    pub digest: String,
    files: Vec<Digested>,
}

impl Input {
    /// Digests a file.
    pub fn of_file(role: impl Into<String>, path: &Path) -> Result<Self> {
        let file = Digested::of(path)?;
        Ok(Self { role: role.into(), digest: file.digest.clone(), files: vec![file] })
    }

    /// Digests the files of a folder, each given with its name. One that cannot be read counts as
    /// such.
    pub fn of_files<'a>(
        role: impl Into<String>,
        files: impl IntoIterator<Item = (&'a str, &'a Path)>,
    ) -> Self {
        let mut lines = String::new();
        let mut digested = Vec::new();
        for (name, path) in files {
            let file = Digested::of(path).unwrap_or_else(|_| Digested::unreadable(path));
            lines += &format!("{} {name}\n", file.digest);
            digested.push(file);
        }
        Self { role: role.into(), digest: sha256_bytes(lines.as_bytes()), files: digested }
    }

    /// Refuses a file that changed since it was digested.
    ///
    /// # Errors
    /// [`Error::Changed`]. A file that was only touched is digested again and passes.
    pub fn check(&self) -> Result<()> {
        match self.files.iter().find(|file| !file.is_unchanged()) {
            Some(file) => Err(Error::Changed { path: file.path.clone() }),
            None => Ok(()),
        }
    }
}

/// A file as it was when it was digested.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Digested {
    path: PathBuf,
    /// None if it could not be read.
    stamp: Option<Stamp>,
    /// Empty if it could not be read.
    digest: String,
}

impl Digested {
    fn of(path: &Path) -> Result<Self> {
        let mut file = open_file(path)?;
        let stamp = Stamp::of(&file).map_err(Error::io("read", path))?;
        let digest = sha256_open(&mut file, path)?;
        Ok(Self { path: path.into(), stamp: Some(stamp), digest })
    }

    fn unreadable(path: &Path) -> Self {
        Self { path: path.into(), stamp: None, digest: String::new() }
    }

    fn is_unchanged(&self) -> bool {
        let now = self.path.metadata().ok().map(Stamp::from);
        (now.is_some() && now == self.stamp)
            || sha256_file(&self.path).unwrap_or_default() == self.digest
    }
}

/// An input that has a digest but is not a file.
impl From<(String, String)> for Input {
    fn from((role, digest): (String, String)) -> Self {
        Self { role, digest, files: Vec::new() }
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

    #[test]
    fn of_many_files_the_one_that_changed_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b, gone] = ["a.md", "b.md", "gone.md"].map(|name| folder.path().join(name));
        std::fs::write(&a, "one").unwrap();
        std::fs::write(&b, "two").unwrap();
        let files = [("a.md", a.as_path()), ("b.md", &b), ("gone.md", &gone)];
        let input = Input::of_files("corpus", files);
        input.check().unwrap();
        std::fs::write(&gone, "").unwrap();
        assert!(input.check().unwrap_err().to_string().contains("gone.md` was changed"));
        std::fs::remove_file(&gone).unwrap();
        std::fs::write(&b, "three").unwrap();
        assert!(input.check().unwrap_err().to_string().contains("b.md` was changed"));
        assert_ne!(Input::of_files("corpus", files).digest, input.digest);
    }
}
