//! A model that is served: its network, its tokenizer, and what its folder says about its scores.

use crate::config::ServeConfig;
use crate::error::{Error, Result};
use serde::Deserialize;
use std::collections::HashMap;
use std::path::Path;
use whetstone_model::{CrossEncoderNetwork, Engine, PairTokenizer, Precision, Tokens};
use whetstone_rank::{Fusion, Scaling, notes_of, read_notes};
use whetstone_records::{ModelDir, read_json};

/// The largest difference to golden.json: f32 sums in another order, over a dozen layers.
const GOLDEN_TOLERANCE: f32 = 1e-3;
/// bfloat16 keeps 8 bits of a product's inputs.
const GOLDEN_TOLERANCE_BF16: f32 = 0.25;

/// A loaded model.
pub struct Served {
    /// The folder as it was named.
    pub name: String,
    pub tokenizer: PairTokenizer,
    network: CrossEncoderNetwork,
    engine: Engine,
    pub precision: Precision,
    /// From logits to probabilities, if the model was calibrated.
    pub scaling: Option<Scaling>,
    /// How to join the model's scores with a first stage's, if the model was calibrated.
    pub fusion: Option<Fusion>,
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
}

/// Why a request's texts cannot be scored.
#[derive(Debug)]
pub enum Unprepared {
    /// A document that is too long together with the query, under [`Cut::Refuse`].
    TooLong {
        document: usize,
        tokens: usize,
        limit: usize,
    },
    Model(whetstone_model::Error),
}

/// `golden.json`: pairs whose logits are known.
#[derive(Deserialize)]
struct Golden {
    pairs: Vec<GoldenPair>,
}

#[derive(Deserialize)]
struct GoldenPair {
    query: String,
    passage: String,
    logit: f32,
}

impl Served {
    /// Loads the model folder and scores a pair, so that the first request finds a warm model.
    pub fn open(config: &ServeConfig) -> Result<Self> {
        let ServeConfig { model: path, device, precision, .. } = config;
        if !precision.is_supported() {
            return Err(Error::NoBf16);
        }
        let model = ModelDir::new(path);
        let engine = Engine::open(*device)?.with_precision(*precision);
        let tokenizer = PairTokenizer::open(path, PairTokenizer::stored_limit(path)?)?;
        let network = CrossEncoderNetwork::load(path, &engine)?;
        let (scaling, fusion) = match read_notes(&model)? {
            Some(_) => what_dev_says(&model)?,
            None => (None, None),
        };
        let served = Self {
            name: path.display().to_string(),
            tokenizer,
            network,
            engine,
            precision: *precision,
            scaling,
            fusion,
        };
        served.logits(&[("ready", "The model is ready.")])?;
        Ok(served)
    }

    /// Scores the pairs of golden.json, if the folder has one.
    ///
    /// # Errors
    /// A logit that differs by more than rounding.
    pub fn check_golden(&self, model: &Path) -> Result<()> {
        let path = ModelDir::new(model).golden();
        let Some(Golden { pairs }) = read_json::<Golden>(&path)? else { return Ok(()) };
        if pairs.is_empty() {
            return Err(Error::NoGolden { path });
        }
        let texts: Vec<(&str, &str)> =
            pairs.iter().map(|pair| (&*pair.query, &*pair.passage)).collect();
        let tolerance = match self.precision {
            Precision::F32 => GOLDEN_TOLERANCE,
            Precision::Bf16 => GOLDEN_TOLERANCE_BF16,
        };
        let logits = self.logits(&texts)?;
        let wrong = |(found, pair): &(f32, &GoldenPair)| !((found - pair.logit).abs() <= tolerance);
        match logits.into_iter().zip(&pairs).enumerate().find(|(_, pair)| wrong(pair)) {
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
            logits.extend(self.score(&[(&tokens[0], &tokens[1])])?);
        }
        Ok(logits)
    }

    /// Returns the logit of every pair, in one pass through the network.
    pub fn score(&self, pairs: &[(&Tokens, &Tokens)]) -> Result<Vec<f32>, whetstone_model::Error> {
        let logits =
            self.network.logits(&self.tokenizer.batch(pairs.iter().copied()), &self.engine);
        match logits.iter().all(|logit| logit.is_finite()) {
            true => Ok(logits),
            false => Err(whetstone_model::Error::NoNumber { what: "score" }),
        }
    }

    /// Tokenizes a query and its documents. Equal documents become one pair, since they must score
    /// the same whatever batch they are in.
    pub fn prepare(
        &self,
        query: &str,
        documents: &[String],
        cut: Cut,
        max_document_tokens: usize,
    ) -> Result<Prepared, Unprepared> {
        let mut numbers = HashMap::new();
        let mut texts = vec![query];
        let places: Vec<usize> = documents
            .iter()
            .map(|document| {
                *numbers.entry(document.as_str()).or_insert_with(|| {
                    texts.push(document);
                    texts.len() - 2
                })
            })
            .collect();
        let mut tokens = self.tokenizer.tokenize(&texts).map_err(Unprepared::Model)?;
        let mut passages = tokens.split_off(1);
        let query = tokens.remove(0);
        let limit = self.tokenizer.max_seq_tokens();
        let room = limit.saturating_sub(self.tokenizer.special_tokens() + query.len());
        for (at, passage) in passages.iter_mut().enumerate() {
            if cut == Cut::Refuse && passage.len() > room {
                let document = places.iter().position(|&place| place == at).unwrap_or(at);
                let tokens = passage.len() + limit - room;
                return Err(Unprepared::TooLong { document, tokens, limit });
            }
            shorten(passage, room.min(max_document_tokens), cut);
        }
        let lengths =
            passages.iter().map(|passage| self.tokenizer.joined_len(&query, passage)).collect();
        Ok(Prepared { query, passages, places, lengths })
    }

    /// Returns the probability that a passage with this logit is relevant: calibrated, or else the
    /// sigmoid, as text-embeddings-inference has it.
    pub fn probability(&self, logit: f32) -> f32 {
        self.scaling.unwrap_or(Scaling::IDENTITY).probability(f64::from(logit)) as f32
    }
}

/// Keeps at most `room` tokens of a passage.
fn shorten(passage: &mut Tokens, room: usize, cut: Cut) {
    if passage.len() > room {
        let kept = match cut {
            Cut::Left => &passage[passage.len() - room..],
            Cut::Right | Cut::Refuse => &passage[..room],
        };
        *passage = kept.into();
    }
}

/// Returns what `whetstone calibrate` left in the folder.
fn what_dev_says(model: &ModelDir) -> Result<(Option<Scaling>, Option<Fusion>)> {
    let notes = notes_of(model)?;
    Ok((notes.calibration.map(|calibration| calibration.scaling), Some(notes.fusion.fusion)))
}
