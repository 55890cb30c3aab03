//! Reads and writes whole files, and digests them.

use crate::atomic::AtomicFile;
use crate::error::{Error, Result};
use crate::lines::without_mark;
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use std::fs::{File, FileType};
use std::io::Read;
use std::path::Path;

/// Keeps a sample of at most `most` items (0 keeps all), sorted by id. The choice depends on the
/// seed and each id alone.
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

/// Returns a sort key for a random order that depends on the seed and each id alone.
pub fn seeded_key(seed: u64, id: impl std::fmt::Display) -> String {
    sha256_bytes(format!("{seed} {id}").as_bytes())
}

/// The largest file read as one text, in bytes. No config or list of passages comes near it.
const TEXT: u64 = 256 << 20;

/// Opens a file to read it.
///
/// # Errors
/// [`Error::NoFile`] for what is no regular file: reading a pipe may wait for ever, and gives its
/// bytes only once, while a stage reads its inputs twice.
pub fn open_file(path: &Path) -> Result<File> {
    let kind = std::fs::metadata(path).map_err(Error::io("read", path))?.file_type();
    if !kind.is_file() {
        return Err(Error::NoFile { path: path.into(), what: in_words(kind) });
    }
    File::open(path).map_err(Error::io("read", path))
}

fn in_words(kind: FileType) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_fifo() {
            return "a pipe";
        }
        if kind.is_socket() {
            return "a socket";
        }
    }
    if kind.is_dir() { "a folder" } else { "a device" }
}

/// Returns the bytes of a file, however large: weights have no limit.
pub fn read_whole(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_file(path)?.read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    Ok(bytes)
}

/// Returns the bytes of a file that belongs in memory.
///
/// # Errors
/// [`Error::LargeFile`] for more than 256 MiB.
pub fn read_bytes(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_file(path)?.take(TEXT + 1).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    if bytes.len() as u64 > TEXT {
        return Err(Error::LargeFile { path: path.into(), limit: TEXT });
    }
    Ok(bytes)
}

/// Returns the text of a file without its byte order mark.
///
/// # Errors
/// [`Error::NotUtf8`], and those of [`read_bytes`].
pub fn read_text(path: &Path) -> Result<String> {
    let mut bytes = read_bytes(path)?;
    let marked = bytes.len() - without_mark(&bytes).len();
    bytes.drain(..marked);
    String::from_utf8(bytes).map_err(|_| Error::NotUtf8 { path: path.into() })
}

/// Returns the content of a JSON file, or None if it does not exist.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    if !path.exists() {
        return Ok(None);
    }
    let text = read_text(path)?;
    serde_json::from_str(&text).map(Some).map_err(|source| {
        let (path, line) = (path.to_path_buf(), source.line());
        Error::Json { path, line, source }
    })
}

/// Writes a value as indented JSON, whole or not at all.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_vec_pretty(value).expect("plain data always serialises");
    text.push(b'\n');
    AtomicFile::write_all_to(path, &text)
}

/// Returns the SHA-256 of a file's bytes in lower-case hexadecimal.
pub fn sha256_file(path: &Path) -> Result<String> {
    sha256_open(&mut open_file(path)?, path)
}

/// Returns the SHA-256 of the rest of an open file. The path is only for messages.
pub(crate) fn sha256_open(file: &mut File, path: &Path) -> Result<String> {
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

/// Returns the digest of what a model makes of some texts: that of the model and of theirs.
pub fn digest_of_texts(model: &str, texts: &(impl Serialize + ?Sized)) -> String {
    // JSON keeps the texts apart.
    let texts = serde_json::to_vec(texts).expect("strings always serialise");
    sha256_bytes(format!("{model} {}", sha256_bytes(&texts)).as_bytes())
}

/// Returns the SHA-256 of `bytes` in lower-case hexadecimal.
pub fn sha256_bytes(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Returns the values as safetensors stores them: four little-endian bytes each.
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
    use crate::Hint;

    #[test]
    fn a_text_has_no_byte_order_mark_and_an_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.toml");
        std::fs::write(&path, "\u{feff}seed = 1\n").unwrap();
        assert_eq!(read_text(&path).unwrap(), "seed = 1\n");
        File::options().write(true).open(&path).unwrap().set_len(TEXT + 1).unwrap();
        assert!(matches!(read_text(&path), Err(Error::LargeFile { .. })));
    }

    #[test]
    fn a_broken_json_file_is_not_told_to_have_lines_of_objects() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("golden.json");
        std::fs::write(&path, "{\n\"pairs\": [").unwrap();
        let error = read_json::<serde_json::Value>(&path).unwrap_err();
        assert!(error.to_string().contains("golden.json` line 2 is not the JSON"), "{error}");
        assert!(error.hint().unwrap().starts_with("write or get that file again"));
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_file_is_named_and_never_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("queries.jsonl");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        let cases = [
            (pipe.as_path(), "a pipe"),
            (folder.path(), "a folder"),
            (Path::new("/dev/null"), "a device"),
        ];
        for (path, what) in cases {
            for error in [sha256_file(path).unwrap_err(), read_text(path).unwrap_err()] {
                assert!(error.to_string().ends_with(&format!("is {what}, not a file")), "{error}");
            }
        }
    }

    #[test]
    fn sha256_is_the_published_one() {
        assert_eq!(
            sha256_bytes(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
