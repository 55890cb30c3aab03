//! All of a late interaction but its network: texts become sequences, and the vectors of their
//! tokens become scores.

use super::framing::{Framing, Kind};
use super::settings::Settings;
use super::token_vectors::{TokenVectors, max_similarity};
use crate::batch::Packed;
use crate::error::{Error, Result};
use crate::families::Architecture;
use crate::numbering::Numbering;
use rayon::prelude::*;
use std::path::Path;
use whetstone_records::{Progress, Silent};

/// Passages whose vectors are in memory at a time while pairs are scored.
const PASSAGES: usize = 256;

/// A network that gives each token of a sequence a vector. It may be another program's.
pub trait TokenNetwork {
    type Error: From<Error>;

    /// Splits sequences of these lengths into batches.
    fn groups(&self, lengths: &[usize]) -> Vec<Vec<usize>>;

    /// Returns the projected vector of every token of a batch, of any length, row-major
    /// `[tokens, width]`.
    fn vectors(&self, batch: &Packed) -> Result<Vec<f32>, Self::Error>;
}

/// A late interaction without its network.
pub struct AroundNetwork {
    pub(super) framing: Framing,
    /// The length of a vector.
    pub width: usize,
}

impl AroundNetwork {
    /// Reads a model folder as colbert-ai or PyLate writes it. Passages are cut at `passage_tokens`
    /// if that is less than the model's own limit.
    ///
    /// # Errors
    /// Files as in [`Error`]; [`Error::NotLate`] for another kind of model.
    pub fn open(model_dir: &Path, passage_tokens: Option<usize>) -> Result<Self> {
        Self::of(model_dir, &Settings::of_late(model_dir)?, passage_tokens)
    }

    /// The same of settings that were read already.
    pub(super) fn of(
        model_dir: &Path,
        settings: &Settings,
        passage_tokens: Option<usize>,
    ) -> Result<Self> {
        let longest_input = Architecture::read(model_dir)?.spec.longest_input;
        let framing = Framing::open(model_dir, settings, passage_tokens, longest_input)?;
        Ok(Self { framing, width: settings.width(model_dir)? })
    }

    /// Returns the maximum similarity of every pair (query, passage), in the order given. Pairs of
    /// the same texts have the same score.
    ///
    /// # Errors
    /// The network's; a text that cannot be tokenized; [`Error::NoNumber`] where a vector or a
    /// score is not finite.
    pub fn score<N: TokenNetwork>(
        &self,
        network: &N,
        pairs: &[(&str, &str)],
        progress: &dyn Progress,
    ) -> Result<Vec<f32>, N::Error> {
        let (mut queries, mut passages) = (Numbering::default(), Numbering::default());
        let mut places: Vec<(usize, usize, usize)> = pairs
            .iter()
            .enumerate()
            .map(|(place, &(query, passage))| (passages.of(passage), queries.of(query), place))
            .collect();
        places.sort_unstable();
        let queries = self.encode(network, Kind::Query, &queries.items, &Silent)?;
        let mut scores = vec![0f32; pairs.len()];
        for (block, passages) in passages.items.chunks(PASSAGES).enumerate() {
            let first = block * PASSAGES;
            let passages = self.encode(network, Kind::Passage, passages, &Silent)?;
            let from = places.partition_point(|(passage, ..)| *passage < first);
            let to = places.partition_point(|(passage, ..)| *passage < first + passages.texts());
            let similarity = |&(passage, query, place): &(usize, usize, usize)| {
                let (query, passage) = (queries.of_text(query), passages.of_text(passage - first));
                (place, max_similarity(query, passage, queries.width))
            };
            let found: Vec<_> = places[from..to].par_iter().map(similarity).collect();
            found.into_iter().for_each(|(place, score)| scores[place] = score);
            progress.advance((to - from) as u64);
        }
        // A passage of which every token is skipped matches nothing.
        match scores.iter().all(|score| score.is_finite()) {
            true => Ok(scores),
            false => Err(Error::NoNumber { what: "score" }.into()),
        }
    }

    /// Returns the vectors of texts in the order given: with those of masks in a query, without
    /// those of punctuation in a passage.
    pub(super) fn encode<N: TokenNetwork>(
        &self,
        network: &N,
        kind: Kind,
        texts: &[&str],
        progress: &dyn Progress,
    ) -> Result<TokenVectors, N::Error> {
        let tokens = self.framing.tokenize(texts)?;
        let lengths: Vec<usize> = tokens.iter().map(|text| self.framing.len(kind, text)).collect();
        let mut found = vec![Vec::new(); texts.len()];
        for group in network.groups(&lengths) {
            let mut batch = Packed::default();
            group.iter().for_each(|&text| self.framing.join(kind, &tokens[text], &mut batch));
            let vectors = network.vectors(&batch)?; // [tokens, width]
            for (&text, span) in group.iter().zip(batch.starts.windows(2)) {
                let own = &vectors[span[0] * self.width..span[1] * self.width];
                found[text] = self.matched(kind, &batch.ids[span[0]..span[1]], own)?;
            }
            progress.advance(group.len() as u64);
        }
        Ok(TokenVectors::of(self.width, &found))
    }

    /// The vectors of a sequence that count, each with the length 1.
    fn matched(&self, kind: Kind, ids: &[u32], vectors: &[f32]) -> Result<Vec<f32>> {
        let mut kept = Vec::with_capacity(vectors.len());
        for (&id, vector) in ids.iter().zip(vectors.chunks_exact(self.width)) {
            if self.framing.skips(kind, id) {
                continue;
            }
            let norm = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
            if !norm.is_finite() {
                return Err(Error::NoNumber { what: "vector of a token" });
            }
            let norm = norm.max(1e-12);
            kept.extend(vector.iter().map(|value| value / norm));
        }
        Ok(kept)
    }
}
