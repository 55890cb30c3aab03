//! Late interaction: a vector for each token of a text, compared by maximum similarity (ColBERT:
//! Khattab and Zaharia 2020).

mod framing;
mod projection;
mod settings;
mod token_vectors;
#[cfg(feature = "train")]
mod writing;

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
use crate::numbering::Numbering;
use crate::weights;
use rayon::prelude::*;
use std::path::Path;
use whetstone_kernels::Precision;
use whetstone_records::{ModelDir, Progress, Silent};

/// Passages whose vectors are in memory at a time while pairs are scored.
const PASSAGES: usize = 256;

/// An encoder and a projection, which turn a text into a vector of length 1 for each of its tokens.
pub struct LateInteraction {
    encoder: Encoder,
    max_sim: MaxSim,
    framing: Framing,
    engine: Engine,
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
        let settings = Settings::read(model_dir)?;
        let settings = settings.ok_or_else(|| Error::NotLate { path: model_dir.into() })?;
        let longest_input = Architecture::read(model_dir)?.spec.longest_input;
        let framing = Framing::open(model_dir, &settings, passage_tokens, longest_input)?;
        let (encoder, max_sim) = load_network(model_dir, &settings, engine)?;
        Ok(Self { encoder, max_sim, framing, engine: engine.clone() })
    }

    /// The precision of its large products, as in [`Engine::precision_of`].
    pub fn precision(&self) -> Precision {
        self.engine.precision_of(&self.encoder.spec)
    }

    /// The length of a vector.
    pub fn width(&self) -> usize {
        self.max_sim.width().unwrap_or(self.encoder.spec.hidden)
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
        self.encode(Kind::Query, queries, progress)
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
        self.encode(Kind::Passage, passages, progress)
    }

    /// Returns the maximum similarity of every pair (query, passage), in the order given. Pairs of
    /// the same texts have the same score.
    ///
    /// # Errors
    /// As [`LateInteraction::encode_queries`].
    pub fn score(&self, pairs: &[(&str, &str)], progress: &dyn Progress) -> Result<Vec<f32>> {
        let (mut queries, mut passages) = (Numbering::default(), Numbering::default());
        let mut places: Vec<(usize, usize, usize)> = pairs
            .iter()
            .enumerate()
            .map(|(place, &(query, passage))| (passages.of(passage), queries.of(query), place))
            .collect();
        places.sort_unstable();
        let queries = self.encode_queries(&queries.items, &Silent)?;
        let mut scores = vec![0f32; pairs.len()];
        for (block, passages) in passages.items.chunks(PASSAGES).enumerate() {
            let first = block * PASSAGES;
            let passages = self.encode_passages(passages, &Silent)?;
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
            false => Err(Error::NoNumber { what: "score" }),
        }
    }

    fn encode(&self, kind: Kind, texts: &[&str], progress: &dyn Progress) -> Result<TokenVectors> {
        let tokens = self.framing.tokenize(texts)?;
        let lengths: Vec<usize> = tokens.iter().map(|text| self.framing.len(kind, text)).collect();
        let mut found = vec![Vec::new(); texts.len()];
        for group in self.engine.groups(&lengths) {
            let mut batch = Packed::default();
            group.iter().for_each(|&text| self.framing.join(kind, &tokens[text], &mut batch));
            let hidden = self.engine.all_tokens(&self.encoder, &batch, StepDropout::default());
            let vectors = hidden.real_tokens(&batch, |rows| self.max_sim.project(rows)); // [tokens, width]
            for (&text, span) in group.iter().zip(batch.starts.windows(2)) {
                let own = &vectors[span[0] * self.width()..span[1] * self.width()];
                found[text] = self.matched(kind, &batch.ids[span[0]..span[1]], own)?;
            }
            progress.advance(group.len() as u64);
        }
        Ok(TokenVectors::of(self.width(), &found))
    }

    /// The vectors of a sequence that count, each with the length 1.
    fn matched(&self, kind: Kind, ids: &[u32], vectors: &[f32]) -> Result<Vec<f32>> {
        let mut kept = Vec::with_capacity(vectors.len());
        for (&id, vector) in ids.iter().zip(vectors.chunks_exact(self.width())) {
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

/// Loads the encoder and the projection of a model folder.
pub(crate) fn load_network(
    model_dir: &Path,
    settings: &Settings,
    engine: &Engine,
) -> Result<(Encoder, MaxSim)> {
    let encoder = weights::encoder(model_dir, &Architecture::read(model_dir)?, engine)?;
    let hidden = encoder.spec.hidden;
    let projection = projection::read(model_dir, &settings.projection, hidden, engine)?;
    Ok((encoder, MaxSim { projection }))
}
