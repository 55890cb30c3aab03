//! A cross-encoder that scores pairs of texts.

use crate::engine::{Engine, StepDropout};
use crate::error::{Error, Result};
use crate::network::PairNetwork;
use crate::numbering::Numbering;
use crate::tokenizer::{PairTokenizer, Tokens};
use std::path::Path;
use whetstone_kernels::Precision;
use whetstone_records::Progress;

/// A network with its tokenizer, on an engine.
pub struct CrossEncoder {
    network: PairNetwork,
    tokenizer: PairTokenizer,
    engine: Engine,
}

impl CrossEncoder {
    /// Loads a model folder. `max_seq_tokens` defaults to the folder's own limit, at most the
    /// model's longest input.
    pub fn load(model_dir: &Path, max_seq_tokens: Option<usize>, engine: &Engine) -> Result<Self> {
        Self::load_label(model_dir, None, max_seq_tokens, engine)
    }

    /// The same, with the score of a label where the head has several: its name, its number, or the
    /// difference of two.
    pub fn load_label(
        model_dir: &Path,
        label: Option<&str>,
        max_seq_tokens: Option<usize>,
        engine: &Engine,
    ) -> Result<Self> {
        let limit = match max_seq_tokens {
            Some(limit) => limit,
            None => PairTokenizer::stored_limit(model_dir)?,
        };
        let tokenizer = PairTokenizer::open(model_dir, limit)?;
        let network = PairNetwork::load_label(model_dir, label, engine)?;
        Ok(Self { network, tokenizer, engine: engine.clone() })
    }

    /// The precision of its large products, as in [`Engine::precision_of`].
    pub fn precision(&self) -> Precision {
        self.network.precision(&self.engine)
    }

    /// The engine that scores pairs again, as in [`Engine::exact`].
    pub(crate) fn exact(&self) -> Option<Engine> {
        self.network.exact(&self.engine)
    }

    /// Returns the raw logit of every pair (query, passage), in the order given. Pairs of the same
    /// texts have the same logit.
    ///
    /// # Errors
    /// A text that cannot be tokenized; [`Error::NoNumber`] where a logit is NaN or infinite.
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
        // Tokenizes each text once: reranking repeats the query with every candidate, and often the
        // passage too. Scores each pair once: in another batch, sums would round differently.
        let mut texts = Numbering::default();
        let numbered = pairs.iter().map(|&(query, passage)| (texts.of(query), texts.of(passage)));
        let mut distinct = Numbering::default();
        let places: Vec<usize> = numbered.map(|pair| distinct.of(pair)).collect();
        let tokens = self.tokenizer.tokenize(&texts.items)?;
        let joined: Vec<(&Tokens, &Tokens)> = distinct
            .items
            .iter()
            .map(|&(query, passage)| (&tokens[query], &tokens[passage]))
            .collect();
        let logits = self.score_tokens(engine, &joined, progress)?;
        progress.advance((pairs.len() - joined.len()) as u64);
        Ok(places.into_iter().map(|place| logits[place]).collect())
    }

    fn score_tokens(
        &self,
        engine: &Engine,
        pairs: &[(&Tokens, &Tokens)],
        progress: &dyn Progress,
    ) -> Result<Vec<f32>> {
        let lengths: Vec<usize> = pairs
            .iter()
            .map(|(query, passage)| self.tokenizer.joined_len(query, passage))
            .collect();
        let mut logits = vec![0f32; pairs.len()];
        let start = |group: &Vec<usize>| {
            let batch = self.tokenizer.batch(group.iter().map(|&i| pairs[i]));
            self.network.pass(&batch, StepDropout::default(), engine)
        };
        engine.in_turn(engine.groups(&lengths), start, |group, scores| {
            if scores.iter().any(|score| !score.is_finite()) {
                return Err(Error::NoNumber { what: "score" });
            }
            group.iter().zip(scores).for_each(|(&i, score)| logits[i] = score);
            progress.advance(group.len() as u64);
            Ok(())
        })?;
        Ok(logits)
    }
}
