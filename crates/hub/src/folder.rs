//! Checks that a folder is a model: Hugging Face's files, complete.

use crate::error::{Error, Result};
use serde::Deserialize;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use whetstone_records::{Error as RecordsError, ModelDir, read_text, sha256_file};

/// Weights of other tools, and of models in several files.
const OTHER_WEIGHTS: [&str; 4] =
    ["pytorch_model.bin", "tf_model.h5", "flax_model.msgpack", ModelDir::WEIGHTS_INDEX];

/// Returns the SHA-256 of each file of a model, by name.
pub fn digests(model: &ModelDir) -> Result<Vec<(String, String)>> {
    model.files().map(|name| Ok((name.to_owned(), sha256_file(&model.path(name))?))).collect()
}

/// Copies the files of a model from one folder into another.
pub fn copy(from: &ModelDir, to: &Path) -> Result<()> {
    check(from)?;
    from.files().try_for_each(|name| copy_file(&from.path(name), to, name))
}

/// Copies a file to its place below a folder.
pub fn copy_file(from: &Path, to: &Path, name: &str) -> Result<()> {
    fs::copy(from, place(to, name)?).map_err(RecordsError::io("copy", from))?;
    Ok(())
}

/// Returns the path of a model's file, and makes its folder.
pub fn place(folder: &Path, name: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    let parent = path.parent().unwrap_or(folder);
    fs::create_dir_all(parent).map_err(RecordsError::io("create folder", parent))?;
    Ok(path)
}

/// Refuses a folder with a missing or incomplete file.
pub fn check(model: &ModelDir) -> Result<()> {
    let is_missing = |name: &&str| !model.path(name).is_file();
    let missing: Vec<_> = ModelDir::NEEDED.into_iter().filter(is_missing).collect();
    if !missing.is_empty() {
        let lacks_weights = missing.contains(&ModelDir::WEIGHTS);
        let other_weights =
            OTHER_WEIGHTS.into_iter().find(|name| lacks_weights && model.path(name).exists());
        return Err(Error::NotAModel { folder: model.root().into(), missing, other_weights });
    }
    for name in model.files().filter(|name| name.ends_with(".json")) {
        let path = model.path(name);
        if let Err(source) = serde_json::from_str::<serde::de::IgnoredAny>(&read_text(&path)?) {
            return Err(Error::Json { path, source });
        }
    }
    check_weights(&model.weights())
}

/// The part of a tensor's header entry that says where its bytes end.
#[derive(Deserialize)]
struct Entry {
    data_offsets: Option<(u64, u64)>,
}

/// Refuses a safetensors file whose size differs from its header's.
fn check_weights(path: &Path) -> Result<()> {
    let mut file = File::open(path).map_err(RecordsError::io("read", path))?;
    let found = file.metadata().map_err(RecordsError::io("read", path))?.len();
    match stated_bytes(&mut file, found) {
        Some(stated) if stated == found => Ok(()),
        Some(stated) => Err(Error::HalfWeights { path: path.into(), found, stated }),
        None => Err(Error::NotSafetensors { path: path.into() }),
    }
}

/// The file size according to the header: eight bytes for its length, the header, the tensors.
fn stated_bytes(file: &mut File, found: u64) -> Option<u64> {
    let mut length = [0u8; 8];
    file.read_exact(&mut length).ok()?;
    let length = u64::from_le_bytes(length);
    if length > found {
        return None;
    }
    let mut header = vec![0u8; length as usize];
    file.read_exact(&mut header).ok()?;
    let entries: HashMap<String, Entry> = serde_json::from_slice(&header).ok()?;
    let end = entries.values().filter_map(|entry| entry.data_offsets).map(|(_, end)| end).max()?;
    8u64.checked_add(length)?.checked_add(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(folder: &Path, weights: &[u8]) -> ModelDir {
        let model = ModelDir::new(folder);
        fs::write(model.config(), "{}").unwrap();
        fs::write(model.tokenizer(), "{}").unwrap();
        fs::write(model.weights(), weights).unwrap();
        model
    }

    fn weights(values: usize) -> Vec<u8> {
        let header = br#"{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header);
        bytes.extend(std::iter::repeat_n(0u8, values));
        bytes
    }

    #[test]
    fn a_whole_folder_is_a_model() {
        let folder = tempfile::tempdir().unwrap();
        check(&model(folder.path(), &weights(8))).unwrap();
    }

    #[test]
    fn half_a_weights_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for weights in
            [&weights(8)[..50], &weights(7), &weights(9), b"", b"<html>no such file</html>"]
        {
            let message = check(&model(folder.path(), weights)).unwrap_err().to_string();
            assert!(
                message.contains("is truncated") || message.contains("is not whole: it has"),
                "{message}"
            );
        }
    }

    #[test]
    fn half_a_file_of_json_is_refused_the_optional_ones_too() {
        let folder = tempfile::tempdir().unwrap();
        let model = model(folder.path(), &weights(8));
        for name in [ModelDir::POOLING, ModelDir::TOKENIZER] {
            fs::write(place(folder.path(), name).unwrap(), "{\"model\": {").unwrap();
            let message = check(&model).unwrap_err().to_string();
            assert!(message.contains(&format!("{name}` is not whole JSON")), "{message}");
            fs::write(model.path(name), "{}").unwrap();
        }
    }

    #[test]
    fn a_copy_has_the_files_in_their_folders() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let model = model(from.path(), &weights(8));
        fs::write(place(from.path(), ModelDir::POOLING).unwrap(), "{\"a\": 1}").unwrap();
        fs::write(from.path().join("thesis.tex"), "x").unwrap();
        copy(&model, to.path()).unwrap();
        let copied = ModelDir::new(to.path());
        assert!(copied.files().eq(model.files()));
        assert_eq!(fs::read_to_string(copied.pooling()).unwrap(), "{\"a\": 1}");
        assert!(!to.path().join("thesis.tex").exists());
    }

    #[test]
    fn a_model_without_safetensors_is_refused_with_the_reason() {
        use whetstone_records::Hint;
        let folder = tempfile::tempdir().unwrap();
        let model = model(folder.path(), b"");
        fs::rename(model.weights(), folder.path().join("pytorch_model.bin")).unwrap();
        let hint = check(&model).unwrap_err().hint().unwrap();
        assert!(hint.contains("not pytorch_model.bin"), "{hint}");
    }
}
