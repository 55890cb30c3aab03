//! A cross-encoder as the teacher of another: its logits of all training pairs.

use crate::data::Pairs;
use crate::error::Result;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use whetstone_model::{Architecture, CrossEncoder, Engine};
use whetstone_records::{
    Error as RecordsError, Input, ModelDir, Progress, RunDir, read_json, sha256_bytes, write_json,
};

/// Pairs of a file of scores: the most that a stopped run loses.
const SHARD: usize = 1024;

/// The beginning of the roles of a teacher's files among the inputs of a run.
const ROLE: &str = "teacher";

/// A teacher, and the folder in which its scores are kept, since every epoch needs them.
pub(crate) struct Teacher<'a> {
    model: &'a Path,
    max_seq_tokens: usize,
    engine: Engine,
    folder: PathBuf,
    /// Of what the scores depend on.
    digest: String,
}

/// A file of scores.
#[derive(Serialize, Deserialize)]
struct Shard {
    digest: String,
    scores: Vec<f32>,
}

/// Digests every file that a teacher's scores depend on.
pub(crate) fn inputs(model: &Path) -> Result<Vec<(String, PathBuf)>> {
    let parts = ModelDir::new(model).parts()?;
    Ok(parts.into_iter().map(|(role, path)| (format!("{ROLE} {role}"), path)).collect())
}

impl<'a> Teacher<'a> {
    /// A teacher that reads pairs as long as the student, or as long as it can.
    pub fn of_run(
        model: &'a Path,
        run: &RunDir,
        inputs: &[Input],
        (max_seq_tokens, engine): (usize, &Engine),
    ) -> Result<Self> {
        let max_seq_tokens = max_seq_tokens.min(Architecture::read(model)?.spec.longest_input);
        let read: BTreeMap<&str, &str> = inputs
            .iter()
            .map(|input| (&*input.role, &*input.digest))
            .filter(|(role, _)| *role == "train" || role.starts_with(ROLE))
            .collect();
        let text = format!("{max_seq_tokens} {read:?}");
        let digest = sha256_bytes(text.as_bytes());
        Ok(Self { model, max_seq_tokens, engine: engine.clone(), folder: run.teacher(), digest })
    }

    /// Returns the logit of every pair. Those of an earlier run on the same files are read.
    ///
    /// # Errors
    /// A teacher without a relevance head, or a logit that is no number.
    pub fn scores(&self, pairs: &Pairs, progress: &dyn Progress) -> Result<Vec<f32>> {
        progress.start("teach", Some(pairs.len() as u64), "pairs");
        let mut scores = Vec::with_capacity(pairs.len());
        let mut encoder = None;
        for (number, first) in (0..pairs.len()).step_by(SHARD).enumerate() {
            let range = first..(first + SHARD).min(pairs.len());
            let path = self.folder.join(format!("{number:05}.json"));
            if let Some(shard) = self.read(&path, range.len()) {
                progress.advance(range.len() as u64);
                scores.extend(shard);
                continue;
            }
            let encoder = match &mut encoder {
                Some(encoder) => encoder,
                none => none.insert(CrossEncoder::load(
                    self.model,
                    Some(self.max_seq_tokens),
                    &self.engine,
                )?),
            };
            let pairs = pairs.of(range)?;
            let texts: Vec<(&str, &str)> =
                pairs.iter().map(|pair| (&*pair.query, &*pair.passage)).collect();
            let shard = encoder.score(&texts, progress)?;
            // The same file twice, so that a resumed run learns from the same numbers.
            write_json(&path, &Shard { digest: self.digest.clone(), scores: shard })?;
            let missing = || RecordsError::Changed { path: path.clone() };
            scores.extend(self.read(&path, pairs.len()).ok_or_else(missing)?);
        }
        progress.finish();
        Ok(scores)
    }

    /// Returns the scores of a file; None if they are of other texts or another model, or damaged.
    fn read(&self, path: &Path, pairs: usize) -> Option<Vec<f32>> {
        let shard: Shard = read_json(path).ok().flatten()?;
        let is_mine = shard.digest == self.digest && shard.scores.len() == pairs;
        is_mine.then_some(shard.scores)
    }
}
