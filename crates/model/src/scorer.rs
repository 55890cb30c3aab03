//! A model that scores pairs, of whatever kind its folder holds.

use crate::cross_encoder::CrossEncoder;
use crate::engine::{Engine, Placement};
use crate::error::{Error, Result};
use crate::late_interaction::LateInteraction;
use crate::near_ties::near_ties;
use std::path::Path;
use whetstone_records::{Progress, Silent};

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

    /// The same for the candidates of several queries, one query's after the other's, so many each.
    /// Where a CPU computes in bfloat16, a query's first ten and those that may belong to them get
    /// their score in f32 where another is too close to tell: so the first ten are those of f32, in
    /// its order. The score of a pair then depends on the query's other candidates, by no more than
    /// bfloat16 rounds.
    ///
    /// # Errors
    /// As [`Scorer::score`].
    pub fn score_lists(
        &self,
        pairs: &[(&str, &str)],
        lengths: &[usize],
        progress: &dyn Progress,
    ) -> Result<Vec<f32>> {
        let mut scores = self.score(pairs, progress)?;
        let exact = match self {
            Self::CrossEncoder(model) => model.exact(),
            Self::LateInteraction(model) => model.exact(),
        };
        let Some(exact) = exact else { return Ok(scores) };
        let mut end = 0;
        let open = |&length: &usize| {
            let start = end;
            end += length;
            near_ties(&scores[start..end], usize::MAX).into_iter().map(move |place| start + place)
        };
        let again: Vec<usize> = lengths.iter().flat_map(open).collect();
        let pairs: Vec<_> = again.iter().map(|&place| pairs[place]).collect();
        let found = match self {
            Self::CrossEncoder(model) => model.score_on(&exact, &pairs, &Silent),
            Self::LateInteraction(model) => model.score_on(&exact, &pairs, &Silent),
        }?;
        again.into_iter().zip(found).for_each(|(place, score)| scores[place] = score);
        Ok(scores)
    }
}
