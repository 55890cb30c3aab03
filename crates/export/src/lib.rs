//! Writes a checkpoint as a folder that transformers, sentence-transformers and
//! text-embeddings-inference load as it is. They compute the same logits as Whetstone.

mod card;
mod checkpoint;
mod config;
mod error;
mod tokenizer;
mod weights;

pub use error::{Error, Result};

use checkpoint::Checkpoint;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use whetstone_model::{CrossEncoder, DeviceName, Engine};
use whetstone_records::{AtomicFile, AtomicFolder, Manifest, ModelDir, Outcome, Stage};

/// Writes the best step of a run folder, or the given step folder, as the model folder `out`.
///
/// # Errors
/// `checkpoint` is incomplete or something else, or `out` exists and no export made it.
pub fn export(checkpoint: &Path, out: &Path) -> Result<Manifest> {
    let checkpoint = Checkpoint::open(checkpoint)?;
    let inputs = checkpoint.digests()?;
    let stage = |folder: &Path| Stage::new("export", folder, &(), inputs.clone());
    if let Some(manifest) = stage(out).up_to_date() {
        AtomicFolder::tidy(out)?;
        return Ok(manifest);
    }
    // The loader used for scoring must accept the checkpoint before anything is written.
    CrossEncoder::load(
        &checkpoint.folder,
        Some(checkpoint.max_seq_tokens),
        &Engine::open(DeviceName::Cpu)?,
    )?;
    let folder = AtomicFolder::create(out, "export")?;
    let started = stage(folder.path());
    let files = write(&checkpoint, folder.path())?;
    let counts = BTreeMap::from([
        ("step".to_owned(), checkpoint.step as u64),
        ("max-seq-tokens".to_owned(), checkpoint.max_seq_tokens as u64),
    ]);
    let mut notes = vec![format!("from `{}`", checkpoint.folder.display())];
    if checkpoint.step == 0 && checkpoint.dev_ndcg_at_10()?.is_some() {
        notes.push("training brought nothing on dev: these are the base model's weights".into());
    }
    let manifest = started.finish(&files, Outcome { counts, notes, ..Outcome::default() })?;
    folder.commit()?;
    Ok(manifest)
}

/// Writes every file of the model folder. Returns their names.
fn write(checkpoint: &Checkpoint, out: &Path) -> Result<Vec<&'static str>> {
    let tokens = checkpoint.max_seq_tokens;
    let family = checkpoint.family()?;
    let dir = ModelDir::new(out);
    weights::write(&ModelDir::new(&checkpoint.folder).weights(), &dir.weights())?;
    write_json(&dir.config(), &config::exported(checkpoint.base_config()?, family))?;
    // sentence-transformers reads it if there is a modules.json. The others read config.json.
    write_json(&dir.sentence_transformers(), &config::sentence_transformers())?;
    // text-embeddings-inference refuses this file without the key.
    write_json(&dir.sentence_config(), &json!({ "max_seq_length": tokens }))?;
    tokenizer::write(&checkpoint.folder, out, tokens, &family.export)?;
    AtomicFile::write_all_to(&dir.card(), card::text(checkpoint)?.as_bytes())?;
    let mut files = vec![
        ModelDir::WEIGHTS,
        ModelDir::CONFIG,
        ModelDir::SENTENCE_TRANSFORMERS,
        ModelDir::SENTENCE_CONFIG,
        ModelDir::TOKENIZER,
        ModelDir::TOKENIZER_CONFIG,
        ModelDir::SPECIAL_TOKENS,
        ModelDir::CARD,
    ];
    if dir.vocabulary().exists() {
        files.push(ModelDir::VOCABULARY);
    }
    Ok(files)
}

fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<()> {
    let text = serde_json::to_vec_pretty(value).expect("plain JSON values always serialise");
    Ok(AtomicFile::write_all_to(path, &text)?)
}
