//! Late interaction: a vector for each token of a text, compared by maximum similarity (ColBERT:
//! Khattab and Zaharia 2020).

mod projection;
mod settings;
mod token_vectors;

pub use token_vectors::{TokenVectors, dot, max_similarity};

pub(crate) use settings::{Expansion, Settings};

use settings::FEWEST_TOKENS;

use crate::batch::Packed;
use crate::bi_encoder::BiEncoder;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::families::Architecture;
use crate::nn::Encoder;
use crate::numbering::Numbering;
use crate::tokenizer::{PairTokenizer, Tokens};
use crate::weights;
use burn::nn::Linear;
use rayon::prelude::*;
use std::collections::HashSet;
use std::path::Path;
use whetstone_records::{ModelDir, Progress, Silent};

/// Passages whose vectors are in memory at a time while pairs are scored.
const PASSAGES: usize = 256;
/// How errors call these models.
const FAMILY: &str = "late interaction";
/// The mask, as the families spell it.
const MASKS: [&str; 2] = ["[MASK]", "<mask>"];

/// An encoder and a projection, which turn a text into a vector of length 1 for each of its tokens.
pub struct LateInteraction {
    encoder: Encoder,
    projection: Linear,
    queries: Frame,
    passages: Frame,
    expansion: Expansion,
    /// What fills up a query.
    mask: u32,
    /// Tokens of passages that match nothing.
    skipped: HashSet<u32>,
    prompt: String,
    engine: Engine,
}

/// What makes a sequence of a text.
struct Frame {
    /// Its limit leaves room for the marker.
    tokenizer: PairTokenizer,
    /// Stands after the first token.
    marker: Option<u32>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Query,
    Passage,
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
        let architecture = Architecture::read(model_dir)?;
        let Architecture { family, spec } = architecture;
        let tokenizer = PairTokenizer::open(model_dir, spec.longest_input)?;
        let path = weights::place(model_dir);
        let mut tensors = weights::read(model_dir, &architecture)?;
        tensors.retain(|name, _| !family.names.is_head(name));
        let mut encoder = Encoder::init(&spec, engine.device());
        weights::fill(encoder.parameters(&family.names), tensors, &path, engine)?;
        let projection = projection::read(model_dir, &settings.projection, spec.hidden, engine)?;
        let marker = |token: &Option<String>| {
            token.as_deref().map(|token| needed(&tokenizer, token, model_dir)).transpose()
        };
        let limit = |tokens: usize| tokens.min(spec.longest_input);
        let longest = settings.passage_tokens;
        let passage_tokens = passage_tokens.unwrap_or(longest).min(longest);
        if passage_tokens < FEWEST_TOKENS {
            let path = model_dir.to_path_buf();
            return Err(Error::MaxSeqTokens { path, value: passage_tokens, longest });
        }
        let skipped = settings.skipped.iter();
        let skipped = skipped.filter_map(|word| tokenizer.id_of(word).or(tokenizer.unknown_id()));
        let mask = MASKS.iter().find_map(|token| tokenizer.id_of(token));
        let mask = match (mask, settings.expansion) {
            (Some(mask), _) => mask,
            (None, Expansion::None) => 0,
            (None, _) => needed(&tokenizer, MASKS[0], model_dir)?,
        };
        Ok(Self {
            encoder,
            projection,
            queries: Frame::new(
                &tokenizer,
                marker(&settings.query_marker)?,
                limit(settings.query_tokens),
            ),
            passages: Frame::new(
                &tokenizer,
                marker(&settings.passage_marker)?,
                limit(passage_tokens),
            ),
            expansion: settings.expansion,
            mask,
            skipped: skipped.collect(),
            prompt: settings.prompt,
            engine: engine.clone(),
        })
    }

    /// The length of a vector.
    pub fn width(&self) -> usize {
        self.projection.weight.dims()[1]
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
        let frame = self.frame(kind);
        let texts: Vec<String> =
            texts.iter().map(|text| format!("{}{text}", self.prompt).trim().to_owned()).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let tokens = frame.tokenizer.tokenize(&texts)?;
        let lengths: Vec<usize> = tokens.iter().map(|text| self.len(kind, text)).collect();
        let mut found = vec![Vec::new(); texts.len()];
        for group in self.engine.groups(&lengths) {
            let mut batch = Packed::default();
            group.iter().for_each(|&text| self.join(kind, &tokens[text], &mut batch));
            let vectors = self.engine.all_tokens(&self.encoder, &batch);
            let vectors = vectors.projected(&self.projection, &batch); // [tokens, width]
            for (&text, span) in group.iter().zip(batch.starts.windows(2)) {
                let own = &vectors[span[0] * self.width()..span[1] * self.width()];
                found[text] = self.matched(kind, &batch.ids[span[0]..span[1]], own)?;
            }
            progress.advance(group.len() as u64);
        }
        Ok(TokenVectors::of(self.width(), &found))
    }

    fn frame(&self, kind: Kind) -> &Frame {
        match kind {
            Kind::Query => &self.queries,
            Kind::Passage => &self.passages,
        }
    }

    /// The length of a sequence.
    fn len(&self, kind: Kind, text: &Tokens) -> usize {
        match (kind, self.expansion) {
            (Kind::Passage, _) | (Kind::Query, Expansion::None) => self.frame(kind).len(text),
            (Kind::Query, _) => self.queries.limit(),
        }
    }

    /// Adds a sequence.
    fn join(&self, kind: Kind, text: &Tokens, batch: &mut Packed) {
        self.frame(kind).join(text, batch);
        if kind == Kind::Passage || self.expansion == Expansion::None {
            return;
        }
        if self.expansion == Expansion::UnseenMasks {
            batch.seen.get_or_insert_default().push(self.queries.len(text));
        }
        let masks = self.queries.limit() - self.queries.len(text);
        batch.lengthen(&vec![self.mask; masks]);
    }

    /// The vectors of a sequence that count, each with the length 1.
    fn matched(&self, kind: Kind, ids: &[u32], vectors: &[f32]) -> Result<Vec<f32>> {
        let mut kept = Vec::with_capacity(vectors.len());
        for (id, vector) in ids.iter().zip(vectors.chunks_exact(self.width())) {
            if kind == Kind::Passage && self.skipped.contains(id) {
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

impl Frame {
    /// `limit` is the longest sequence.
    fn new(tokenizer: &PairTokenizer, marker: Option<u32>, limit: usize) -> Self {
        Self { tokenizer: tokenizer.with_limit(limit - usize::from(marker.is_some())), marker }
    }

    /// The length of the longest sequence.
    fn limit(&self) -> usize {
        self.tokenizer.max_seq_tokens() + usize::from(self.marker.is_some())
    }

    /// The length of a sequence.
    fn len(&self, text: &Tokens) -> usize {
        self.tokenizer.text_len(text) + usize::from(self.marker.is_some())
    }

    /// Adds a sequence.
    fn join(&self, text: &Tokens, batch: &mut Packed) {
        let first = batch.tokens();
        self.tokenizer.join_text(text, batch);
        if let Some(marker) = self.marker {
            batch.insert(first + 1, marker);
        }
    }
}

/// Returns the id of a token that the model cannot do without.
fn needed(tokenizer: &PairTokenizer, token: &str, model_dir: &Path) -> Result<u32> {
    let dir = ModelDir::new(model_dir);
    let path = dir.path(dir.tokenizer_files()[0]);
    let missing = || Error::SpecialToken { path, token: token.into(), family: FAMILY };
    tokenizer.id_of(token).ok_or_else(missing)
}
