//! A cross-encoder as teacher. It may be a large one, so its scores are kept as they come.

use super::super::train::Group;
use super::PairJob;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use whetstone_model::{CrossEncoder, Engine};
use whetstone_records::{DataSet, ModelDir, Progress, read_json, sha256_bytes, write_json};

/// Pairs per file: the most that a stopped run loses.
const SHARD: usize = 512;

/// A query with a passage.
type Texts<'a> = (&'a str, &'a str);

/// Returns the logits of every group's pairs, of their whole texts up to the model's own limit.
pub fn score(groups: &[Group], job: &PairJob, progress: &dyn Progress) -> Result<Vec<Vec<f32>>> {
    let folder = job.teacher.ok_or(Error::NoTeacher)?;
    let encoder = CrossEncoder::load(folder, None, &Engine::open(job.device)?)?;
    let pairs: Vec<Texts> =
        groups.iter().flatten().map(|pair| (pair.query.as_str(), pair.passage.as_str())).collect();
    let kept = Kept { folder: DataSet::new(job.out).teacher_scores(), model: digest(folder)? };
    progress.start("teacher", Some(pairs.len() as u64), "pairs");
    let score = |pairs: &[Texts]| Ok(encoder.score(pairs, progress)?);
    let mut scores = kept.score(&pairs, &score, progress)?.into_iter();
    progress.finish();
    Ok(groups.iter().map(|group| scores.by_ref().take(group.len()).collect()).collect())
}

/// Digests what decides the scores of a model.
fn digest(folder: &Path) -> Result<String> {
    let mut digests = String::new();
    for (_, path) in ModelDir::new(folder).parts()? {
        digests += &whetstone_records::sha256_file(&path)?;
    }
    // The longest input is not among those files.
    let limit = whetstone_model::PairTokenizer::stored_limit(folder)?;
    Ok(sha256_bytes(format!("{digests} {limit}").as_bytes()))
}

/// A file of scores.
#[derive(Serialize, Deserialize)]
struct Shard {
    /// Of the model and the texts.
    digest: String,
    /// As bits, which decimal digits would not keep for certain.
    scores: Vec<u32>,
}

/// Scores in files, so that no pair is scored twice by one model.
struct Kept {
    folder: PathBuf,
    /// Digest of the model.
    model: String,
}

impl Kept {
    /// Returns the score of every pair. What an earlier run of the same model scored in the same
    /// place is read; a file that does not fit is made again.
    fn score(
        &self,
        pairs: &[Texts],
        score: &dyn Fn(&[Texts]) -> Result<Vec<f32>>,
        progress: &dyn Progress,
    ) -> Result<Vec<f32>> {
        let mut scores = Vec::with_capacity(pairs.len());
        for (number, pairs) in pairs.chunks(SHARD).enumerate() {
            let (path, digest) = (self.path(number), self.digest(pairs));
            let kept = read_json::<Shard>(&path).ok().flatten();
            match kept.filter(|kept| kept.digest == digest && kept.scores.len() == pairs.len()) {
                Some(kept) => {
                    scores.extend(kept.scores.into_iter().map(f32::from_bits));
                    progress.advance(pairs.len() as u64);
                }
                None => {
                    let fresh = score(pairs)?;
                    let bits = fresh.iter().map(|score| score.to_bits()).collect();
                    write_json(&path, &Shard { digest, scores: bits })?;
                    scores.extend(fresh);
                }
            }
        }
        self.remove_from(pairs.len().div_ceil(SHARD))?;
        Ok(scores)
    }

    fn path(&self, number: usize) -> PathBuf {
        self.folder.join(format!("{number:05}.json"))
    }

    fn digest(&self, pairs: &[Texts]) -> String {
        // JSON keeps the texts apart.
        let texts = serde_json::to_vec(pairs).expect("strings always serialise");
        sha256_bytes(format!("{} {}", self.model, sha256_bytes(&texts)).as_bytes())
    }

    /// Removes the files of a larger data set.
    fn remove_from(&self, first: usize) -> Result<()> {
        let later = (first..).map(|number| self.path(number)).take_while(|path| path.exists());
        for path in later.collect::<Vec<_>>() {
            std::fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use whetstone_records::Silent;

    /// Scores pairs by their lengths, and fails at call number `stop_at`. Also returns how many it
    /// was given.
    fn run(
        folder: &Path,
        model: &str,
        texts: &[String],
        stop_at: usize,
    ) -> (Result<Vec<f32>>, usize) {
        let (calls, asked) = (Cell::new(0), Cell::new(0));
        let score = |pairs: &[Texts]| {
            calls.set(calls.get() + 1);
            if calls.get() >= stop_at {
                return Err(Error::NoTeacher);
            }
            asked.set(asked.get() + pairs.len());
            Ok(pairs
                .iter()
                .map(|(query, passage)| (query.len() * passage.len()) as f32 / 3.0)
                .collect())
        };
        let kept = Kept { folder: folder.into(), model: model.into() };
        let pairs: Vec<Texts> = texts.iter().map(|text| ("query", text.as_str())).collect();
        (kept.score(&pairs, &score, &Silent), asked.get())
    }

    #[test]
    fn a_stopped_run_loses_one_file_and_ends_with_the_same_scores() {
        let folder = tempfile::tempdir().unwrap();
        let texts: Vec<String> = (0..2 * SHARD + 10).map(|n| "x".repeat(n % 13)).collect();
        assert!(run(folder.path(), "m", &texts, 3).0.is_err());
        let (scores, asked) = run(folder.path(), "m", &texts, usize::MAX);
        assert_eq!(asked, 10);
        let at_once = run(tempfile::tempdir().unwrap().path(), "m", &texts, usize::MAX);
        assert_eq!((scores.unwrap(), texts.len()), (at_once.0.unwrap(), at_once.1));
    }

    #[test]
    fn scores_of_another_model_other_texts_or_half_a_file_are_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let mut texts: Vec<String> = (0..SHARD + 10).map(|n| "x".repeat(n % 13)).collect();
        assert_eq!(run(folder.path(), "m", &texts, usize::MAX).1, SHARD + 10);
        assert_eq!(run(folder.path(), "m", &texts, usize::MAX).1, 0);
        texts[SHARD].push('y');
        assert_eq!(run(folder.path(), "m", &texts, usize::MAX).1, 10);
        assert_eq!(run(folder.path(), "other", &texts, usize::MAX).1, SHARD + 10);
        let path = folder.path().join("00001.json");
        std::fs::write(&path, &std::fs::read(&path).unwrap()[..50]).unwrap();
        assert_eq!(run(folder.path(), "other", &texts, usize::MAX).1, 10);
        texts.truncate(5);
        run(folder.path(), "other", &texts, usize::MAX).0.unwrap();
        assert!(!path.exists(), "a smaller data set has fewer files");
    }
}
