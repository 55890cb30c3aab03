//! A model's scores in files, so that a stopped run need not make them again.

use crate::engine::Engine;
use crate::error::Result;
use crate::scorer::Scorer;
use serde::{Deserialize, Serialize};
use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use whetstone_records::{
    Error as RecordsError, ModelDir, Progress, digest_of_texts, read_json, sha256_file, write_json,
};

/// A query with a passage.
type Texts<'a> = (&'a str, &'a str);

/// A model that scores pairs, which may be a large one, and the folder in which its scores are kept.
pub struct KeptScores {
    folder: PathBuf,
    model: PathBuf,
    max_seq_tokens: Option<usize>,
    engine: Engine,
    /// Loaded with the first pair that has no score yet.
    scorer: OnceCell<Scorer>,
    /// Of what decides the scores of the model.
    digest: String,
}

/// A file of scores.
#[derive(Serialize, Deserialize)]
struct Part {
    /// Of the model and the texts.
    digest: String,
    /// As bits, which decimal digits would not keep for certain.
    scores: Vec<u32>,
}

impl KeptScores {
    /// Pairs of a part: the most that a stopped run loses.
    pub const PART: usize = 512;

    /// Pairs are read up to `max_seq_tokens`, or up to the model's own limit.
    pub fn open(
        folder: PathBuf,
        model: &Path,
        max_seq_tokens: Option<usize>,
        engine: &Engine,
    ) -> Result<Self> {
        let mut digest = format!("{max_seq_tokens:?}{}", engine.mark());
        for (_, path) in ModelDir::new(model).parts()? {
            digest += &sha256_file(&path)?;
        }
        let (model, engine) = (model.to_path_buf(), engine.clone());
        Ok(Self { folder, model, max_seq_tokens, engine, scorer: OnceCell::new(), digest })
    }

    /// Returns the logit of every pair of a part. What an earlier run of the same model scored in
    /// the same place is read; a file that does not fit is made again.
    ///
    /// # Errors
    /// A model without a relevance head, or a logit that is no number.
    pub fn part(
        &self,
        number: usize,
        pairs: &[Texts],
        progress: &dyn Progress,
    ) -> Result<Vec<f32>> {
        let score = |pairs: &[Texts]| self.scorer()?.score(pairs, progress);
        self.part_by(number, pairs, progress, score)
    }

    fn scorer(&self) -> Result<&Scorer> {
        if self.scorer.get().is_none() {
            let loaded = Scorer::load(&self.model, None, self.max_seq_tokens, &self.engine)?;
            return Ok(self.scorer.get_or_init(|| loaded));
        }
        Ok(self.scorer.get().expect("it was just there"))
    }

    fn part_by(
        &self,
        number: usize,
        pairs: &[Texts],
        progress: &dyn Progress,
        score: impl FnOnce(&[Texts]) -> Result<Vec<f32>>,
    ) -> Result<Vec<f32>> {
        let (path, digest) = (self.path(number), self.digest_with(pairs));
        let kept = read_json::<Part>(&path).ok().flatten();
        if let Some(kept) =
            kept.filter(|kept| kept.digest == digest && kept.scores.len() == pairs.len())
        {
            progress.advance(pairs.len() as u64);
            return Ok(kept.scores.into_iter().map(f32::from_bits).collect());
        }
        let scores = score(pairs)?;
        let bits = scores.iter().map(|score| score.to_bits()).collect();
        write_json(&path, &Part { digest, scores: bits })?;
        Ok(scores)
    }

    /// Removes the parts of a larger data set, from this number on.
    pub fn remove_from(&self, first: usize) -> Result<()> {
        let later = (first..).map(|number| self.path(number)).take_while(|path| path.exists());
        for path in later.collect::<Vec<_>>() {
            std::fs::remove_file(&path).map_err(RecordsError::io("remove", &path))?;
        }
        Ok(())
    }

    fn path(&self, number: usize) -> PathBuf {
        self.folder.join(format!("{number:05}.json"))
    }

