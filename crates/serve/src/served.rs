//! A model that is served: its network, its tokenizer, and what its folder says about its scores.

use crate::config::ServeConfig;
use crate::error::{Error, Result};
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Weak;
use whetstone_model::{Engine, PairNetwork, PairTokenizer, Placement, Tokens, near_ties};
use whetstone_rank::{Join, Scaling, notes_of};
use whetstone_records::{Golden, GoldenPair, ModelDir};

/// The largest difference to golden.json that every device may have: f32 sums in another order, over
/// a dozen layers.
const GOLDEN_TOLERANCE: f32 = 1e-3;

/// Bytes of documents that two threads tokenize in some 25 ms.
const SHORT: usize = 256 << 10;

/// A loaded model.
pub struct Served {
    /// The folder as it was named.
    pub name: String,
    pub tokenizer: PairTokenizer,
    network: PairNetwork,
    engine: Engine,
    /// Scores pairs again whose order rounding leaves open, where the engine rounds.
    exact: Option<Engine>,
    pub placement: Placement,
    /// From logits to probabilities, if the model was calibrated.
    pub scaling: Option<Scaling>,
    /// How to join the model's scores with a first stage's, if the model was calibrated.
    pub fusion: Option<Join>,
}

/// Which part of a passage is kept if a pair is too long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cut {
    /// The end is cut off.
    #[default]
    Right,
    /// The beginning is cut off.
    Left,
    /// Nothing is cut: a pair that is too long is refused.
    Refuse,
}

/// The distinct pairs of a request, ready to be scored.
pub struct Prepared {
    pub query: Tokens,
    pub passages: Vec<Tokens>,
    /// Which pair each document is.
    pub places: Vec<usize>,
    /// The length of each pair.
    pub lengths: Vec<usize>,
    /// How many of the best documents the client wants.
    pub top_n: usize,
}

/// The texts of a request.
pub struct Texts<'a> {
    pub query: &'a str,
    pub documents: &'a [String],
    pub cut: Cut,
    pub max_document_tokens: usize,
    /// How many of the best documents the client wants.
    pub top_n: usize,
}

/// Why a request's texts cannot be scored.
#[derive(Debug)]
pub enum Unprepared {
    /// The client has gone, or its time is over.
    Unwanted,
    /// A document that is too long together with the query, under [`Cut::Refuse`].
    TooLong {
        document: usize,
        tokens: usize,
        limit: usize,
    },
    Model(whetstone_model::Error),
}

impl Served {
    /// Loads the model folder and scores a pair, so that the first request finds a warm model.
    pub fn open(config: &ServeConfig) -> Result<Self> {
        let ServeConfig { model: path, placement, .. } = config;
        let model = ModelDir::new(path);
        let engine = Engine::placed(*placement)?;
        let tokenizer = PairTokenizer::for_scoring(path, PairTokenizer::stored_limit(path)?)?;
        let network = engine.in_one_stream(|| PairNetwork::load(path, &engine))?;
        let (scaling, fusion) = what_dev_says(&model)?;
        let served = Self {
            name: path.display().to_string(),
            placement: Placement { precision: network.precision(&engine), ..*placement },
            tokenizer,
            exact: network.exact(&engine),
            network,
            engine,
            scaling,
            fusion,
        };
        served.logits(&[("ready", "The model is ready.")])?;
        Ok(served)
    }

    /// Tokens of one pass.
    pub fn tokens_at_once(&self) -> usize {
        self.engine.tokens_at_once()
    }

    /// Scores the pairs of golden.json, if the folder has one.
    ///
    /// # Errors
    /// A logit that differs by more than rounding.
    pub fn check_golden(&self, model: &Path) -> Result<()> {
        let model = ModelDir::new(model);
        let path = model.golden();
        if !path.is_file() {
            return Ok(());
        }
        let golden = Golden::read(&model)?;
        let tolerance = GOLDEN_TOLERANCE.max(self.placement.logit_tolerance() as f32);
        let logits = self.logits(&golden.texts())?;
        let wrong = |(found, pair): &(f32, &GoldenPair)| (found - pair.logit).abs() > tolerance;
        match logits.into_iter().zip(&golden.pairs).enumerate().find(|(_, pair)| wrong(pair)) {
            None => Ok(()),
            Some((pair, (found, golden))) => {
                Err(Error::Golden { path, pair, found, expected: golden.logit })
            }
        }
    }

    fn logits(&self, pairs: &[(&str, &str)]) -> Result<Vec<f32>> {
        let mut logits = Vec::with_capacity(pairs.len());
        for (query, passage) in pairs {
            let tokens = self.tokenizer.tokenize(&[query, passage])?;
            logits.extend(self.score(&[(&tokens[0], &tokens[1])], &self.engine)?);
        }
        Ok(logits)
    }

    /// The engine of a pass, or of one over pairs that are scored again.
    pub fn engine(&self, again: bool) -> &Engine {
        self.exact.as_ref().filter(|_| again).unwrap_or(&self.engine)
    }

