//! What the files of a model of late interaction say: those that colbert-ai writes, and PyLate's.

use crate::error::{Error, Result, refuse};
use crate::families::Architecture;
use crate::header;
use crate::sentence::Module;
use crate::weights::PROJECTION;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use whetstone_records::{ModelDir, read_json};

/// The tokens of a query and of a passage, if the model says nothing. These are PyLate's defaults.
const QUERY_TOKENS: usize = 32;
const PASSAGE_TOKENS: usize = 180;
/// The same of a query of an encoder that becomes a late interaction: questions of people fit, and
/// no mask makes a short one longer.
const ENCODER_QUERY_TOKENS: usize = 64;
/// The class that colbert-ai names in config.json.
const COLBERT_CLASS: &str = "HF_ColBERT";
/// Fewer tokens than this leave no room for a text between the special tokens.
pub(super) const FEWEST_TOKENS: usize = 8;

/// What a folder says of its model.
#[derive(Debug, PartialEq)]
pub(crate) struct Settings {
    /// The token after a query's first one, which says that it is a query.
    pub query_marker: Option<String>,
    /// The same of a passage.
    pub passage_marker: Option<String>,
    /// Tokens after which a query is cut, and up to which it is filled with masks.
    pub query_tokens: usize,
    /// Tokens after which a passage is cut.
    pub passage_tokens: usize,
    pub expansion: Expansion,
    /// Tokens of a passage that match nothing.
    pub skipped: Vec<String>,
    /// What stands before every text.
    pub prompt: String,
    pub projection: ProjectionFiles,
}

/// What becomes of a query that is shorter than the model's queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expansion {
    None,
    /// Masks fill it up, whose vectors count too. Attention sees only the query.
    UnseenMasks,
    /// Attention sees the masks as well.
    SeenMasks,
}

/// Where the projection is.
#[derive(Debug, PartialEq)]
pub(crate) enum ProjectionFiles {
    /// There is none: the encoder's own vectors are compared.
    None,
    /// Beside the encoder.
    WithEncoder,
    /// One module after the other: settings and weights.
    Modules(Vec<[PathBuf; 2]>),
}

/// The part of config_sentence_transformers.json that PyLate writes.
#[derive(Default, Deserialize)]
struct PyLate {
    query_prefix: Option<String>,
    document_prefix: Option<String>,
    query_length: Option<usize>,
    document_length: Option<usize>,
    do_query_expansion: Option<bool>,
    attend_to_expansion_tokens: Option<bool>,
    skiplist_words: Option<Vec<String>>,
    prompts: Option<BTreeMap<String, String>>,
    default_prompt_name: Option<String>,
}

/// The part of artifact.metadata that shapes scores.
#[derive(Default, Deserialize)]
struct Artifact {
    query_token_id: Option<String>,
    doc_token_id: Option<String>,
    query_maxlen: Option<usize>,
    doc_maxlen: Option<usize>,
    attend_to_mask_tokens: Option<bool>,
    mask_punctuation: Option<bool>,
    similarity: Option<String>,
    interaction: Option<String>,
}

impl Settings {
    /// Reads a model folder. None if its model is no late interaction.
    ///
    /// # Errors
    /// A file that is damaged, and what no code here computes.
    pub fn read(model_dir: &Path) -> Result<Option<Self>> {
        let dir = ModelDir::new(model_dir);
        let modules: Vec<Module> = read_json(&dir.modules())?.unwrap_or_default();
        let has = |name: &str| modules.iter().any(|module| module.name() == name);
        let settings = if has("Dense") && !has("Pooling") {
            Self::of_pylate(&dir, &modules)?
        } else if !has("Pooling") && is_colbert(&dir)? && has_projection(model_dir)? {
            Self::of_colbert(&dir)?
        } else {
            return Ok(None);
        };
        let path = settings.place(&dir);
        for (key, tokens) in
            [("query length", settings.query_tokens), ("document length", settings.passage_tokens)]
        {
            if tokens < FEWEST_TOKENS {
                return refuse(&path, key, "at least 8 tokens", tokens);
            }
        }
        Ok(Some(settings))
    }

    fn of_colbert(dir: &ModelDir) -> Result<Self> {
        let path = dir.artifact();
        let artifact: Artifact = read_json(&path)?.unwrap_or_default();
        for (key, expected, value) in [
            ("similarity", "cosine", &artifact.similarity),
            ("interaction", "colbert", &artifact.interaction),
        ] {
            if let Some(value) = value.as_deref().filter(|value| *value != expected) {
                return refuse(&path, key, expected, value);
            }
        }
        let skips = artifact.mask_punctuation.unwrap_or(true);
        Ok(Self {
            query_marker: Some(artifact.query_token_id.unwrap_or("[unused0]".into())),
            passage_marker: Some(artifact.doc_token_id.unwrap_or("[unused1]".into())),
            query_tokens: artifact.query_maxlen.unwrap_or(QUERY_TOKENS),
            passage_tokens: artifact.doc_maxlen.unwrap_or(PASSAGE_TOKENS),
            expansion: Expansion::of(true, artifact.attend_to_mask_tokens),
            skipped: if skips { punctuation() } else { vec![] },
            prompt: String::new(),
            projection: ProjectionFiles::WithEncoder,
        })
    }

