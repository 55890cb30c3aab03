//! Writes the files that transformers, sentence-transformers and text-embeddings-inference load, and
//! PyLate those of a late interaction.

mod config;
mod tokenizer;
mod weights;

pub use tokenizer::read_object;

use crate::checkpoint::Checkpoint;
use crate::error::Result;
use serde_json::json;
use std::path::Path;
use whetstone_records::{AtomicFile, ModelDir, read_bytes, write_json};

/// Writes weights, config and tokenizer into a folder. Returns the files' names.
pub fn write(checkpoint: &Checkpoint, out: &Path) -> Result<Vec<&'static str>> {
    let tokens = checkpoint.max_seq_tokens;
    let family = checkpoint.family()?;
    let dir = ModelDir::new(out);
    weights::write(&ModelDir::new(&checkpoint.folder).weights(), &dir.weights())?;
    let late = checkpoint.late_interaction_files();
    if late.is_empty() {
        write_json(&dir.config(), &config::exported(checkpoint.base_config()?, family))?;
        // sentence-transformers reads it if there is a modules.json. The others read config.json.
        write_json(&dir.sentence_transformers(), &config::sentence_transformers())?;
    } else {
        write_json(&dir.config(), &config::of_encoder(checkpoint.base_config()?, family))?;
        for file in &late {
            let bytes = read_bytes(&checkpoint.folder.join(file))?;
            AtomicFile::write_all_to(&dir.path(file), &bytes)?;
        }
    }
    // text-embeddings-inference refuses this file without the key.
    write_json(&dir.sentence_config(), &json!({ "max_seq_length": tokens }))?;
    tokenizer::write(&checkpoint.folder, out, tokens, &family.export)?;
    let mut files = vec![
        ModelDir::WEIGHTS,
        ModelDir::CONFIG,
        ModelDir::SENTENCE_TRANSFORMERS,
        ModelDir::SENTENCE_CONFIG,
        ModelDir::TOKENIZER,
        ModelDir::TOKENIZER_CONFIG,
        ModelDir::SPECIAL_TOKENS,
    ];
    files.extend(late.into_iter().filter(|file| *file != ModelDir::SENTENCE_TRANSFORMERS));
    if dir.vocabulary().exists() {
        files.push(ModelDir::VOCABULARY);
    }
    Ok(files)
}
