//! The append-only record of every paid answer.

use crate::error::{Error, Result};
use crate::parse::Said;
use crate::work::{CUT_OFF, CUT_OFF_IN_THOUGHT, Flaw, REFUSED};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use whetstone_records::Error as RecordsError;

/// Longest time before answers are forced to the disk. A killed process loses none of them; a power
/// cut loses these.
const SYNC_EVERY: Duration = Duration::from_secs(2);
/// The finish reasons of incomplete answers.
pub const LENGTH: &str = "length";
pub const CONTENT_FILTER: &str = "content_filter";

/// One line: the raw answer to one call. A better parser can read it without a new call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// SHA-256 of everything that the answer depends on.
    pub key: String,
    /// The subject of the call: a passage, or a query with a passage.
    #[serde(alias = "passage")]
    pub subject: String,
    pub llm: String,
    pub content: String,
    /// Whether the server reported a thought beside the content.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub thought: bool,
    pub finish_reason: Option<String>,
    pub prompt_tokens: Option<u64>,
    pub completion_tokens: Option<u64>,
    /// How long the call took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wall_ms: Option<u64>,
    /// Whether it came from a batch API, at half the price.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub batch: bool,
}

impl Entry {
    /// The flaw of an answer that did not end as it should, whatever the question was.
    pub fn flaw(&self) -> Option<Flaw> {
        let (said, reason) = (self.said(), self.finish_reason.as_deref());
        let is_empty = said.text.is_empty();
        let is_cut = said.is_cut_off && is_empty && (said.thinks || self.thought);
        match reason {
            Some(CONTENT_FILTER) => Some(REFUSED),
            _ if is_cut || said.is_unfinished => Some(CUT_OFF_IN_THOUGHT),
            Some(LENGTH) => Some(CUT_OFF),
            _ if is_empty => Some("answers-empty"),
            _ => None,
        }
    }

    /// The answer without the thought before it.
    pub fn said(&self) -> Said<'_> {
        Said::of(&self.content, self.finish_reason.as_deref() == Some(LENGTH))
    }
}

/// Totals over the answers of one LLM, batch or not.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sum {
    pub answers: u64,
    pub tokens_in: u64,
    pub tokens_out: u64,
    pub wall_ms: u64,
    /// Answers with a recorded duration.
    pub timed: u64,
}

/// Sums by name of the LLM and whether they came by batch.
pub type Sums = BTreeMap<(String, bool), Sum>;

/// An open journal. No other run can open it meanwhile. Memory holds where each answer stands, not
/// the answers.
pub struct Journal {
    file: File,
    path: PathBuf,
    /// First byte and length of each answer's line, by the first half of its key.
    places: HashMap<u128, (u64, u32)>,
    end: u64,
    sums: Sums,
    /// Unreadable lines in the middle of the file. They stay as they are.
    pub damaged_lines: Vec<usize>,
    synced: Instant,
}

impl Journal {
    /// Opens or creates a journal. A torn last line, which a killed run leaves, is cut off.
    pub fn open(path: &Path) -> Result<Self> {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(RecordsError::io("create folder", parent))?;
        }
        let open = OpenOptions::new().read(true).append(true).create(true).open(path);
        let file = open.map_err(RecordsError::io("open", path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::JournalInUse { path: path.into() }),
            // Some network file systems have no locks. The journal works without.
            Err(TryLockError::Error(_)) => {}
        }
        let mut journal = Self {
            file,
            path: path.into(),
            places: HashMap::new(),
            end: 0,
            sums: Sums::new(),
            damaged_lines: Vec::new(),
            synced: Instant::now(),
        };
        journal.read()?;
        Ok(journal)
    }

    fn read(&mut self) -> Result<()> {
        let file = self.file.try_clone().map_err(RecordsError::io("read", &self.path))?;
        let mut reader = BufReader::with_capacity(1 << 16, file);
        reader.seek(SeekFrom::Start(0)).map_err(RecordsError::io("read", &self.path))?;
        let mut line = Vec::new();
        let mut number = 0;
        loop {
            line.clear();
            let length = reader
                .read_until(b'\n', &mut line)
                .map_err(RecordsError::io("read", &self.path))?;
            if length == 0 {
                return Ok(());
            }
            number += 1;
            if !line.ends_with(b"\n") {
                // The line is torn: its call was still in flight.
                self.file.set_len(self.end).map_err(RecordsError::io("repair", &self.path))?;
                return Ok(());
            }
            match serde_json::from_slice::<Entry>(&line)
                .ok()
                .and_then(|entry| Some((place_key(&entry.key)?, entry)))
            {
                Some((key, entry)) => self.note(key, &entry, length as u32),
                None if line.trim_ascii().is_empty() => {}
                None => self.damaged_lines.push(number),
            }
            self.end += length as u64;
        }
    }

    fn note(&mut self, key: u128, entry: &Entry, length: u32) {
        self.places.insert(key, (self.end, length));
        let sum = self.sums.entry((entry.llm.clone(), entry.batch)).or_default();
        sum.answers += 1;
        sum.tokens_in += entry.prompt_tokens.unwrap_or(0);
        sum.tokens_out += entry.completion_tokens.unwrap_or(0);
        sum.wall_ms += entry.wall_ms.unwrap_or(0);
        sum.timed += u64::from(entry.wall_ms.is_some());
    }

    /// Whether the journal holds an answer.
    pub fn has(&self, key: &str) -> bool {
        place_key(key).is_some_and(|key| self.places.contains_key(&key))
    }

    /// Reads an answer from the file.
    pub fn get(&self, key: &str) -> Result<Option<Entry>> {
        let Some((start, length)) = place_key(key).and_then(|key| self.places.get(&key)) else {
            return Ok(None);
        };
        let mut line = vec![0; *length as usize];
        read_at(&self.file, &mut line, *start).map_err(RecordsError::io("read", &self.path))?;
        let entry = serde_json::from_slice(&line);
        entry.map(Some).map_err(|_| Error::JournalChanged { path: self.path.clone() })
    }

    /// How many different answers there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// The totals over all answers. Repeated keys count, because they were paid.
    pub fn sums(&self) -> &Sums {
        &self.sums
    }

    /// Appends an entry in one write, before anything else uses it.
    pub fn append(&mut self, entry: &Entry) -> Result<()> {
        let mut line =
            serde_json::to_vec(entry).expect("an entry is plain data, which always serialises");
        line.push(b'\n');
        self.file.write_all(&line).map_err(RecordsError::io("append to", &self.path))?;
        let key = place_key(&entry.key)
            .expect("keys are made by `Request::key`, or checked where they come in");
        self.note(key, entry, line.len() as u32);
        self.end += line.len() as u64;
        if self.synced.elapsed() > SYNC_EVERY {
            self.sync()?;
        }
        Ok(())
    }

    /// Forces everything to the disk.
    pub fn sync(&mut self) -> Result<()> {
        self.synced = Instant::now();
        Ok(self.file.sync_data().map_err(RecordsError::io("write", &self.path))?)
    }
}