    fn of_pylate(dir: &ModelDir, modules: &[Module]) -> Result<Self> {
        let file: PyLate = read_json(&dir.sentence_transformers())?.unwrap_or_default();
        let marker = |stated: Option<String>, default: &str| {
            Some(stated.unwrap_or(default.into())).filter(|marker| !marker.is_empty())
        };
        let prompt = file.default_prompt_name.zip(file.prompts);
        let prompt = prompt.and_then(|(name, mut prompts)| prompts.remove(&name));
        Ok(Self {
            query_marker: marker(file.query_prefix, "[Q] "),
            passage_marker: marker(file.document_prefix, "[D] "),
            query_tokens: file.query_length.unwrap_or(QUERY_TOKENS),
            passage_tokens: file.document_length.unwrap_or(PASSAGE_TOKENS),
            expansion: Expansion::of(
                file.do_query_expansion.unwrap_or(true),
                file.attend_to_expansion_tokens,
            ),
            skipped: file.skiplist_words.unwrap_or_else(punctuation),
            prompt: prompt.unwrap_or_default(),
            projection: ProjectionFiles::of_modules(dir, modules)?,
        })
    }

    /// The file that says most of this, for errors.
    fn place(&self, dir: &ModelDir) -> PathBuf {
        match self.projection {
            ProjectionFiles::None => dir.config(),
            ProjectionFiles::WithEncoder => dir.artifact(),
            ProjectionFiles::Modules(_) => dir.sentence_transformers(),
        }
    }

    /// The same of a folder that must hold a late interaction.
    pub fn of_late(model_dir: &Path) -> Result<Self> {
        Self::read(model_dir)?.ok_or_else(|| Error::NotLate { path: model_dir.into() })
    }

    /// The same; for an encoder alone, what it is to become. Passages are cut at `passage_tokens` if
    /// that is less than the model's own limit.
    pub fn read_or_make(model_dir: &Path, passage_tokens: Option<usize>) -> Result<Self> {
        let longest = match Self::read(model_dir)? {
            Some(settings) => return Ok(settings.with_limit(passage_tokens)),
            None => Architecture::read(model_dir)?.spec.longest_input,
        };
        Ok(Self::of_encoder(longest).with_limit(passage_tokens))
    }

    fn with_limit(mut self, passage_tokens: Option<usize>) -> Self {
        self.passage_tokens = self.passage_tokens.min(passage_tokens.unwrap_or(usize::MAX));
        self
    }

    /// The settings of an encoder that is none yet: its token vectors as they are, without markers
    /// and masks.
    fn of_encoder(passage_tokens: usize) -> Self {
        Self {
            query_marker: None,
            passage_marker: None,
            query_tokens: ENCODER_QUERY_TOKENS,
            passage_tokens,
            expansion: Expansion::None,
            skipped: punctuation(),
            prompt: String::new(),
            projection: ProjectionFiles::None,
        }
    }

    /// Returns the width of the vectors, from the headers of the weights.
    pub fn width(&self, model_dir: &Path) -> Result<usize> {
        let shape = match &self.projection {
            ProjectionFiles::None => Some(vec![Architecture::read(model_dir)?.spec.hidden]),
            ProjectionFiles::WithEncoder => {
                let only = |name: &str| (name == PROJECTION).then(|| name.to_owned());
                let found = header::outlines_named(model_dir, only)?.remove(PROJECTION);
                found.map(|outline| outline.shape)
            }
            ProjectionFiles::Modules(modules) => match modules.last() {
                Some([_, weights]) => header::shape_in(weights, PROJECTION)?,
                None => None,
            },
        };
        let width = shape.and_then(|shape| shape.first().copied());
        width.ok_or_else(|| Error::Names {
            path: crate::weights::place(model_dir),
            missing: vec![PROJECTION.into()],
            unused: vec![],
        })
    }
}

impl Expansion {
    fn of(expands: bool, sees_masks: Option<bool>) -> Self {
        match (expands, sees_masks) {
            (false, _) => Self::None,
            (true, Some(true)) => Self::SeenMasks,
            (true, _) => Self::UnseenMasks,
        }
    }
}

impl ProjectionFiles {
    fn of_modules(dir: &ModelDir, modules: &[Module]) -> Result<Self> {
        let path = dir.modules();
        let mut found = Vec::new();
        for module in modules {
            match module.name() {
                "Transformer" => {}
                "Dense" => {
                    let [settings, weights] = ModelDir::DENSE_MODULES
                        .into_iter()
                        .find(|[settings, _]| {
                            Path::new(settings).parent() == Some(Path::new(&module.path))
                        })
                        .map_or_else(
                            || refuse(&path, "path", "1_Dense, 2_Dense or 3_Dense", &module.path),
                            Ok,
                        )?;
                    found.push([dir.path(settings), dir.path(weights)]);
                }
                other => return refuse(&path, "type", "Transformer or Dense", other),
            }
        }
        Ok(Self::Modules(found))
    }
}

fn is_colbert(dir: &ModelDir) -> Result<bool> {
    #[derive(Deserialize)]
    struct Config {
        #[serde(default)]
        architectures: Option<Vec<String>>,
    }
    let config: Option<Config> = read_json(&dir.config())?;
    let classes = config.and_then(|config| config.architectures).unwrap_or_default();
    Ok(classes.first().is_some_and(|class| class == COLBERT_CLASS))
}

/// Whether the projection is beside the encoder. A cross-encoder that was trained from such a model
/// names the same class in its checkpoints.
fn has_projection(model_dir: &Path) -> Result<bool> {
    let only = |name: &str| (name == PROJECTION).then(|| name.to_owned());
    Ok(!header::outlines_named(model_dir, only)?.is_empty())
}

/// Python's `string.punctuation`.
fn punctuation() -> Vec<String> {
    (33u8..127).map(char::from).filter(char::is_ascii_punctuation).map(String::from).collect()
}

/// Reads a JSON file that must be there.
pub(super) fn needed<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let missing = || std::io::Error::from(std::io::ErrorKind::NotFound);
    read_json(path)?.ok_or_else(|| Error::io("read", path)(missing()))
}
