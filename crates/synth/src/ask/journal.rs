//! The append-only record of every answer that was paid for.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use whetstone_records::PassageId;

/// How long answers may wait to be forced to the disk. A killed process loses none of them, a power cut these.
const SYNC_EVERY: Duration = Duration::from_secs(2);

/// One line: the raw answer to one call, so that a better parser needs no new call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// SHA-256 of all that the answer depends on.
    pub key: String,
    pub passage: PassageId,
    pub llm: String,
    pub content: String,
    pub finish_reason: Option<String>,
    pub prompt_tokens: Option<u64>,
    pub completion_tokens: Option<u64>,
}

/// An open journal; no second run can open it meanwhile.
pub struct Journal {
    file: File,
    path: PathBuf,
    entries: HashMap<String, Entry>,
    /// Lines within the file that cannot be read; they are left as they are.
    pub damaged_lines: Vec<usize>,
    synced: Instant,
}

impl Journal {
    /// Opens or creates a journal. A torn last line, which a killed run leaves, is cut off.
    pub fn open(path: &Path) -> Result<Self> {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(Error::io("create folder", parent))?;
        }
        let open = OpenOptions::new().read(true).append(true).create(true).open(path);
        let file = open.map_err(Error::io("open", path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::JournalInUse { path: path.into() }),
            // Some network file systems know no locks; the journal works without.
            Err(TryLockError::Error(_)) => {}
        }
        let mut journal = Self {
            file,
            path: path.into(),
            entries: HashMap::new(),
            damaged_lines: Vec::new(),
            synced: Instant::now(),
        };
        journal.read()?;
        Ok(journal)
    }

    fn read(&mut self) -> Result<()> {
        self.file.seek(SeekFrom::Start(0)).map_err(Error::io("read", &self.path))?;
        let mut reader = BufReader::with_capacity(1 << 16, &self.file);
        let mut line = Vec::new();
        let (mut whole, mut number) = (0, 0);
        loop {
            line.clear();
            let length = reader.read_until(b'\n', &mut line).map_err(Error::io("read", &self.path))? as u64;
            if length == 0 {
                return Ok(());
            }
            number += 1;
            if !line.ends_with(b"\n") {
                // Torn: whatever it holds, its call was in flight.
                self.file.set_len(whole).map_err(Error::io("repair", &self.path))?;
                return Ok(());
            }
            whole += length;
            match serde_json::from_slice::<Entry>(&line) {
                Ok(entry) => {
                    self.entries.insert(entry.key.clone(), entry);
                }
                Err(_) if line.trim_ascii().is_empty() => {}
                Err(_) => self.damaged_lines.push(number),
            }
        }
    }

    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.get(key)
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Appends an entry in one write, before anything is done with it.
    pub fn append(&mut self, entry: Entry) -> Result<()> {
        let mut line = serde_json::to_vec(&entry).expect("an entry is plain data, which always serialises");
        line.push(b'\n');
        self.file.write_all(&line).map_err(Error::io("append to", &self.path))?;
        if self.synced.elapsed() > SYNC_EVERY {
            self.sync()?;
        }
        self.entries.insert(entry.key.clone(), entry);
        Ok(())
    }

    /// Forces everything to the disk.
    pub fn sync(&mut self) -> Result<()> {
        self.synced = Instant::now();
        self.file.sync_data().map_err(Error::io("write", &self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str) -> Entry {
        let (passage, llm, content) = ("p".into(), "m".into(), "multi\nline é".into());
        Entry {
            key: key.into(),
            passage,
            llm,
            content,
            finish_reason: None,
            prompt_tokens: Some(3),
            completion_tokens: None,
        }
    }

    #[test]
    fn a_torn_last_line_is_cut_off_at_every_byte_and_what_was_whole_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/ask.journal.jsonl");
        let mut journal = Journal::open(&path).unwrap();
        journal.append(entry("a")).unwrap();
        let whole = std::fs::read(&path).unwrap();
        journal.append(entry("b")).unwrap();
        drop(journal);
        let both = std::fs::read(&path).unwrap();
        for length in whole.len()..both.len() {
            std::fs::write(&path, &both[..length]).unwrap();
            let mut journal = Journal::open(&path).unwrap();
            assert_eq!((journal.get("a"), journal.get("b")), (Some(&entry("a")), None), "{length}");
            journal.append(entry("b")).unwrap();
            drop(journal);
            assert_eq!(std::fs::read(&path).unwrap(), both, "{length}");
        }
        assert_eq!(Journal::open(&path).unwrap().len(), 2);
    }

    #[test]
    fn a_damaged_line_is_named_and_the_others_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        let line = serde_json::to_string(&entry("a")).unwrap();
        std::fs::write(&path, format!("{{\"key\":\"x\n{line}\n")).unwrap();
        let journal = Journal::open(&path).unwrap();
        assert_eq!((journal.len(), journal.damaged_lines), (1, vec![1]));
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
