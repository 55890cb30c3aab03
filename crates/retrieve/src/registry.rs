//! Every retriever that a config can name.
//!
//! A retriever is one file. It holds the search ([`Retriever`]), its config keys ([`Settings`]) and
//! its tests. One line in the list at the end of this file registers it; no other file has to
//! change. `run.rs` is the shortest example.

use crate::bm25::Bm25Parameters;
use crate::dense::DenseSettings;
use crate::embeddings::EmbeddingCache;
use crate::error::{Result, must};
use crate::late_interaction::LateInteractionSettings;
use crate::retriever::Retriever;
use crate::run::RunSettings;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use whetstone_model::Placement;
use whetstone_records::{Input, Language, Passage, Progress, Query, Silent};

/// The inputs of retrievers.
pub struct Material<'a> {
    /// In the order of their ids.
    pub passages: &'a [Passage],
    pub queries: &'a [Query],
    /// The bi-encoder's embeddings, where a retriever needs them.
    pub embeddings: Option<&'a EmbeddingCache<'a>>,
    /// The language of the passages; English unless the caller says other.
    pub language: Language,
    /// Where a retriever runs a model of its own.
    pub placement: Placement,
    /// Where a retriever keeps what such a model computed; nowhere unless the caller says so.
    pub kept: Option<PathBuf>,
    pub progress: &'a dyn Progress,
    passage_texts: Vec<String>,
}

impl<'a> Material<'a> {
    pub fn new(
        passages: &'a [Passage],
        queries: &'a [Query],
        embeddings: Option<&'a EmbeddingCache<'a>>,
    ) -> Self {
        let passage_texts = passages.iter().map(Passage::full_text).collect();
        Self {
            passages,
            queries,
            embeddings,
            language: Language::default(),
            placement: Placement::default(),
            kept: None,
            progress: &Silent,
            passage_texts,
        }
    }

    /// Titles and texts, as rerankers see them.
    pub fn passage_texts(&self) -> Vec<&str> {
        self.passage_texts.iter().map(String::as_str).collect()
    }

    pub fn query_texts(&self) -> Vec<&str> {
        self.queries.iter().map(|query| query.text.as_str()).collect()
    }
}

/// A model in a config, and its folder once it was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct NamedModel {
    /// A folder or an id, as the config has it.
    pub name: String,
    folder: Option<PathBuf>,
}

impl NamedModel {
    /// Says where the model is.
    pub fn found(&mut self, folder: PathBuf) {
        self.folder = Some(folder);
    }

    /// Returns where the model is: where it was found, else the folder of its name.
    pub fn folder(&self) -> &Path {
        self.folder.as_deref().unwrap_or(Path::new(&self.name))
    }
}

impl From<String> for NamedModel {
    fn from(name: String) -> Self {
        Self { name, folder: None }
    }
}

impl From<NamedModel> for String {
    fn from(model: NamedModel) -> Self {
        model.name
    }
}

/// The settings of a retriever in a config.
pub trait Settings {
    /// The name in runs, manifests and the provenance of a negative.
    fn name(&self) -> &str;

    /// Refuses impossible values.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Resolves the paths of files against `folder`, the config's folder.
    fn anchor(&mut self, _folder: &Path) {}

    /// Whether it searches with the bi-encoder.
    fn needs_model(&self) -> bool {
        false
    }

    /// Whether its findings come from a file, which is about one collection.
    fn reads_run(&self) -> bool {
        false
    }

    /// The model that it runs itself, to be found before it is built.
    fn own_model(&mut self) -> Option<&mut NamedModel> {
        None
    }

    /// Returns the digests of the files that it reads, by role.
    fn inputs(&self) -> Result<Vec<Input>> {
        Ok(Vec::new())
    }

    fn build(&self, material: &Material) -> Result<Box<dyn Retriever>>;
}

/// Refuses a name that is not fit for a file and a column of runs.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let is_name = name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(plain);
    let expected = "letters, digits, `-`, `_` and `.`, a letter or digit first";
    must(is_name, (name, "name"), expected, format!("`{name}`"))
}

macro_rules! retrievers {
    ($($kind:ident($settings:ty),)*) => {
        /// A retriever in a config. `kind` chooses it; the other keys belong to that kind.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "kind", rename_all = "kebab-case")]
        pub enum RetrieverConfig {
            $($kind($settings),)*
        }

        impl RetrieverConfig {
            pub fn settings(&self) -> &dyn Settings {
                match self {
                    $(Self::$kind(settings) => settings,)*
                }
            }

            pub fn settings_mut(&mut self) -> &mut dyn Settings {
                match self {
                    $(Self::$kind(settings) => settings,)*
                }
            }
        }
    };
}

retrievers! {
    Bm25(Bm25Parameters),
    Dense(DenseSettings),
    LateInteraction(LateInteractionSettings),
    Run(RunSettings),
}
