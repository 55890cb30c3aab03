//! What makes a folder a model: Hugging Face's files, whole.

use crate::failure::Problem;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use whetstone_records::{read_text, sha256_file};

pub const WEIGHTS: &str = "model.safetensors";
pub const NEEDED: [&str; 3] = ["config.json", WEIGHTS, "tokenizer.json"];
/// Taken where they are.
pub const OPTIONAL: [&str; 4] =
    ["tokenizer_config.json", "special_tokens_map.json", "vocab.txt", "sentence_bert_config.json"];

/// Returns the names of a model's files that are in `folder`.
pub fn files(folder: &Path) -> impl Iterator<Item = &'static str> {
    NEEDED.into_iter().chain(OPTIONAL).filter(|name| folder.join(name).is_file())
}

/// Returns the SHA-256 of each file of a model, by name.
pub fn digests(folder: &Path) -> Result<Vec<(String, String)>> {
    files(folder).map(|name| Ok((name.to_owned(), sha256_file(&folder.join(name))?))).collect()
}

/// Copies the files of a model from one folder into another.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    check(from)?;
    for name in files(from) {
        let path = from.join(name);
        fs::copy(&path, to.join(name))
            .with_context(|| format!("cannot copy `{}`", path.display()))?;
    }
    Ok(())
}

/// Refuses a folder that misses a file or holds a half one.
pub fn check(folder: &Path) -> Result<()> {
    let missing: Vec<_> = NEEDED.into_iter().filter(|name| !folder.join(name).is_file()).collect();
    if missing.is_empty() {
        for name in ["config.json", "tokenizer.json"] {
            let path = folder.join(name);
            let broken = |source| {
                let message = format!("`{}` is not whole JSON", path.display());
                Problem::new(message, "get that file again").because(source)
            };
            serde_json::from_str::<serde::de::IgnoredAny>(&read_text(&path)?).map_err(broken)?;
        }
        return check_weights(&folder.join(WEIGHTS));
    }
    let other_weights =
        ["pytorch_model.bin", "tf_model.h5", "flax_model.msgpack", "model.safetensors.index.json"];
    let other = other_weights
        .into_iter()
        .find(|name| missing.contains(&WEIGHTS) && folder.join(name).exists());
    bail!(Problem::new(
        format!("`{}` is no model: it has no {}", folder.display(), missing.join(", ")),
        match other {
            Some(name) => format!(
                "only models in one safetensors file are read, not {name}; convert it first"
            ),
            None => format!("place {} of the model in that folder", missing.join(", ")),
        }
    ))
}

/// The part of a tensor's entry in the header that says where its bytes end.
#[derive(Deserialize)]
struct Entry {
    data_offsets: Option<(u64, u64)>,
}

/// Refuses a safetensors file whose size is not the one that its own header states.
fn check_weights(path: &Path) -> Result<()> {
    let mut file = File::open(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let found = file.metadata()?.len();
    let stated = stated_bytes(&mut file, found);
    if stated != Some(found) {
        let path = path.display();
        bail!(Problem::new(
            match stated {
                Some(stated) =>
                    format!("`{path}` is not whole: it has {found} bytes, its header says {stated}"),
                None => format!("`{path}` is truncated or no safetensors file"),
            },
            "get that file again; if `whetstone pull` made the folder, run it with --force"
        ));
    }
    Ok(())
}

/// The size of a whole file according to the header: eight bytes of its length, the header, the
/// tensors.
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

    fn model(folder: &Path, weights: &[u8]) {
        fs::write(folder.join("config.json"), "{}").unwrap();
        fs::write(folder.join("tokenizer.json"), "{}").unwrap();
        fs::write(folder.join(WEIGHTS), weights).unwrap();
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
        model(folder.path(), &weights(8));
        check(folder.path()).unwrap();
    }

    #[test]
    fn half_a_weights_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for weights in
            [&weights(8)[..50], &weights(7), &weights(9), b"", b"<html>no such file</html>"]
        {
            model(folder.path(), weights);
            let message = check(folder.path()).unwrap_err().to_string();
            assert!(
                message.contains("is truncated") || message.contains("is not whole: it has"),
                "{message}"
            );
        }
    }

    #[test]
    fn half_a_tokenizer_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        model(folder.path(), &weights(8));
        fs::write(folder.path().join("tokenizer.json"), "{\"model\": {").unwrap();
        assert!(
            check(folder.path())
                .unwrap_err()
                .to_string()
                .contains("tokenizer.json` is not whole JSON")
        );
    }

    #[test]
    fn a_model_without_safetensors_is_refused_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        model(folder.path(), b"");
        fs::rename(folder.path().join(WEIGHTS), folder.path().join("pytorch_model.bin")).unwrap();
        let error = check(folder.path()).unwrap_err();
        assert!(error.downcast_ref::<Problem>().unwrap().hint.contains("not pytorch_model.bin"));
    }
}
