//! JSONL files: one JSON record a line.

use crate::atomic::AtomicFile;
use crate::error::{Error, Result};
use crate::lines::{JSONL_LINE, LineReader};
use serde::{Serialize, de::DeserializeOwned};
use std::io::Write;
use std::marker::PhantomData;
use std::path::Path;

/// Reads one record a line and keeps only that line in memory. Skips blank lines.
///
/// ```
/// # use whetstone_records::{JsonlReader, Query};
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("queries.jsonl");
/// std::fs::write(&path, r#"{"_id": "q1", "text": "who wrote it"}"#).unwrap();
/// for query in JsonlReader::<Query>::open(&path)? {
///     assert_eq!(query?.text, "who wrote it");
/// }
/// # Ok::<(), whetstone_records::Error>(())
/// ```
pub struct JsonlReader<T> {
    lines: LineReader,
    record: PhantomData<T>,
}

impl<T: DeserializeOwned> JsonlReader<T> {
    /// Opens a file. Each malformed line later yields an error that names it.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self { lines: LineReader::open(path, JSONL_LINE)?, record: PhantomData })
    }

    /// Returns the number of the last line returned, from 1.
    pub fn line(&self) -> usize {
        self.lines.number()
    }
}

impl<T: DeserializeOwned> Iterator for JsonlReader<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.lines.advance() {
                Err(error) => return Some(Err(error)),
                Ok(false) => return None,
                Ok(true) if self.lines.line().trim_ascii().is_empty() => {}
                Ok(true) => break,
            }
        }
        let parsed = serde_json::from_slice(self.lines.line());
        Some(parsed.map_err(|source| {
            let (path, line) = (self.lines.path().to_path_buf(), self.lines.number());
            Error::JsonLine { path, line, source }
        }))
    }
}

/// Returns all records of a file.
pub fn read_jsonl<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    JsonlReader::open(path)?.collect()
}

/// Returns the records for which `is_wanted` holds.
pub fn select_jsonl<T: DeserializeOwned>(
    path: &Path,
    mut is_wanted: impl FnMut(&T) -> bool,
) -> Result<Vec<T>> {
    JsonlReader::open(path)?.filter(|record| record.as_ref().map_or(true, &mut is_wanted)).collect()
}

/// Writes one record a line, whole or not at all. Returns how many.
pub fn write_jsonl<T: Serialize>(path: &Path, records: impl IntoIterator<Item = T>) -> Result<u64> {
    let mut file = AtomicFile::create(path)?;
    let mut count = 0;
    for record in records {
        let mut line =
            serde_json::to_vec(&record).expect("records are plain data, which always serialises");
        line.push(b'\n');
        file.write_all(&line).map_err(Error::io("write", path))?;
        count += 1;
    }
    file.commit()?;
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_wanted_records_are_kept_and_errors_are_not_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("q.jsonl");
        std::fs::write(&path, "{\"_id\":\"1\",\"text\":\"a\"}\n{\"_id\":\"2\",\"text\":\"b\"}\n")
            .unwrap();
        let found = select_jsonl(&path, |query: &crate::Query| query.id.as_str() == "2").unwrap();
        assert_eq!(found.iter().map(|query| query.text.as_str()).collect::<Vec<_>>(), ["b"]);
        std::fs::write(&path, "{\"_id\":\"1\",\"te").unwrap();
        assert!(select_jsonl(&path, |_: &crate::Query| false).is_err());
    }

    #[test]
    fn an_error_names_the_file_and_the_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("q.jsonl");
        std::fs::write(&path, "{\"_id\":\"1\",\"text\":\"a\"}\n\n{\"_id\":\"2\",\"te").unwrap();
        let error = read_jsonl::<crate::Query>(&path).unwrap_err();
        assert!(
            error.to_string().ends_with("q.jsonl` line 3 is not the JSON that was expected"),
            "{error}"
        );
    }
    #[test]
    fn a_byte_order_mark_is_dropped_and_a_line_in_front_of_which_one_stands_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("q.jsonl");
        let line = "\u{feff}{\"_id\":\"1\",\"text\":\"a\"}\r\n";
        std::fs::write(&path, line.repeat(2)).unwrap();
        assert_eq!(read_jsonl::<crate::Query>(&path).unwrap().len(), 2);
    }

    #[test]
    fn an_endless_line_is_an_error_and_takes_no_more_memory_than_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("q.jsonl");
        // Zeros without end, and no bytes on the disk.
        std::fs::File::create(&path).unwrap().set_len(JSONL_LINE as u64 + 9).unwrap();
        let error = JsonlReader::<crate::Query>::open(&path).unwrap().next();
        assert!(matches!(error, Some(Err(Error::LongLine { line: 1, .. }))));
    }
}
