//! Random access to the pairs of a file. Memory holds their offsets; the texts stay on disk.

use crate::error::{Error, Result};
use rayon::prelude::*;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use whetstone_records::{Error as RecordsError, Pair, Stamp, without_mark};

/// Bytes read and parsed at a time.
const BLOCK: u64 = 1 << 24;

/// The longest allowed line, in bytes.
const LONGEST: usize = 64 << 20;

pub(crate) struct PairFile {
    file: Mutex<File>,
    /// How the file looked before it was read.
    stamp: Stamp,
    path: PathBuf,
    /// First byte, length and number of each pair's line.
    spans: Vec<(u64, u32, u32)>,
}

impl PairFile {
    /// Reads a file once, in blocks and on all cores. Calls `each` with every pair and its line, in
    /// the order of the file.
    pub fn scan(path: &Path, mut each: impl FnMut(usize, &Pair) -> Result<()>) -> Result<Self> {
        let file = File::open(path).map_err(RecordsError::io("read", path))?;
        let stamp = Stamp::of(&file).map_err(RecordsError::io("read", path))?;
        let mut spans = Vec::new();
        let (mut block, mut offset, mut line) = (Vec::new(), 0u64, 0);
        loop {
            let read = (&file)
                .take(BLOCK)
                .read_to_end(&mut block)
                .map_err(RecordsError::io("read", path))?;
            let whole = match (read, block.iter().rposition(|&byte| byte == b'\n')) {
                (0, _) => block.len(),
                (_, Some(newline)) => newline + 1,
                (_, None) if block.len() > LONGEST => {
                    let (path, line) = (path.to_path_buf(), line + 1);
                    return Err(RecordsError::LongLine { path, line, limit: LONGEST }.into());
                }
                (_, None) => continue,
            };
            let mut lines = Vec::new();
            let mut start = 0;
            for text in block[..whole].split_inclusive(|&byte| byte == b'\n') {
                line += 1;
                let mark = text.len() - without_mark(text).len();
                if !text[mark..].trim_ascii().is_empty() {
                    lines.push((line, &text[mark..]));
                    let first = offset + (start + mark) as u64;
                    spans.push((first, (text.len() - mark) as u32, line as u32));
                }
                start += text.len();
            }
            let parsed: Vec<_> = lines
                .par_iter()
                .map(|(line, text)| (*line, serde_json::from_slice(text)))
                .collect();
            for (line, pair) in parsed {
                each(line, &pair.map_err(|source| json_error(path, line, source))?)?;
            }
            offset += whole as u64;
            block.drain(..whole);
            if read == 0 {
                break;
            }
        }
        Ok(Self { file: Mutex::new(file), stamp, path: path.into(), spans })
    }

    /// Refuses a file that was modified after it was read, since the offsets may be wrong.
    pub fn check(&self) -> Result<()> {
        let file = self.file.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        match Stamp::of(&file).map_err(RecordsError::io("read", &self.path))? == self.stamp {
            true => Ok(()),
            false => Err(RecordsError::Changed { path: self.path.clone() }.into()),
        }
    }

    /// Returns the line of a pair, from 1.
    pub fn line(&self, index: usize) -> usize {
        self.spans[index].2 as usize
    }

    /// Reads one pair from disk.
    pub fn get(&self, index: usize) -> Result<Pair> {
        let (first, len, line) = self.spans[index];
        let mut text = vec![0; len as usize];
        {
            let mut file = self.file.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            file.seek(SeekFrom::Start(first)).map_err(RecordsError::io("read", &self.path))?;
            file.read_exact(&mut text).map_err(RecordsError::io("read", &self.path))?;
        }
        serde_json::from_slice(&text)
            .map_err(|source| json_error(&self.path, line as usize, source))
    }
}

fn json_error(path: &Path, line: usize, source: serde_json::Error) -> Error {
    Error::Records(RecordsError::JsonLine { path: path.into(), line, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: usize, passage: &str) -> String {
        format!(
            "{{\"query\":\"q\",\"passage\":\"{passage}\",\"label\":1,\"query_id\":\"q\",\"passage_id\":\"p{number}\"}}\n"
        )
    }

    #[test]
    fn every_pair_is_found_again_over_blank_lines_and_the_borders_of_blocks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pairs.jsonl");
        // The file is longer than a block, and its last line has no line end.
        let passage = "x".repeat(5 << 20);
        let text: String = (0..9)
            .map(|number| line(number, &passage) + if number == 4 { "\n  \n" } else { "" })
            .collect();
        std::fs::write(&path, text.trim_end()).unwrap();
        let mut seen = Vec::new();
        let file = PairFile::scan(&path, |line, pair| {
            seen.push((line, pair.passage_id.to_string()));
            Ok(())
        })
        .unwrap();
        let expected: Vec<_> =
            (0..9).map(|n| (if n > 4 { n + 3 } else { n + 1 }, format!("p{n}"))).collect();
        assert_eq!(seen, expected);
        for number in [8, 0, 5] {
            let pair = file.get(number).unwrap();
            assert_eq!(
                (pair.passage_id.to_string(), pair.passage.len()),
                (format!("p{number}"), passage.len())
            );
            assert_eq!(file.line(number), expected[number].0);
        }
    }

    #[test]
    fn a_torn_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pairs.jsonl");
        std::fs::write(&path, line(0, "a") + "\n{\"query\":").unwrap();
        let error = PairFile::scan(&path, |_, _| Ok(())).err().unwrap();
        assert!(
            error.to_string().ends_with("pairs.jsonl` line 3 is not the JSON that was expected"),
            "{error}"
        );
    }
}
