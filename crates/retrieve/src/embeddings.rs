//! Keeps embeddings in files, so that no text is embedded twice.

use crate::error::Result;
use crate::shards::{Shards, check_finite};
use safetensors::{Dtype, tensor::TensorView};
use std::path::{Path, PathBuf};
use whetstone_records::{Progress, f32_bytes};

/// The role of a text in a search: some models put a different prompt before each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextKind {
    Passage,
    Query,
}

/// Texts per file: the most that a stopped run loses.
const SHARD: usize = 4096;

/// What turns texts into vectors of one length, one after the other.
pub type Encode<'a> = dyn Fn(TextKind, &[&str]) -> Result<Vec<f32>> + 'a;

/// Embeds texts, or reads from the folder what an earlier run of the same model embedded.
pub struct EmbeddingCache<'a> {
    pub folder: PathBuf,
    /// Digest of the model's files.
    pub model: String,
    pub hidden: usize,
    /// Returns row-major `[texts, hidden]` and advances the progress by every text.
    pub encode: &'a Encode<'a>,
    pub progress: &'a dyn Progress,
}

impl EmbeddingCache<'_> {
    /// Returns row-major `[texts, hidden]`. Shards are named by `role` (`passages`, `queries`) and
    /// number, and hold the digest of model and texts. A shard that does not match or cannot be
    /// read is made again.
    pub fn embed(&self, role: &str, kind: TextKind, texts: &[&str]) -> Result<Vec<f32>> {
        let shards = Shards { folder: self.folder.clone(), model: self.model.clone() };
        self.progress.start(&format!("embed {role}"), Some(texts.len() as u64), role);
        let mut embeddings = Vec::with_capacity(texts.len() * self.hidden);
        for (number, texts) in texts.chunks(SHARD).enumerate() {
            let path = shards.path(role, number);
            let digest = shards.digest(texts);
            match self.read_shard(&path, &digest, texts.len()) {
                Some(shard) => {
                    embeddings.extend(shard);
                    self.progress.advance(texts.len() as u64);
                }
                None => {
                    let shard = (self.encode)(kind, texts)?;
                    self.write_shard(&path, &digest, &shard)?;
                    embeddings.extend(shard);
                }
            }
        }
        shards.remove_from(role, texts.len().div_ceil(SHARD))?;
        self.progress.finish();
        Ok(embeddings)
    }

    fn read_shard(&self, path: &Path, digest: &str, rows: usize) -> Option<Vec<f32>> {
        Shards::read(path, digest, |shard| {
            let tensor = shard.tensor("embeddings").ok()?;
            if tensor.dtype() != Dtype::F32 || tensor.shape() != [rows, self.hidden] {
                return None;
            }
            let value =
                |bytes: &[u8]| f32::from_le_bytes(bytes.try_into().expect("chunks of four bytes"));
            Some(tensor.data().chunks_exact(4).map(value).collect())
        })
    }

    fn write_shard(&self, path: &Path, digest: &str, shard: &[f32]) -> Result<()> {
        check_finite(shard)?;
        let bytes = f32_bytes(shard);
        let shape = vec![shard.len() / self.hidden, self.hidden];
        let tensor =
            TensorView::new(Dtype::F32, shape, &bytes).expect("as many bytes as the shape says");
        Shards::write(path, digest, vec![("embeddings", tensor)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use std::cell::Cell;
    use whetstone_records::Silent;

    const HIDDEN: usize = 2;

    /// Embeds, with an encoder that fails at call number `stop_at`. Also returns how many texts it
    /// was given.
    fn embed(
        folder: &Path,
        model: &str,
        texts: &[String],
        stop_at: usize,
    ) -> (Result<Vec<f32>>, usize) {
        let (calls, asked) = (Cell::new(0), Cell::new(0));
        let encode = |_: TextKind, texts: &[&str]| {
            calls.set(calls.get() + 1);
            if calls.get() >= stop_at {
                return Err(Error::EmbeddingNotFinite);
            }
            asked.set(asked.get() + texts.len());
            Ok(texts.iter().flat_map(|text| [text.len() as f32, 1.0]).collect())
        };
        let cache = EmbeddingCache {
            folder: folder.into(),
            model: model.into(),
            hidden: HIDDEN,
            encode: &encode,
            progress: &Silent,
        };
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        (cache.embed("passages", TextKind::Passage, &texts), asked.get())
    }

    fn texts(count: usize) -> Vec<String> {
        (0..count).map(|number| "x".repeat(number % 13)).collect()
    }

    #[test]
    fn a_stopped_run_loses_one_shard_at_most() {
        let folder = tempfile::tempdir().unwrap();
        let texts = texts(2 * SHARD + 10);
        assert!(embed(folder.path(), "m", &texts, 3).0.is_err());
        let (embeddings, asked) = embed(folder.path(), "m", &texts, usize::MAX);
        assert_eq!(asked, 10);
        let (at_once, asked) = embed(tempfile::tempdir().unwrap().path(), "m", &texts, usize::MAX);
        assert_eq!(asked, texts.len());
        assert_eq!(embeddings.unwrap(), at_once.unwrap());
    }

    #[test]
    fn a_shard_of_another_model_other_texts_or_half_a_shard_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let mut texts = texts(SHARD + 10);
        assert_eq!(embed(folder.path(), "m", &texts, usize::MAX).1, SHARD + 10);
        assert_eq!(embed(folder.path(), "m", &texts, usize::MAX).1, 0);
        texts[SHARD].push('y');
        assert_eq!(embed(folder.path(), "m", &texts, usize::MAX).1, 10);
        assert_eq!(embed(folder.path(), "other", &texts, usize::MAX).1, SHARD + 10);
        let path = folder.path().join("passages-00001.safetensors");
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 4]).unwrap();
        assert_eq!(embed(folder.path(), "other", &texts, usize::MAX).1, 10);
        texts.truncate(5);
        embed(folder.path(), "other", &texts, usize::MAX).0.unwrap();
        assert!(!path.exists());
    }
}
