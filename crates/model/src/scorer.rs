//! A model that scores pairs, of whatever kind its folder holds.

use crate::cross_encoder::CrossEncoder;
use crate::engine::{Engine, Placement};
use crate::error::{Error, Result};
use crate::late_interaction::LateInteraction;
use std::path::Path;
use whetstone_records::Progress;

/// A model that scores pairs. No other code has to ask which kind it is.
pub enum Scorer {
    CrossEncoder(Box<CrossEncoder>),
    LateInteraction(Box<LateInteraction>),
}

impl Scorer {
    /// Loads a model folder, with the score of a label where a cross-encoder's head has several.
    /// `max_seq_tokens` defaults to the folder's own limit: of a pair, or of a passage that is
    /// encoded by itself.
    ///
    /// # Errors
    /// [`Error::NoHead`] for an encoder alone, and for a label of a model that has none; names,
    /// shapes and files as in [`Error`].
    pub fn load(
        model_dir: &Path,
        label: Option<&str>,
        max_seq_tokens: Option<usize>,
        engine: &Engine,
    ) -> Result<Self> {
        if !LateInteraction::is_in(model_dir)? {
            let encoder = CrossEncoder::load_label(model_dir, label, max_seq_tokens, engine)?;
            return Ok(Self::CrossEncoder(Box::new(encoder)));
        }
        if label.is_some() {
            return Err(Error::NoHead { path: model_dir.into() });
        }
        let model = LateInteraction::load(model_dir, max_seq_tokens, engine)?;
        Ok(Self::LateInteraction(Box::new(model)))
    }

    /// What it runs on, if that was asked for: with the precision of [`Engine::precision_of`].
    pub fn placement(&self, asked: Placement) -> Placement {
        let precision = match self {
            Self::CrossEncoder(model) => model.precision(),
            Self::LateInteraction(model) => model.precision(),
        };
        Placement { precision, ..asked }
    }

    /// Returns the raw score of every pair (query, passage), in the order given: a logit, or a
    /// maximum similarity. Pairs of the same texts have the same score.
    ///
    /// # Errors
    /// A text that cannot be tokenized; [`Error::NoNumber`] where a score is NaN or infinite.
    pub fn score(&self, pairs: &[(&str, &str)], progress: &dyn Progress) -> Result<Vec<f32>> {
        match self {
            Self::CrossEncoder(model) => model.score(pairs, progress),
            Self::LateInteraction(model) => model.score(pairs, progress),
        }
    }
}
