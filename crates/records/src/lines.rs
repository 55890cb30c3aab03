//! Reads a text file line by line and keeps only one line in memory.

use crate::error::{Error, Result};
use crate::io::open_file;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// The longest line of a JSONL file, in bytes. A longer one means that the file is of another kind.
pub(crate) const JSONL_LINE: usize = 64 << 20;
/// The longest line of a run or qrels file, in bytes.
pub(crate) const TREC_LINE: usize = 1 << 20;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads a file line by line. Strips line ends and byte order marks, which concatenated files have
/// in the middle too.
pub(crate) struct LineReader {
    reader: BufReader<File>,
    path: PathBuf,
    limit: usize,
    number: usize,
    buffer: Vec<u8>,
}

impl LineReader {
    /// Opens a file whose lines may have at most `limit` bytes.
    pub fn open(path: &Path, limit: usize) -> Result<Self> {
        let reader = BufReader::with_capacity(1 << 16, open_file(path)?);
        Ok(Self { reader, path: path.into(), limit, number: 0, buffer: Vec::new() })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the number of the current line, from 1.
    pub fn number(&self) -> usize {
        self.number
    }

    /// Goes to the next line. Returns whether there is one.
    ///
    /// # Errors
    /// [`Error::LongLine`], and [`Error::NotUtf8`] for a file in UTF-16.
    pub fn advance(&mut self) -> Result<bool> {
        self.buffer.clear();
        // Reads room for a line end (2 bytes) and one byte more, which reveals a line that is too
        // long.
        let most = self.limit as u64 + 3;
        let read = (&mut self.reader).take(most).read_until(b'\n', &mut self.buffer);
        if read.map_err(Error::io("read", &self.path))? == 0 {
            return Ok(false);
        }
        self.number += 1;
        if self.number == 1 && is_utf16(&self.buffer) {
            return Err(self.not_utf8());
        }
        if self.line().len() > self.limit {
            let (path, line) = (self.path.clone(), self.number);
            return Err(Error::LongLine { path, line, limit: self.limit });
        }
        Ok(true)
    }

    /// Returns the current line.
    pub fn line(&self) -> &[u8] {
        without_end(without_mark(&self.buffer))
    }

    /// Returns the current line as text.
    pub fn text(&self) -> Result<&str> {
        std::str::from_utf8(self.line()).map_err(|_| self.not_utf8())
    }

    fn not_utf8(&self) -> Error {
        Error::NotUtf8 { path: self.path.clone() }
    }
}

/// Returns `bytes` without a leading byte order mark.
pub fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes)
}

/// Returns whether a file begins with UTF-16's byte order mark, which Windows shells write.
pub(crate) fn is_utf16(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff")
}

fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &[u8], limit: usize) -> Result<Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        std::fs::write(&path, bytes).unwrap();
        let mut reader = LineReader::open(&path, limit)?;
        let mut lines = Vec::new();
        while reader.advance()? {
            lines.push(reader.text()?.to_owned());
        }
        Ok(lines)
    }

    #[test]
    fn marks_and_line_ends_are_no_part_of_a_line() {
        let joined = "\u{feff}a\r\nb\n\u{feff}c\r\n\nd";
        assert_eq!(lines(joined.as_bytes(), 10).unwrap(), ["a", "b", "c", "", "d"]);
    }

    #[test]
    fn a_line_may_be_as_long_as_the_limit_and_no_longer() {
        assert_eq!(lines(b"abcd\r\nabcd\nabcd", 4).unwrap(), ["abcd"; 3]);
        for text in ["abc\nabcde\n", "abc\nabcde", "abc\nabcdefghijkl"] {
            let error = lines(text.as_bytes(), 4).unwrap_err();
            assert!(error.to_string().ends_with("line 2 has more than 4 bytes"), "{error}");
        }
    }

    #[test]
    fn text_of_another_encoding_is_named() {
        for bytes in [&b"\xff\xfea\0\n\0"[..], b"\xfe\xff\0a\0\n", b"a\nb\xe4\n"] {
            assert!(matches!(lines(bytes, 10), Err(Error::NotUtf8 { .. })));
        }
    }
}
