//! Families of models: what a Hugging Face folder says about its network, and how its files name
//! things. A family is one file here and one line in [`FAMILIES`].

mod bert;
mod deberta_v2;
mod distilbert;
mod electra;
mod encoder;
mod modernbert;
mod roberta;
mod xlm_roberta;

use crate::error::{Error, Result, refuse};
use crate::file;
use crate::spec::Spec;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::fmt;
use std::path::Path;
use whetstone_records::ModelDir;

static FAMILIES: [&Family; 8] = [
    &bert::BERT,
    &electra::ELECTRA,
    &modernbert::MODERNBERT,
    &roberta::ROBERTA,
    &roberta::CAMEMBERT,
    &xlm_roberta::XLM_ROBERTA,
    &distilbert::DISTILBERT,
    &deberta_v2::DEBERTA_V2,
];

/// Configs older than the field `model_type` belong to this family, unless their class says other.
const OLDEST: &Family = FAMILIES[0];

/// What only one kind of model says so.
#[derive(Debug)]
pub struct Family {
    /// The `model_type` of a config.json.
    pub model_type: &'static str,
    /// Reads a config.json. Errors name its path.
    pub(crate) spec: fn(&Path, &[u8]) -> Result<Spec>,
    pub names: Names,
    /// Returns the name in [`Names`] of a tensor of a file; None if the loader ignores the tensor.
    pub(crate) known_as: fn(&str) -> Option<String>,
    pub template: Template,
    /// The spellings in a config.json of how many layers there are, the one that counts first.
    pub layer_count: &'static [&'static str],
    /// Fields of a config.json that have an entry for each layer.
    pub per_layer: &'static [&'static str],
    pub export: Export,
}

impl Family {
    /// Returns the family with a `model_type`.
    pub fn named(model_type: &str) -> Option<&'static Self> {
        FAMILIES.into_iter().find(|family| family.model_type == model_type)
    }

    /// Returns the name in [`Names`] of a tensor of a file; None for a tensor that is not read.
    pub fn name_of(&self, file_name: &str) -> Option<String> {
        (self.known_as)(file_name)
    }

    /// The family whose classes in transformers have the same prefix: `Roberta`, `Electra`.
    fn of_class(class: &str) -> Option<&'static Self> {
        let prefix = |class: &str| class.split_once("For").map(|(prefix, _)| prefix.to_owned());
        let wanted = prefix(class).or_else(|| class.strip_suffix("Model").map(str::to_owned));
        FAMILIES.into_iter().find(|family| prefix(family.export.architecture) == wanted)
    }
}

/// Names of tensors in a cross-encoder's file, without `.weight` and `.bias`.
#[derive(Debug)]
pub struct Names {
    pub word: &'static str,
    pub position: &'static str,
    pub token_type: &'static str,
    pub embedding_norm: &'static str,
    /// Between embeddings and layers of different width.
    pub embedding_projection: Option<&'static str>,
    /// The prefix of a layer's number.
    pub layers: &'static str,
    /// Inside a layer, as all below up to `output_norm`.
    pub query: &'static str,
    pub key: &'static str,
    pub value: &'static str,
    pub attention_output: &'static str,
    pub attention_norm: &'static str,
    pub intermediate: &'static str,
    pub output: &'static str,
    pub output_norm: &'static str,
    /// What only a network with norms before its sub-layers has.
    pub pre_norm: Option<PreNormNames>,
    /// What only a network with relative positions has.
    pub relative: Option<RelativeNames>,
    /// The head's first linear layer.
    pub head_dense: &'static str,
    /// The head's last layer, which gives the logit. A file without it has no head.
    pub head_output: &'static str,
}

/// Names that only a network with norms before its sub-layers has.
#[derive(Debug)]
pub struct PreNormNames {
    /// Query, key and value in one, inside a layer.
    pub qkv: &'static str,
    /// After the last layer.
    pub final_norm: &'static str,
    /// Between the head's linear layers.
    pub head_norm: &'static str,
}

