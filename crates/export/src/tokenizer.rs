use crate::error::{Error, Result};
use serde_json::{Map, Value, json};
use std::path::Path;
use tokenizers::Tokenizer;
use whetstone_records::AtomicFile;

/// Writes the tokenizer's files. Truncation and padding are left to the caller, to whom the longest
/// pair is stated as `model_max_length`: what a base model's tokenizer.json asks for (128 tokens
/// with MiniLM) is not ours.
pub fn write(from: &Path, out: &Path, max_seq_tokens: usize) -> Result<()> {
    let path = from.join("tokenizer.json");
    let unusable = |source| Error::Tokenizer { path: path.clone(), source };
    let mut tokenizer = Tokenizer::from_file(&path).map_err(unusable)?;
    tokenizer.with_padding(None);
    tokenizer.with_truncation(None).map_err(unusable)?;
    let text = tokenizer.to_string(true).map_err(unusable)?;
    AtomicFile::write_all_to(&out.join("tokenizer.json"), text.as_bytes())?;

    let config = config(
        read_object(&from.join("tokenizer_config.json"))?.unwrap_or_default(),
        max_seq_tokens,
    );
    crate::write_json(&out.join("tokenizer_config.json"), &config)?;
    let special =
        read_object(&from.join("special_tokens_map.json"))?.unwrap_or_else(bert_special_tokens);
    crate::write_json(&out.join("special_tokens_map.json"), &special)?;
    let vocabulary = from.join("vocab.txt");
    if vocabulary.exists() {
        let bytes = std::fs::read(&vocabulary).map_err(Error::io("read", &vocabulary))?;
        AtomicFile::write_all_to(&out.join("vocab.txt"), &bytes)?;
    }
    Ok(())
}

/// Returns `tokenizer_config.json` with our longest pair.
fn config(mut config: Map<String, Value>, max_seq_tokens: usize) -> Map<String, Value> {
    // Left by the trainers of base models: paths of theirs, and lengths that would win over
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
    config.entry("tokenizer_class").or_insert(json!("BertTokenizer"));
    for (name, token) in bert_special_tokens() {
        config.entry(name).or_insert(token);
    }
    config
}

fn bert_special_tokens() -> Map<String, Value> {
    let tokens = [
        ("unk", "[UNK]"),
        ("sep", "[SEP]"),
        ("pad", "[PAD]"),
        ("cls", "[CLS]"),
        ("mask", "[MASK]"),
    ];
    tokens.into_iter().map(|(name, token)| (format!("{name}_token"), json!(token))).collect()
}

/// Returns the JSON object in a file, None where there is no file.
fn read_object(path: &Path) -> Result<Option<Map<String, Value>>> {
    if !path.exists() {
        return Ok(None);
    }
    let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|source| Error::Json { path: path.into(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_pair_is_ours_not_the_base_models() {
        let base = json!({ "model_max_length": 512, "max_length": 128, "tokenizer_class": "BertTokenizerFast" });
        let Value::Object(base) = base else { unreachable!("an object is given") };
        let config = config(base, 256);
        assert_eq!(config["model_max_length"], 256);
        assert!(!config.contains_key("max_length"));
        assert_eq!(config["tokenizer_class"], "BertTokenizerFast");
        assert_eq!(config["pad_token"], "[PAD]");
    }
}
