//! log.jsonl: one line per step and per evaluation. It holds no times, so equal runs have equal
//! logs.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use whetstone_records::Error as RecordsError;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum LogLine {
    Step {
        step: usize,
        epoch: usize,
        loss: f32,
        lr: f64,
        grad_norm: f64,
        pairs: usize,
        tokens: usize,
    },
    Dev {
        step: usize,
        #[serde(rename = "dev_ndcg@10")]
        dev_ndcg_at_10: f64,
        #[serde(rename = "general_ndcg@10", skip_serializing_if = "Option::is_none", default)]
        general_ndcg_at_10: Option<f64>,
    },
}

/// The log, cut back to the checkpoint from which the run resumes.
pub(crate) struct Log {
    file: File,
    path: PathBuf,
    /// Written so far.
    pub bytes: u64,
    /// All lines so far: what the plots show.
    pub lines: Vec<LogLine>,
    /// How many of them the log held when it was opened.
    earlier: usize,
}

impl Log {
    /// Opens or creates the log of a run and cuts it to its first `bytes`.
    pub fn open(path: &Path, bytes: u64) -> Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map_err(RecordsError::io("open", path))?;
        file.set_len(bytes).map_err(RecordsError::io("truncate", path))?;
        let text = whetstone_records::read_text(path)?;
        let lines = text.lines().enumerate().map(|(index, line)| {
            serde_json::from_str(line).map_err(|source| Error::Checkpoint {
                path: path.into(),
                what: format!("line {}: {source}", index + 1),
            })
        });
        let lines: Vec<LogLine> = lines.collect::<Result<_>>()?;
        Ok(Self { file, path: path.into(), bytes, earlier: lines.len(), lines })
    }

    /// Returns the pairs and tokens of the steps logged since it was opened.
    pub fn done_now(&self) -> (usize, usize) {
        self.lines[self.earlier..].iter().fold((0, 0), |sum, line| match line {
            LogLine::Step { pairs, tokens, .. } => (sum.0 + pairs, sum.1 + tokens),
            LogLine::Dev { .. } => sum,
        })
    }

    pub fn write(&mut self, line: LogLine) -> Result<()> {
        let mut text =
            serde_json::to_vec(&line).expect("a log line is plain data, which always serialises");
        text.push(b'\n');
        self.file.write_all(&text).map_err(RecordsError::io("write", &self.path))?;
        self.bytes += text.len() as u64;
        self.lines.push(line);
        Ok(())
    }
}
