//! Writes the tokenizer's files of an exported folder.

use crate::error::{Error, Result};
use serde_json::{Map, Value, json};
use std::path::Path;
use whetstone_model::{Export, read_tokenizer};
use whetstone_records::{AtomicFile, ModelDir, read_bytes, write_json};

/// Writes the tokenizer's files without truncation and padding, which are the caller's choice.
/// `model_max_length` states the longest pair. The base model's own limit (128 tokens with MiniLM)
/// does not apply.
pub fn write(from: &Path, out: &Path, max_seq_tokens: usize, export: &Export) -> Result<()> {
    let (from, out) = (ModelDir::new(from), ModelDir::new(out));
    let tokenizer = read_tokenizer(from.root())?;
    let path = from.tokenizer();
    let unusable = |source| Error::Tokenizer { path: path.clone(), source };
    let text = tokenizer.to_string(true).map_err(unusable)?;
    AtomicFile::write_all_to(&out.tokenizer(), text.as_bytes())?;

    let config =
        config(read_object(&from.tokenizer_config())?.unwrap_or_default(), max_seq_tokens, export);
    write_json(&out.tokenizer_config(), &config)?;
    let special =
        read_object(&from.special_tokens())?.unwrap_or_else(|| special_tokens(export).collect());
    write_json(&out.special_tokens(), &special)?;
    let vocabulary = from.vocabulary();
    if vocabulary.exists() {
        let bytes = read_bytes(&vocabulary)?;
        AtomicFile::write_all_to(&out.vocabulary(), &bytes)?;
    }
    Ok(())
}

/// Returns `tokenizer_config.json` with our longest pair.
fn config(
    mut config: Map<String, Value>,
    max_seq_tokens: usize,
    export: &Export,
) -> Map<String, Value> {
    // Trainers of base models leave their own paths here, and lengths that would override
    // model_max_length.
    for key in [
        "name_or_path",
        "special_tokens_map_file",
        "max_length",
        "stride",
        "truncation_strategy",
        "padding",
    ] {
        config.remove(key);
    }
    config.insert("model_max_length".into(), json!(max_seq_tokens));
    config.entry("tokenizer_class").or_insert(json!(export.tokenizer_class));
    for (name, token) in special_tokens(export) {
        config.entry(name).or_insert(token);
    }
    config
}

fn special_tokens(export: &Export) -> impl Iterator<Item = (String, Value)> {
    export.special_tokens.iter().map(|&(key, token)| (key.to_owned(), json!(token)))
}

/// Returns the JSON object in a file; None if there is no such file.
pub fn read_object(path: &Path) -> Result<Option<Map<String, Value>>> {
    if !path.exists() {
        return Ok(None);
    }
    let bytes = read_bytes(path)?;
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|source| Error::Json { path: path.into(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use whetstone_model::Family;

    #[test]
    fn the_longest_pair_is_ours_not_the_base_models() {
        let base = json!({ "model_max_length": 512, "max_length": 128, "tokenizer_class": "BertTokenizerFast" });
        let Value::Object(base) = base else { unreachable!("an object is given") };
        let config = config(base, 256, &Family::named("bert").unwrap().export);
        assert_eq!(config["model_max_length"], 256);
        assert!(!config.contains_key("max_length"));
        assert_eq!(config["tokenizer_class"], "BertTokenizerFast");
        assert_eq!(config["pad_token"], "[PAD]");
    }
}
