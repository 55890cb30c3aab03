//! Checks that a folder is a model: Hugging Face's files, complete.

use crate::error::{Error, Result};
use serde::Deserialize;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use whetstone_records::{Error as RecordsError, ModelDir, read_text, sha256_file};

/// Returns the SHA-256 of each file of a model, by name.
pub fn digests(model: &ModelDir) -> Result<Vec<(String, String)>> {
    let digest = |name: String| Ok((sha256_file(&model.path(&name))?, name));
    let digests = model.files()?.into_iter().map(digest).collect::<Result<Vec<_>>>()?;
    Ok(digests.into_iter().map(|(digest, name)| (name, digest)).collect())
}

/// Copies the files of a model from one folder into another.
pub fn copy(from: &ModelDir, to: &Path) -> Result<()> {
    check(from)?;
    from.files()?.iter().try_for_each(|name| copy_file(&from.path(name), to, name))
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
    let missing = missing(model)?;
    if let Some(first) = missing.first() {
        let others: &[&str] = match first.as_str() {
            ModelDir::WEIGHTS => &ModelDir::OTHER_WEIGHTS,
            ModelDir::TOKENIZER => &ModelDir::SENTENCE_PIECE,
            _ => &[],
        };
        let instead = others.iter().map(|name| model.path(name)).find(|path| path.is_file());
        return Err(Error::NotAModel { folder: model.root().into(), missing, instead });
    }
    let files = model.files()?;
    for name in files.iter().filter(|name| name.ends_with(".json")) {
        let path = model.path(name);
        if let Err(source) = serde_json::from_str::<serde::de::IgnoredAny>(&read_text(&path)?) {
            return Err(Error::Json { path, source });
        }
    }
    let is_weights = |name: &&String| name.ends_with(".safetensors");
    files.iter().filter(is_weights).try_for_each(|name| check_weights(&model.path(name)))
}

/// Returns the files that a folder needs and does not have.
fn missing(model: &ModelDir) -> Result<Vec<String>> {
    let needed = std::iter::once(ModelDir::CONFIG.to_owned());
    let needed = needed.chain(model.weight_files()?);
    let needed = needed.chain(model.tokenizer_files().iter().map(|&name| name.to_owned()));
    Ok(needed.filter(|name| !model.path(name).is_file()).collect())
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
        assert_eq!(copied.files().unwrap(), model.files().unwrap());
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
        assert!(hint.contains("torch.load(") && hint.contains("pytorch_model.bin'"), "{hint}");
    }

    #[test]
    fn a_folder_with_a_sentence_piece_model_alone_says_how_to_write_tokenizer_json() {
        use whetstone_records::Hint;
        let folder = tempfile::tempdir().unwrap();
        let model = model(folder.path(), &weights(8));
        fs::rename(model.tokenizer(), folder.path().join("sentencepiece.bpe.model")).unwrap();
        let error = check(&model).unwrap_err();
        assert!(error.to_string().ends_with("is no model: it has no tokenizer.json"), "{error}");
        let hint = error.hint().unwrap();
        assert!(hint.contains("from transformers import AutoTokenizer"), "{hint}");
    }

    #[test]
    fn weights_in_several_files_are_a_model_once_all_are_there() {
        let folder = tempfile::tempdir().unwrap();
        let model = model(folder.path(), &weights(8));
        fs::rename(model.weights(), folder.path().join("a.safetensors")).unwrap();
        let index = r#"{"weight_map": {"x": "a.safetensors", "y": "b.safetensors"}}"#;
        fs::write(model.weights_index(), index).unwrap();
        let message = check(&model).unwrap_err().to_string();
        assert!(message.ends_with("it has no b.safetensors"), "{message}");
        fs::write(folder.path().join("b.safetensors"), &weights(8)[..60]).unwrap();
        assert!(check(&model).unwrap_err().to_string().contains("b.safetensors`"));
        fs::write(folder.path().join("b.safetensors"), weights(8)).unwrap();
        let to = tempfile::tempdir().unwrap();
        copy(&model, to.path()).unwrap();
        check(&ModelDir::new(to.path())).unwrap();
    }

    #[test]
    fn a_vocabulary_takes_the_place_of_tokenizer_json() {
        let folder = tempfile::tempdir().unwrap();
        let model = model(folder.path(), &weights(8));
        fs::remove_file(model.tokenizer()).unwrap();
        fs::write(model.bpe_vocabulary(), "{}").unwrap();
        assert!(check(&model).unwrap_err().to_string().ends_with("has no tokenizer.json"));
        fs::write(model.merges(), "").unwrap();
        check(&model).unwrap();
    }
}
