//! What makes a sequence of a query and of a passage.

use super::settings::{Expansion, FEWEST_TOKENS, Settings};
use crate::batch::{Compared, Packed};
use crate::error::{Error, Result};
use crate::tokenizer::{PairTokenizer, Tokens};
use std::borrow::Cow;
use std::collections::HashSet;
use std::path::Path;
use whetstone_records::ModelDir;

/// How errors call these models.
const FAMILY: &str = "late interaction";
/// The mask, as the families spell it.
const MASKS: [&str; 2] = ["[MASK]", "<mask>"];

/// Turns queries and passages into sequences of their own.
pub(crate) struct Framing {
    queries: Frame,
    passages: Frame,
    expansion: Expansion,
    /// What fills up a query.
    mask: u32,
    /// Tokens of passages that match nothing.
    skipped: HashSet<u32>,
    prompt: String,
}

/// What makes a sequence of a text.
struct Frame {
    /// Its limit leaves room for the marker.
    tokenizer: PairTokenizer,
    /// Stands after the first token.
    marker: Option<u32>,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    Query,
    Passage,
}

impl Framing {
    /// Reads the tokenizer of a model folder, whose network takes `longest_input` tokens. Passages
    /// are cut at `passage_tokens` if that is less than the model's own limit.
    pub fn open(
        model_dir: &Path,
        settings: &Settings,
        passage_tokens: Option<usize>,
        longest_input: usize,
    ) -> Result<Self> {
        let tokenizer = PairTokenizer::open(model_dir, longest_input)?;
        let longest = settings.passage_tokens;
        let passage_tokens = passage_tokens.unwrap_or(longest).min(longest);
        if passage_tokens < FEWEST_TOKENS {
            let path = model_dir.to_path_buf();
            return Err(Error::MaxSeqTokens { path, value: passage_tokens, longest });
        }
        let frame = |marker: &Option<String>, tokens: usize| {
            let marker = marker.as_deref().map(|token| needed(&tokenizer, token, model_dir));
            Ok::<_, Error>(Frame::new(&tokenizer, marker.transpose()?, tokens.min(longest_input)))
        };
        let skipped = settings.skipped.iter();
        let skipped = skipped.filter_map(|word| tokenizer.id_of(word).or(tokenizer.unknown_id()));
        let mask = MASKS.iter().find_map(|token| tokenizer.id_of(token));
        let mask = match (mask, settings.expansion) {
            (Some(mask), _) => mask,
            (None, Expansion::None) => 0,
            (None, _) => needed(&tokenizer, MASKS[0], model_dir)?,
        };
        Ok(Self {
            queries: frame(&settings.query_marker, settings.query_tokens)?,
            passages: frame(&settings.passage_marker, passage_tokens)?,
            expansion: settings.expansion,
            mask,
            skipped: skipped.collect(),
            prompt: settings.prompt.clone(),
        })
    }

    /// Returns a text as the model reads it, with its prompt.
    pub fn prompted<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.prompt.is_empty() {
            true => text.trim().into(),
            false => format!("{}{text}", self.prompt).trim().to_owned().into(),
        }
    }

    /// Returns the ids of tokens that belong to no text but decide a score.
    pub fn needed_ids(&self) -> Result<Vec<u32>> {
        let mut ids = self.passages.tokenizer.tokenize_one(&self.prompt)?.to_vec();
        ids.extend(self.queries.marker.iter().chain(&self.passages.marker).chain(&self.skipped));
        if self.expansion != Expansion::None {
            ids.push(self.mask);
        }
        Ok(ids)
    }

    /// Returns the tokens of each text.
    pub fn tokenize(&self, texts: &[&str]) -> Result<Vec<Tokens>> {
        let texts: Vec<Cow<str>> = texts.iter().map(|text| self.prompted(text)).collect();
        self.passages.tokenizer.tokenize(&texts.iter().map(|text| &**text).collect::<Vec<_>>())
    }

    /// Tokens after which a passage is cut.
    pub fn passage_limit(&self) -> usize {
        self.passages.limit()
    }

    /// Tokens around those of a passage's text.
    pub fn special_tokens(&self) -> usize {
        self.passages.len(&Tokens::default())
    }

    /// The length of a sequence.
    pub fn len(&self, kind: Kind, text: &[u32]) -> usize {
        match (kind, self.expansion) {
            (Kind::Passage, _) => self.passages.len(text),
            (Kind::Query, Expansion::None) => self.queries.len(text),
            (Kind::Query, _) => self.queries.limit(),
        }
    }

    /// Adds a sequence.
    pub fn join(&self, kind: Kind, text: &[u32], batch: &mut Packed) {
        if kind == Kind::Passage {
            return self.passages.join(text, batch);
        }
        self.queries.join(text, batch);
        if self.expansion == Expansion::None {
            return;
        }
        let own = self.queries.len(text);
        if self.expansion == Expansion::UnseenMasks {
            batch.seen.get_or_insert_default().push(own);
        }
        batch.lengthen(&vec![self.mask; self.queries.limit() - own]);
    }

    /// Whether a token of such a text matches nothing.
    pub fn skips(&self, kind: Kind, id: u32) -> bool {
        kind == Kind::Passage && self.skipped.contains(&id)
    }

    /// Returns a batch of pairs. Pairs of one query that follow each other share its sequence.
    pub fn batch<'a>(&self, pairs: impl IntoIterator<Item = (&'a Tokens, &'a Tokens)>) -> Packed {
        let (mut batch, mut compared) = (Packed::default(), Compared::default());
        let mut last: Option<(&Tokens, usize)> = None;
        for (query, passage) in pairs {
            let place = match last {
                Some((earlier, place)) if earlier == query => place,
                _ => self.add(Kind::Query, query, &mut batch, &mut compared),
            };
            last = Some((query, place));
            let passage = self.add(Kind::Passage, passage, &mut batch, &mut compared);
            compared.pairs.push([place, passage]);
        }
        Packed { compared: Some(compared), ..batch }
    }

    /// Adds a sequence, and returns its number.
    fn add(&self, kind: Kind, text: &[u32], batch: &mut Packed, compared: &mut Compared) -> usize {
        let (first, place) = (batch.tokens(), batch.sequences());
        self.join(kind, text, batch);
        // Attention sees all of a passage.
        if let (Kind::Passage, Some(seen)) = (kind, &mut batch.seen) {
            seen.push(batch.ids.len() - first);
        }
        compared.skipped.extend(batch.ids[first..].iter().map(|&id| self.skips(kind, id)));
        place
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
    fn len(&self, text: &[u32]) -> usize {
        self.tokenizer.text_len(text) + usize::from(self.marker.is_some())
    }

    /// Adds a sequence.
    fn join(&self, text: &[u32], batch: &mut Packed) {
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
