use crate::error::{Error, Result};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

/// Keeps at most `most` items (all where it is 0): a sample that follows from the seed and the ids
/// alone, in order of the ids.
pub fn sample_by_id<T, I: Ord + std::fmt::Display>(
    items: &mut Vec<T>,
    most: usize,
    seed: u64,
    id: impl Fn(&T) -> &I,
) {
    if most > 0 {
        items.sort_by_cached_key(|item| seeded_key(seed, id(item)));
        items.truncate(most);
    }
    items.sort_by(|a, b| id(a).cmp(id(b)));
}

/// Returns what ids are sorted by for an order at random that follows from the seed and each id
/// alone.
pub fn seeded_key(seed: u64, id: impl std::fmt::Display) -> String {
    sha256_bytes(format!("{seed} {id}").as_bytes())
}

/// A file that appears under its real name only when it is whole.
///
/// Bytes go to a sibling `NAME.tmp`; [`AtomicFile::commit`] flushes, syncs and renames. Dropped
/// without a commit, it leaves the old file alone; a temporary that a killed process left behind is
/// overwritten by the next run.
pub struct AtomicFile {
    writer: BufWriter<File>,
    temporary: PathBuf,
    path: PathBuf,
}

impl AtomicFile {
    pub fn create(path: &Path) -> Result<Self> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(Error::io("create folder", parent))?;
        }
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".tmp");
        let temporary = path.with_file_name(name);
        let file = File::create(&temporary).map_err(Error::io("create", &temporary))?;
        Ok(Self {
            writer: BufWriter::with_capacity(1 << 16, file),
            temporary,
            path: path.to_path_buf(),
        })
    }

    /// Makes what was written the file; errors leave the old file in place.
    pub fn commit(mut self) -> Result<()> {
        self.writer.flush().map_err(Error::io("write", &self.temporary))?;
        self.writer.get_ref().sync_all().map_err(Error::io("write", &self.temporary))?;
        fs::rename(&self.temporary, &self.path).map_err(Error::io("rename into place", &self.path))
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
        // After a commit the temporary is gone and this finds nothing.
        let _ = fs::remove_file(&self.temporary);
    }
}

/// Returns the text of a file, or [`Error::NotUtf8`].
pub fn read_text(path: &Path) -> Result<String> {
    let bytes = fs::read(path).map_err(Error::io("read", path))?;
    String::from_utf8(bytes).map_err(|_| Error::NotUtf8 { path: path.to_path_buf() })
}

/// Returns the SHA-256 of a file's bytes in lower-case hexadecimal.
pub fn sha256_file(path: &Path) -> Result<String> {
    let mut file = File::open(path).map_err(Error::io("read", path))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0u8; 1 << 16];
    loop {
        let read = file.read(&mut buffer).map_err(Error::io("read", path))?;
        if read == 0 {
            return Ok(hex(&hasher.finalize()));
        }
        hasher.update(&buffer[..read]);
    }
}

/// Returns the SHA-256 of `bytes` in lower-case hexadecimal.
pub fn sha256_bytes(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Returns the values as safetensors stores them: little-endian, four bytes each.
pub fn f32_bytes(values: &[f32]) -> Vec<u8> {
    let mut bytes = vec![0; 4 * values.len()];
    bytes
        .chunks_exact_mut(4)
        .zip(values)
        .for_each(|(to, value)| to.copy_from_slice(&value.to_le_bytes()));
    bytes
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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
    fn sha256_is_the_published_one() {
        assert_eq!(
            sha256_bytes(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