/// The first half of a key's 64 hexadecimal digits; none if it is not a key.
pub fn place_key(key: &str) -> Option<u128> {
    let digits = key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit());
    if digits { u128::from_str_radix(&key[..32], 16).ok() } else { None }
}

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], start: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, start)
}

#[cfg(not(unix))]
fn read_at(file: &File, buffer: &mut [u8], start: u64) -> std::io::Result<()> {
    use std::io::Read;
    let mut file = file.try_clone()?;
    file.seek(SeekFrom::Start(start))?;
    file.read_exact(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use whetstone_records::sha256_bytes;

    fn entry(name: &str) -> Entry {
        Entry {
            key: sha256_bytes(name.as_bytes()),
            subject: "p".into(),
            llm: "m".into(),
            content: "multi\nline é".into(),
            thought: false,
            finish_reason: None,
            prompt_tokens: Some(3),
            completion_tokens: None,
            wall_ms: Some(7),
            batch: false,
        }
    }

    fn get(journal: &Journal, name: &str) -> Option<Entry> {
        journal.get(&sha256_bytes(name.as_bytes())).unwrap()
    }

    #[test]
    fn a_torn_last_line_is_cut_off_at_every_byte_and_what_was_whole_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/ask.journal.jsonl");
        let mut journal = Journal::open(&path).unwrap();
        journal.append(&entry("a")).unwrap();
        let whole = std::fs::read(&path).unwrap();
        journal.append(&entry("b")).unwrap();
        assert_eq!(get(&journal, "b"), Some(entry("b")));
        drop(journal);
        let both = std::fs::read(&path).unwrap();
        for length in whole.len()..both.len() {
            std::fs::write(&path, &both[..length]).unwrap();
            let mut journal = Journal::open(&path).unwrap();
            assert_eq!(
                (get(&journal, "a"), get(&journal, "b")),
                (Some(entry("a")), None),
                "{length}"
            );
            journal.append(&entry("b")).unwrap();
            assert_eq!(get(&journal, "b"), Some(entry("b")));
            drop(journal);
            assert_eq!(std::fs::read(&path).unwrap(), both, "{length}");
        }
        let journal = Journal::open(&path).unwrap();
        assert_eq!(journal.len(), 2);
        let sum = Sum { answers: 2, tokens_in: 6, tokens_out: 0, wall_ms: 14, timed: 2 };
        assert_eq!(journal.sums()[&("m".to_owned(), false)], sum);
    }

    #[test]
    fn a_damaged_line_is_named_and_the_others_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        let line = serde_json::to_string(&entry("a")).unwrap();
        std::fs::write(&path, format!("{{\"key\":\"x\n{line}\n\n")).unwrap();
        let journal = Journal::open(&path).unwrap();
        assert_eq!((journal.len(), &journal.damaged_lines), (1, &vec![1]));
        assert_eq!(get(&journal, "a"), Some(entry("a")));
    }

    #[test]
    fn two_runs_cannot_hold_one_journal() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        let first = Journal::open(&path).unwrap();
        assert!(matches!(Journal::open(&path), Err(Error::JournalInUse { .. })));
        drop(first);
        Journal::open(&path).unwrap();
    }
}