/// Names that only a network with relative positions has.
#[derive(Debug)]
pub struct RelativeNames {
    /// The table of distances.
    pub distances: &'static str,
    /// What normalises its vectors.
    pub norm: &'static str,
    /// Keys of distances, inside a layer.
    pub key: &'static str,
    /// Queries of distances, inside a layer.
    pub query: &'static str,
}

impl Names {
    /// Returns the number of a tensor's layer, and the tensor's name inside the layer.
    pub fn in_layer<'a>(&self, name: &'a str) -> Option<(usize, &'a str)> {
        let (number, inside) = name.strip_prefix(self.layers)?.split_once('.')?;
        Some((number.parse().ok()?, inside))
    }

    /// Whether a tensor belongs to the head.
    pub fn is_head(&self, name: &str) -> bool {
        let norm = self.pre_norm.as_ref().map(|names| names.head_norm);
        [self.head_dense, self.head_output]
            .into_iter()
            .chain(norm)
            .any(|part| name.strip_prefix(part).is_some_and(|rest| rest.starts_with('.')))
    }
}

/// The part of a network to which a parameter belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Embedding,
    /// An encoder layer, counted from 0 at the embeddings.
    Layer(usize),
    Head,
}

/// How texts become one sequence. The number is the token type.
#[derive(Debug)]
pub struct Template {
    /// A query and a passage.
    pub pair: &'static [(Piece, u32)],
    /// One text, in the place of the query.
    pub text: &'static [(Piece, u32)],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A special token.
    Special(&'static str),
    Query,
    Passage,
}

/// Prints the template of a pair: `[CLS] query [SEP] passage [SEP]`.
impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (piece, _)) in self.pair.iter().enumerate() {
            let word = match piece {
                Piece::Special(token) => token,
                Piece::Query => "query",
                Piece::Passage => "passage",
            };
            write!(f, "{}{word}", if place > 0 { " " } else { "" })?;
        }
        Ok(())
    }
}

/// Fields of a config.json.
pub type ConfigFields = Vec<(&'static str, Value)>;

/// What an exported folder tells other tools.
#[derive(Debug)]
pub struct Export {
    /// transformers' class of a network with a head.
    pub architecture: &'static str,
    /// transformers' class of the tokenizer.
    pub tokenizer_class: &'static str,
    /// The family's values for fields that a config.json leaves out.
    /// They may depend on what it has.
    pub config_defaults: fn(&Map<String, Value>) -> ConfigFields,
    /// Special tokens by their key in tokenizer_config.json.
    pub special_tokens: &'static [(&'static str, &'static str)],
}

/// A family, and its reading of a config.
#[derive(Clone, Copy, Debug)]
pub struct Architecture {
    pub family: &'static Family,
    pub spec: Spec,
}

#[derive(Deserialize)]
struct ModelType {
    model_type: Option<String>,
    #[serde(default)]
    architectures: Option<Vec<String>>,
}

impl ModelType {
    /// The family of the class that wrote a config without `model_type`.
    fn by_class(&self) -> &'static Family {
        let class = self.architectures.iter().flatten().next();
        class.and_then(|class| Family::of_class(class)).unwrap_or(OLDEST)
    }
}

impl Architecture {
    /// Reads `config.json` of a model folder.
    ///
    /// # Errors
    /// A file that cannot be read, a family that is not supported, a network that no code here
    /// computes.
    pub fn read(model_dir: &Path) -> Result<Self> {
        let path = ModelDir::new(model_dir).config();
        let bytes = file::read(&path)?;
        let config: ModelType = parse(&path, &bytes)?;
        let family = match config.model_type {
            None => config.by_class(),
            Some(name) => Family::named(&name)
                .ok_or(Error::Family { path: path.clone(), model_type: name })?,
        };
        let spec = (family.spec)(&path, &bytes)?;
        spec.check(&path)?;
        Ok(Self { family, spec })
    }
}

/// The `model_type` of every family.
pub(crate) fn known() -> String {
    FAMILIES.map(|family| format!("`{}`", family.model_type)).join(", ")
}

/// Reads the fields of `T`; a config.json has many more.
fn parse<'a, T: Deserialize<'a>>(path: &Path, bytes: &'a [u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|source| Error::Json { path: path.into(), source })
}