    /// Returns the pairs whose logits leave the order of the documents that the client wants open,
    /// as [`whetstone_model::Scorer::score_lists`] finds them.
    pub fn undecided(&self, prepared: &Prepared, logits: &[f32]) -> BTreeSet<usize> {
        if self.exact.is_none() {
            return BTreeSet::new();
        }
        let logits: Vec<f32> = prepared.places.iter().map(|&pair| logits[pair]).collect();
        let documents = near_ties(&logits, prepared.top_n).into_iter();
        documents.map(|document| prepared.places[document]).collect()
    }

    /// Returns the logit of every pair, in one pass through the network.
    pub fn score(
        &self,
        pairs: &[(&Tokens, &Tokens)],
        engine: &Engine,
    ) -> Result<Vec<f32>, whetstone_model::Error> {
        let batch = self.tokenizer.batch(pairs.iter().copied());
        let logits = engine.in_one_stream(|| self.network.logits(&batch, engine));
        match logits.iter().all(|logit| logit.is_finite()) {
            true => Ok(logits),
            false => Err(whetstone_model::Error::NoNumber { what: "score" }),
        }
    }

    /// Tokenizes a query and its documents, as long as anybody holds `wanted`. Equal documents
    /// become one pair, since they must score the same whatever batch they are in.
    ///
    /// On a CPU it stays on the calling thread unless it is `alone` and short. Other threads would be
    /// those that score, and a long request would keep them from the requests of others. A GPU leaves
    /// them free.
    pub fn prepare(
        &self,
        texts: &Texts,
        alone: bool,
        wanted: &Weak<()>,
    ) -> Result<Prepared, Unprepared> {
        let tokenizer = &self.tokenizer;
        let limit = tokenizer.max_seq_tokens();
        let query = tokenizer.first_tokens(texts.query, usize::MAX).map_err(Unprepared::Model)?;
        let room =
            limit.saturating_sub(tokenizer.special_tokens() + tokenizer.tokens_of_query(&query));
        let most = room.min(texts.max_document_tokens);
        let (mut numbers, mut distinct) = (HashMap::new(), Vec::new());
        let mut places = Vec::with_capacity(texts.documents.len());
        for (document, text) in texts.documents.iter().enumerate() {
            let place = *numbers.entry(text.as_str()).or_insert(distinct.len());
            places.push(place);
            if place == distinct.len() {
                distinct.push((document, text));
            }
        }
        let bytes: usize = distinct.iter().map(|(_, text)| text.len()).sum();
        let shared = alone && bytes <= SHORT;
        let read = |(document, text): (usize, &String)| {
            if wanted.strong_count() == 0 {
                return Err(Unprepared::Unwanted);
            }
            // Only the end may be left unread.
            let read = if texts.cut == Cut::Right { most } else { usize::MAX };
            let tokens = tokenizer.first_tokens(text, read).map_err(Unprepared::Model)?;
            if texts.cut == Cut::Refuse && tokens.len() > room {
                let tokens = tokens.len() + limit - room;
                return Err(Unprepared::TooLong { document, tokens, limit });
            }
            Ok(shortened(tokens, most, texts.cut))
        };
        let passages: Vec<Tokens> = if shared || self.engine.works_apart() {
            let all: Vec<Result<Tokens, Unprepared>> = distinct.into_par_iter().map(read).collect();
            all.into_iter().collect::<Result<_, _>>()?
        } else {
            distinct.into_iter().map(read).collect::<Result<_, _>>()?
        };
        let lengths =
            passages.iter().map(|passage| tokenizer.joined_len(&query, passage)).collect();
        Ok(Prepared { query, passages, places, lengths, top_n: texts.top_n })
    }

    /// Returns the probability that a passage with this logit is relevant: calibrated, or else the
    /// sigmoid, as text-embeddings-inference has it.
    pub fn probability(&self, logit: f32) -> f32 {
        self.scaling.unwrap_or(Scaling::IDENTITY).probability(f64::from(logit)) as f32
    }
}

/// Keeps at most `most` tokens of a passage.
fn shortened(tokens: Tokens, most: usize, cut: Cut) -> Tokens {
    match tokens.len().checked_sub(most) {
        None | Some(0) => tokens,
        Some(over) if cut == Cut::Left => tokens[over..].into(),
        Some(_) => tokens[..most].into(),
    }
}

/// Returns what `whetstone calibrate` left in the folder, if anything.
fn what_dev_says(model: &ModelDir) -> Result<(Option<Scaling>, Option<Join>)> {
    match notes_of(model) {
        Ok(notes) => {
            Ok((notes.calibration.map(|calibration| calibration.scaling), Some(notes.fusion.join)))
        }
        Err(whetstone_rank::Error::NotCalibrated { .. }) => Ok((None, None)),
        Err(error) => Err(error.into()),
    }
}