    fn digest_with(&self, pairs: &[Texts]) -> String {
        digest_of_texts(&self.digest, pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::DeviceName;
    use crate::error::Error;
    use whetstone_kernels::Precision;
    use whetstone_records::Silent;

    fn scores(folder: &Path, model: &str, max_seq_tokens: usize) -> KeptScores {
        let oracles = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracles");
        let engine = Engine::open(DeviceName::Cpu).unwrap();
        KeptScores::open(folder.into(), &oracles.join(model), Some(max_seq_tokens), &engine)
            .unwrap()
    }

    /// Scores parts by the lengths of their texts, and fails at part number `stop_at`. Also returns
    /// how many pairs were scored now.
    fn run(kept: &KeptScores, texts: &[String], stop_at: usize) -> (Result<Vec<f32>>, usize) {
        let pairs: Vec<Texts> = texts.iter().map(|text| ("query", text.as_str())).collect();
        let mut asked = 0;
        let mut scores = Vec::new();
        for (number, pairs) in pairs.chunks(KeptScores::PART).enumerate() {
            let score = |pairs: &[Texts]| {
                if number == stop_at {
                    return Err(Error::NoNumber { what: "score" });
                }
                asked += pairs.len();
                Ok(pairs.iter().map(|(_, passage)| passage.len() as f32 / 3.0).collect())
            };
            match kept.part_by(number, pairs, &Silent, score) {
                Ok(part) => scores.extend(part),
                Err(error) => return (Err(error), asked),
            }
        }
        (Ok(scores), asked)
    }

    fn texts(count: usize) -> Vec<String> {
        (0..count).map(|n| "x".repeat(n % 13)).collect()
    }

    #[test]
    fn a_stopped_run_loses_one_part_and_ends_with_the_same_scores() {
        let [stopped, whole] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let kept = scores(stopped.path(), "tiny-model", 64);
        let texts = texts(2 * KeptScores::PART + 10);
        assert!(run(&kept, &texts, 2).0.is_err());
        let (resumed, asked) = run(&kept, &texts, usize::MAX);
        assert_eq!(asked, 10);
        let at_once = run(&scores(whole.path(), "tiny-model", 64), &texts, usize::MAX);
        assert_eq!((resumed.unwrap(), texts.len()), (at_once.0.unwrap(), at_once.1));
    }

    #[test]
    fn scores_of_another_precision_are_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracles/tiny-model");
        let engine = Engine::open(DeviceName::Cpu).unwrap();
        let asked = |engine: &Engine| {
            let kept = KeptScores::open(folder.path().into(), &model, Some(64), engine).unwrap();
            run(&kept, &texts(3), usize::MAX).1
        };
        assert_eq!([asked(&engine), asked(&engine)], [3, 0]);
        assert_eq!(asked(&engine.with_precision(Precision::Bf16)), 3);
    }

    #[test]
    fn scores_of_another_model_other_texts_or_half_a_file_are_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let mut texts = texts(KeptScores::PART + 10);
        let asked = |model: &str, limit, texts: &[String]| {
            run(&scores(folder.path(), model, limit), texts, usize::MAX).1
        };
        assert_eq!(asked("tiny-model", 64, &texts), KeptScores::PART + 10);
        assert_eq!(asked("tiny-model", 64, &texts), 0);
        texts[KeptScores::PART].push('y');
        assert_eq!(asked("tiny-model", 64, &texts), 10);
        assert_eq!(asked("tiny-model", 32, &texts), KeptScores::PART + 10);
        assert_eq!(asked("tiny-electra", 32, &texts), KeptScores::PART + 10);
        let kept = scores(folder.path(), "tiny-electra", 32);
        let path = kept.path(1);
        std::fs::write(&path, &std::fs::read(&path).unwrap()[..50]).unwrap();
        assert_eq!(asked("tiny-electra", 32, &texts), 10);
        kept.remove_from(1).unwrap();
        assert!(!path.exists() && kept.path(0).exists());
    }
}
