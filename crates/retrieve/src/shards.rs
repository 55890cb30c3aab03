//! Files of vectors, each with a digest of what its vectors were made from.

use crate::error::{Error, Result};
use safetensors::{SafeTensors, tensor::TensorView};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use whetstone_records::{AtomicFile, digest_of_texts};

/// The key of the digest in a file's header.
const DIGEST: &str = "digest";

/// The files of a model's vectors, by role (`passages`, `queries`) and number.
pub struct Shards {
    pub folder: PathBuf,
    /// Digest of the model's files.
    pub model: String,
}

impl Shards {
    pub fn path(&self, role: &str, number: usize) -> PathBuf {
        self.folder.join(format!("{role}-{number:05}.safetensors"))
    }

    /// Returns the digest of the model and of the texts of a shard.
    pub fn digest(&self, texts: &[&str]) -> String {
        digest_of_texts(&self.model, texts)
    }

    /// Reads a shard, unless it is not there, is damaged, or was made from something else.
    pub fn read<T>(
        path: &Path,
        digest: &str,
        read: impl FnOnce(&SafeTensors) -> Option<T>,
    ) -> Option<T> {
        let bytes = std::fs::read(path).ok()?;
        let (_, header) = SafeTensors::read_metadata(&bytes).ok()?;
        if header.metadata().as_ref()?.get(DIGEST)? != digest {
            return None;
        }
        read(&SafeTensors::deserialize(&bytes).ok()?)
    }

    pub fn write(path: &Path, digest: &str, tensors: Vec<(&str, TensorView)>) -> Result<()> {
        let header = HashMap::from([(DIGEST.to_owned(), digest.to_owned())]);
        let file = safetensors::serialize(tensors, Some(header)).expect("one small header");
        Ok(AtomicFile::write_all_to(path, &file)?)
    }

    /// Removes the shards of a larger collection, from this number on.
    pub fn remove_from(&self, role: &str, first: usize) -> Result<()> {
        for number in first.. {
            let path = self.path(role, number);
            match std::fs::remove_file(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => break,
                Err(source) => {
                    let action = "remove";
                    return Err(whetstone_records::Error::Io { action, path, source }.into());
                }
            }
        }
        Ok(())
    }
}

/// Refuses vectors that are no numbers, so that none is kept.
pub fn check_finite(values: &[f32]) -> Result<()> {
    match values.iter().all(|value| value.is_finite()) {
        true => Ok(()),
        false => Err(Error::EmbeddingNotFinite),
    }
}
