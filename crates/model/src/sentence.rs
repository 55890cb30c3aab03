//! Reads what sentence-transformers' files say about a bi-encoder.

use crate::error::{Error, Result, refuse};
use crate::file;
use crate::spec::Pooling;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::Path;
use whetstone_records::ModelDir;

/// Texts are cut here if the model states no length of its own. Bi-encoders are trained on short
/// texts, and all-MiniLM-L6-v2 has this limit in sentence-transformers.
const MAX_SEQ_TOKENS: usize = 256;

#[derive(Debug, PartialEq)]
pub(crate) struct SentenceConfig {
    pub pooling: Pooling,
    /// The prompt before a query.
    pub query_prompt: String,
    /// The prompt before a passage.
    pub passage_prompt: String,
    pub max_seq_tokens: usize,
}

/// An entry of modules.json.
#[derive(Deserialize)]
pub(crate) struct Module {
    /// The folder of its files.
    #[serde(default)]
    pub path: String,
    #[serde(rename = "type")]
    kind: String,
}

/// The part of config_sentence_transformers.json that concerns a bi-encoder.
#[derive(Default, Deserialize)]
struct Settings {
    prompts: Option<BTreeMap<String, String>>,
    default_prompt_name: Option<String>,
    similarity_fn_name: Option<String>,
}

impl SentenceConfig {
    /// Reads a model folder. Without the files, it takes the mean of the tokens and no prompts.
    ///
    /// # Errors
    /// A file that is damaged; a module, a pooling or a similarity that is not supported.
    pub fn read(model_dir: &Path) -> Result<Self> {
        let dir = ModelDir::new(model_dir);
        let settings_path = dir.sentence_transformers();
        let settings: Settings = json(&settings_path)?.unwrap_or_default();
        let modules: Option<Vec<Module>> = json(&dir.modules())?;
        if let Some(modules) = &modules {
            check_modules(&dir.modules(), modules)?;
            check_similarity(&settings_path, &settings, modules)?;
        }
        let pooling_path = dir.pooling();
        let pooling = match json::<Map<String, Value>>(&pooling_path)? {
            Some(fields) => {
                let prompted = !settings.prompts.iter().flatten().all(|(_, text)| text.is_empty());
                if prompted && fields.get("include_prompt") == Some(&Value::Bool(false)) {
                    return refuse(&pooling_path, "include_prompt", "true", "false");
                }
                pooling_of(&pooling_path, &fields)?
            }
            // modules.json names this file, but it was not pulled.
            None if modules.is_some() => {
                let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
                return Err(Error::io("read", &pooling_path)(missing));
            }
            None => Pooling::Mean,
        };
        Ok(Self {
            pooling,
            query_prompt: settings.prompt(&settings_path, &["query"])?,
            passage_prompt: settings.prompt(&settings_path, &["document", "passage", "corpus"])?,
            max_seq_tokens: match dir.sentence_config().exists() {
                true => usize::MAX,
                false => MAX_SEQ_TOKENS,
            },
        })
    }
}

impl Settings {
    /// The first of these prompts that the model has, else its default one, else none. This follows
    /// sentence-transformers' `encode_query` and `encode_document`.
    fn prompt(&self, path: &Path, names: &[&str]) -> Result<String> {
        let prompts = self.prompts.as_ref();
        let named = |name: &str| prompts.and_then(|prompts| prompts.get(name)).cloned();
        if let Some(prompt) = names.iter().find_map(|name| named(name)) {
            return Ok(prompt);
        }
        match &self.default_prompt_name {
            None => Ok(String::new()),
            Some(name) => named(name)
                .map_or_else(|| refuse(path, "default_prompt_name", "one of `prompts`", name), Ok),
        }
    }
}

fn check_modules(path: &Path, modules: &[Module]) -> Result<()> {
    let expected = "Transformer, Pooling or Normalize";
    for module in modules {
        if !["Transformer", "Pooling", "Normalize"].contains(&module.name()) {
            return refuse(path, "type", expected, module.name());
        }
    }
    match modules.iter().any(|module| module.name() == "Pooling") {
        true => Ok(()),
        false => refuse(path, "type", "Pooling after a Transformer", "Transformer alone"),
    }
}

impl Module {
    /// `Pooling` of `sentence_transformers.models.Pooling`.
    pub fn name(&self) -> &str {
        self.kind.rsplit('.').next().unwrap_or(&self.kind)
    }
}

/// Vectors always get length 1. This changes no order by cosine, and none for a model that
/// normalises itself.
fn check_similarity(path: &Path, settings: &Settings, modules: &[Module]) -> Result<()> {
    let is_normalized = modules.iter().any(|module| module.name() == "Normalize");
    match settings.similarity_fn_name.as_deref() {
        Some(name) if !is_normalized && name != "cosine" => {
            refuse(path, "similarity_fn_name", "cosine, or the model must Normalize", name)
        }
        _ => Ok(()),
    }
}

/// Reads `pooling_mode`, or the older `pooling_mode_*` switches.
fn pooling_of(path: &Path, fields: &Map<String, Value>) -> Result<Pooling> {
    let modes: Vec<&str> = match fields.get("pooling_mode") {
        Some(Value::String(mode)) => vec![mode],
        Some(Value::Array(modes)) => modes.iter().filter_map(Value::as_str).collect(),
        _ => fields
            .iter()
            .filter(|(_, value)| **value == Value::Bool(true))
            .filter_map(|(key, _)| key.strip_prefix("pooling_mode_"))
            .collect(),
    };
    match modes[..] {
        [] | ["mean" | "mean_tokens"] => Ok(Pooling::Mean),
        ["cls" | "cls_token"] => Ok(Pooling::FirstToken),
        _ => refuse(path, "pooling_mode", "cls or mean", modes.join(", ")),
    }
}

/// Returns the content of a file; None if there is no file.
fn json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    match file::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|source| Error::Json { path: path.into(), source }),
        Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
