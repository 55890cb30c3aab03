//! Late interaction: a vector for each token of a text, compared by maximum similarity (ColBERT:
//! Khattab and Zaharia 2020).

mod around;
mod framing;
mod projection;
mod settings;
mod token_vectors;
#[cfg(feature = "train")]
mod writing;

pub use around::{AroundNetwork, TokenNetwork};
pub use projection::Projection;
pub use token_vectors::{TokenVectors, dot, max_similarity};

pub(crate) use framing::{Framing, Kind};
pub(crate) use settings::{Expansion, Settings};
#[cfg(feature = "train")]
pub(crate) use writing::write_beside;

use crate::batch::Packed;
use crate::bi_encoder::BiEncoder;
use crate::engine::{Engine, StepDropout};
use crate::error::{Error, Result};
use crate::families::Architecture;
use crate::nn::{Encoder, MaxSim};
use crate::weights;
use std::path::Path;
use whetstone_kernels::Precision;
use whetstone_records::{ModelDir, Progress};

/// An encoder and a projection, which turn a text into a vector of length 1 for each of its tokens.
pub struct LateInteraction {
    encoder: Encoder,
    max_sim: MaxSim,
    engine: Engine,
    around: AroundNetwork,
}

/// The network of such a model on an engine.
struct OwnNetwork<'a> {
    model: &'a LateInteraction,
    engine: &'a Engine,
}

impl LateInteraction {
    /// Whether a model folder holds such a model.
    ///
    /// # Errors
    /// A folder that says so and something else that is not supported.
    pub fn is_in(model_dir: &Path) -> Result<bool> {
        Ok(Settings::read(model_dir)?.is_some())
    }

    /// Returns the files of a model folder that its vectors depend on, by their paths below it.
    pub fn files(model_dir: &Path) -> Result<Vec<String>> {
        let mut files = BiEncoder::files(model_dir)?;
        for file in ModelDir::new(model_dir).late_interaction_files() {
            if !files.iter().any(|known| known == file) {
                files.push(file.to_owned());
            }
        }
        Ok(files)
    }

    /// Loads a model folder as colbert-ai or PyLate writes it. Passages are cut at `passage_tokens`
    /// if that is less than the model's own limit.
    ///
    /// # Errors
    /// Files and weights as in [`Error`]; [`Error::NotLate`] for another kind of model.
    pub fn load(model_dir: &Path, passage_tokens: Option<usize>, engine: &Engine) -> Result<Self> {
        let settings = Settings::of_late(model_dir)?;
        let around = AroundNetwork::of(model_dir, &settings, passage_tokens)?;
        let (encoder, max_sim) = load_network(model_dir, &settings, engine)?;
        Ok(Self { encoder, max_sim, engine: engine.clone(), around })
    }

    /// The precision of its large products, as in [`Engine::precision_of`].
    pub fn precision(&self) -> Precision {
        self.engine.precision_of(&self.encoder.spec)
    }

    /// The engine that scores pairs again, as in [`Engine::exact`].
    pub(crate) fn exact(&self) -> Option<Engine> {
        self.engine.exact(&self.encoder.spec)
    }

    fn on<'a>(&'a self, engine: &'a Engine) -> OwnNetwork<'a> {
        OwnNetwork { model: self, engine }
    }

    /// The length of a vector.
    pub fn width(&self) -> usize {
        self.around.width
    }

    /// Returns the vectors of queries in the order given, masks included.
    ///
    /// # Errors
    /// A text that cannot be tokenized; [`Error::NoNumber`] where a vector is not finite.
    pub fn encode_queries(
        &self,
        queries: &[&str],
        progress: &dyn Progress,
    ) -> Result<TokenVectors> {
        self.around.encode(&self.on(&self.engine), Kind::Query, queries, progress)
    }

    /// Returns the vectors of passages in the order given, without those of punctuation.
    ///
    /// # Errors
    /// As [`LateInteraction::encode_queries`].
    pub fn encode_passages(
        &self,
        passages: &[&str],
        progress: &dyn Progress,
    ) -> Result<TokenVectors> {
        self.around.encode(&self.on(&self.engine), Kind::Passage, passages, progress)
    }

    /// Returns the maximum similarity of every pair (query, passage), in the order given. Pairs of
    /// the same texts have the same score.
    ///
    /// # Errors
    /// As [`LateInteraction::encode_queries`].
    pub fn score(&self, pairs: &[(&str, &str)], progress: &dyn Progress) -> Result<Vec<f32>> {
        self.score_on(&self.engine, pairs, progress)
    }

    /// The same on another engine of the same device.
    pub(crate) fn score_on(
        &self,
        engine: &Engine,
        pairs: &[(&str, &str)],
        progress: &dyn Progress,
    ) -> Result<Vec<f32>> {
        self.around.score(&self.on(engine), pairs, progress)
    }

    /// Returns the linear layer between the encoder and the comparison; None where there is none or
    /// it changes nothing.
    ///
    /// # Errors
    /// As [`LateInteraction::load`].
    pub fn projection(model_dir: &Path) -> Result<Option<Projection>> {
        let hidden = Architecture::read(model_dir)?.spec.hidden;
        projection::read(model_dir, &Settings::of_late(model_dir)?.projection, hidden)
    }

    /// Returns the ids of tokens that a vocabulary cannot lose: markers, masks, the prompt's, and
    /// those that are skipped.
    ///
    /// # Errors
    /// As [`LateInteraction::load`].
    pub fn needed_ids(model_dir: &Path) -> Result<Vec<u32>> {
        AroundNetwork::open(model_dir, None)?.framing.needed_ids()
    }
}

impl TokenNetwork for OwnNetwork<'_> {
    type Error = Error;

    fn groups(&self, lengths: &[usize]) -> Vec<Vec<usize>> {
        self.engine.groups(lengths)
    }

    fn vectors(&self, batch: &Packed) -> Result<Vec<f32>> {
        let LateInteraction { encoder, max_sim, .. } = self.model;
        let hidden = self.engine.all_tokens(encoder, batch, StepDropout::default());
        Ok(hidden.real_tokens(batch, |rows| max_sim.project(rows)))
    }
}

/// Loads the encoder and the projection of a model folder.
pub(crate) fn load_network(
    model_dir: &Path,
    settings: &Settings,
    engine: &Engine,
) -> Result<(Encoder, MaxSim)> {
    let encoder = weights::encoder(model_dir, &Architecture::read(model_dir)?, engine)?;
    let hidden = encoder.spec.hidden;
    let projection = projection::read(model_dir, &settings.projection, hidden)?;
    let projection = projection.map(|projection| projection.linear(engine));
    Ok((encoder, MaxSim { projection }))
}
