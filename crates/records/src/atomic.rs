//! Files that exist only when whole, and the locks on who writes them.

use crate::error::{Error, Result};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// A file that appears under its real name only when it is whole.
///
/// Bytes go to a sibling `NAME.tmp`; [`AtomicFile::commit`] flushes, syncs and renames it. A file
/// dropped without a commit leaves the old one untouched. The next run overwrites a temporary that
/// a killed process left. The temporary is locked, so two processes never write one file.
pub struct AtomicFile {
    writer: BufWriter<File>,
    temporary: PathBuf,
    path: PathBuf,
    is_whole: bool,
}

impl AtomicFile {
    /// Begins the file. Creates its folder if it is missing.
    ///
    /// # Errors
    /// [`Error::Busy`] if another process is writing it.
    pub fn create(path: &Path) -> Result<Self> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(Error::io("create folder", parent))?;
        }
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".tmp");
        let temporary = path.with_file_name(name);
        let file = open_locked(&temporary)?.ok_or_else(|| Error::Busy { path: path.into() })?;
        let writer = BufWriter::with_capacity(1 << 16, file);
        Ok(Self { writer, temporary, path: path.to_path_buf(), is_whole: false })
    }

    /// Moves the written file into place; on an error the old one stays.
    pub fn commit(mut self) -> Result<()> {
        self.writer.flush().map_err(Error::io("write", &self.temporary))?;
        self.writer.get_ref().sync_all().map_err(Error::io("write", &self.temporary))?;
        fs::rename(&self.temporary, &self.path)
            .map_err(Error::io("rename into place", &self.path))?;
        self.is_whole = true;
        Ok(())
    }

    /// Writes `bytes` as the whole file.
    pub fn write_all_to(path: &Path, bytes: &[u8]) -> Result<()> {
        let mut file = Self::create(path)?;
        file.write_all(bytes).map_err(Error::io("write", path))?;
        file.commit()
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        // After a commit, another process may already own the name.
        if !self.is_whole {
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Opens an empty file for this process alone; None if another process is writing it.
fn open_locked(path: &Path) -> Result<Option<File>> {
    loop {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path);
        let file = file.map_err(Error::io("create", path))?;
        if !lock(&file) {
            return Ok(None);
        }
        // Between opening and locking, the other process may have renamed the file into place.
        if !is_at(&file, path) {
            continue;
        }
        if file.metadata().is_ok_and(|metadata| metadata.len() > 0) {
            file.set_len(0).map_err(Error::io("write", path))?;
        }
        return Ok(Some(file));
    }
}

/// Locks a file or folder until it is closed. Returns false if another process holds the lock, and
/// true on a file system without locks.
fn lock(file: &File) -> bool {
    !matches!(file.try_lock(), Err(TryLockError::WouldBlock))
}

/// Returns whether the path still names that file.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let place = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(named)) => place(open) == place(named),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> bool {
    path.exists()
}

/// A folder that belongs to one run until this is dropped or its process ends. It writes no file.
#[derive(Debug)]
pub struct FolderLock {
    folder: PathBuf,
    _open: Option<File>,
    is_new: bool,
}

impl FolderLock {
    /// Takes the folder. Creates it if it is missing.
    ///
    /// # Errors
    /// [`Error::Busy`] if another run holds it.
    pub fn take(folder: &Path) -> Result<Self> {
        let is_new = !folder.exists();
        fs::create_dir_all(folder).map_err(Error::io("create folder", folder))?;
        // Some systems cannot open a folder as a file; then there is no lock.
        let open = File::open(folder).ok();
        if open.as_ref().is_some_and(|open| !lock(open)) {
            return Err(Error::Busy { path: folder.into() });
        }
        Ok(Self { folder: folder.into(), _open: open, is_new })
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        if self.is_new {
            // This removes the folder only if it stayed empty.
            let _ = fs::remove_dir(&self.folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_not_committed_leaves_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        AtomicFile::write_all_to(&path, b"old").unwrap();
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"half of the ne").unwrap();
        drop(file);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_another_writes_is_refused_until_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        let mut first = AtomicFile::create(&path).unwrap();
        first.write_all(b"first").unwrap();
        assert!(matches!(AtomicFile::create(&path), Err(Error::Busy { .. })));
        first.commit().unwrap();
        AtomicFile::write_all_to(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
    }

    #[test]
    fn many_writers_at_once_leave_one_whole_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        let texts: Vec<String> =
            (b'a'..=b'h').map(|c| (c as char).to_string().repeat(9999)).collect();
        std::thread::scope(|scope| {
            for text in &texts {
                scope.spawn(|| {
                    for _ in 0..50 {
                        match AtomicFile::write_all_to(&path, text.as_bytes()) {
                            Ok(()) | Err(Error::Busy { .. }) => {}
                            Err(error) => panic!("{error:?}"),
                        }
                        let found = fs::read_to_string(&path).unwrap_or_else(|_| text.clone());
                        assert!(texts.contains(&found), "{} bytes", found.len());
                    }
                });
            }
        });
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_a_killed_process_left_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        fs::write(folder.path().join("a.txt.tmp"), "half of something longer").unwrap();
        AtomicFile::write_all_to(&path, b"whole").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_an_error_with_a_way_out_and_the_old_file_stays() {
        use crate::hint::Hint;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        AtomicFile::write_all_to(&path, b"old").unwrap();
        std::os::unix::fs::symlink("/dev/full", folder.path().join("a.txt.tmp")).unwrap();
        let error = AtomicFile::write_all_to(&path, &[b'x'; 1 << 20]).unwrap_err();
        assert!(error.hint().unwrap().starts_with("free some disk space"), "{error:?}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_belongs_to_one_run_at_a_time_and_one_that_stayed_empty_goes() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("data");
        let lock = FolderLock::take(&out).unwrap();
        assert!(matches!(FolderLock::take(&out), Err(Error::Busy { .. })));
        drop(lock);
        assert!(!out.exists());
        let lock = FolderLock::take(&out).unwrap();
        fs::write(out.join("a"), "x").unwrap();
        drop(lock);
        assert!(out.join("a").exists());
    }
}
