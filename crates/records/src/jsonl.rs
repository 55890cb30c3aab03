use crate::error::{Error, Result};
use crate::io::AtomicFile;
use serde::{Serialize, de::DeserializeOwned};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

/// Reads one record a line, in constant memory; blank lines are passed over.
pub struct JsonlReader<T> {
    reader: BufReader<File>,
    path: PathBuf,
    line: usize,
    buffer: Vec<u8>,
    record: PhantomData<T>,
}

impl<T: DeserializeOwned> JsonlReader<T> {
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(Error::io("read", path))?;
        let reader = BufReader::with_capacity(1 << 16, file);
        Ok(Self {
            reader,
            path: path.to_path_buf(),
            line: 0,
            buffer: Vec::new(),
            record: PhantomData,
        })
    }

    /// The number of the line that was returned last, from 1.
    pub fn line(&self) -> usize {
        self.line
    }
}

impl<T: DeserializeOwned> Iterator for JsonlReader<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.buffer.clear();
            match self.reader.read_until(b'\n', &mut self.buffer) {
                Ok(0) => return None,
                Ok(_) => self.line += 1,
                Err(source) => return Some(Err(Error::io("read", &self.path)(source))),
            }
            if self.buffer.trim_ascii().is_empty() {
                continue;
            }
            return Some(serde_json::from_slice(&self.buffer).map_err(|source| Error::Json {
                path: self.path.clone(),
                line: self.line,
                source,
            }));
        }
    }
}

/// Returns all records of a file.
pub fn read_jsonl<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    JsonlReader::open(path)?.collect()
}

/// Returns the records of a file that are wanted; the others are passed over.
pub fn select_jsonl<T: DeserializeOwned>(
    path: &Path,
    mut is_wanted: impl FnMut(&T) -> bool,
) -> Result<Vec<T>> {
    JsonlReader::open(path)?.filter(|record| record.as_ref().map_or(true, &mut is_wanted)).collect()
}

/// Writes one record a line, whole or not at all; returns how many.
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
}
