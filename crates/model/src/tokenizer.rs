//! Turns texts into token ids, joined as a family reads them.

use crate::batch::Packed;
use crate::error::{Error, Result};
use crate::families::{Architecture, Piece, Template};
use crate::late_interaction::{Framing, Kind, Settings};
use crate::spec::SHORTEST_INPUT;
use crate::tokenizer_files::read_tokenizer;
use rayon::prelude::*;
use serde::Deserialize;
use std::path::Path;
use std::sync::Arc;
use tokenizers::Tokenizer;
use whetstone_records::{ModelDir, read_bytes, read_json};

/// Turns texts and pairs into token ids as the model's family reads them, the passage truncated.
#[derive(Clone)]
pub struct PairTokenizer {
    tokenizer: Arc<Tokenizer>,
    pair: Joint,
    text: Joint,
    max_seq_tokens: usize,
    /// Present if query and passage are sequences of their own.
    apart: Option<Arc<Framing>>,
}

/// What vocabularies call a word that they have no pieces for.
const UNKNOWN: [&str; 2] = ["[UNK]", "<unk>"];

/// The token ids of one text, without special tokens.
pub type Tokens = Arc<[u32]>;

/// A template with its special tokens looked up, each part with its token type.
#[derive(Clone)]
struct Joint {
    parts: Vec<(Part, u32)>,
    specials: usize,
}

#[derive(Clone, Copy)]
enum Part {
    Special(u32),
    Query,
    Passage,
}

/// Returns the words in the first `bytes` of a text; None where that is all of it, or no whole word.
/// No token reaches over a space, so their tokens are those of the text.
fn whole_words(text: &str, bytes: usize) -> Option<&str> {
    let beginning = text.get(..text.floor_char_boundary(bytes))?;
    let words = beginning[..beginning.rfind(char::is_whitespace)?].trim_end();
    (bytes < text.len() && !words.is_empty()).then_some(words)
}

impl PairTokenizer {
    /// Reads the tokenizer of a model folder.
    ///
    /// # Errors
    /// `max_seq_tokens` beyond the model's longest input; a file that is missing, is no tokenizer
    /// of the model's family, or has more tokens than the model embeds.
    pub fn open(model_dir: &Path, max_seq_tokens: usize) -> Result<Self> {
        let Architecture { family, spec } = Architecture::read(model_dir)?;
        let longest = spec.longest_input;
        if !(SHORTEST_INPUT..=longest).contains(&max_seq_tokens) {
            return Err(Error::MaxSeqTokens {
                path: model_dir.into(),
                value: max_seq_tokens,
                longest,
            });
        }
        let dir = ModelDir::new(model_dir);
        let path = dir.path(dir.tokenizer_files()[0]);
        let tokenizer = read_tokenizer(model_dir)?;
        let tokens = tokenizer.get_vocab(true).into_values().max().map_or(0, |id| id as usize + 1);
        if tokens > spec.vocabulary {
            return Err(Error::Vocabulary { path, tokens, embeddings: spec.vocabulary });
        }
        let Template { pair, text } = family.template;
        let typed = has_token_types(&dir)?;
        let of = |pieces| Joint::new(pieces, &tokenizer, (family.model_type, &path));
        let [pair, text] = [pair, text].map(|pieces| of(pieces).map(|joint| joint.typed(typed)));
        Ok(Self {
            tokenizer: Arc::new(tokenizer),
            pair: pair?,
            text: text?,
            max_seq_tokens,
            apart: None,
        })
    }

    /// The same for whatever kind of model the folder holds. A late interaction reads query and
    /// passage apart, and `max_seq_tokens` is that of a passage, if its own limit is no lower.
    pub fn for_scoring(model_dir: &Path, max_seq_tokens: usize) -> Result<Self> {
        match Settings::read(model_dir)? {
            Some(settings) => Self::open_apart(model_dir, &settings, max_seq_tokens),
            None => Self::open(model_dir, max_seq_tokens),
        }
    }

    /// The same for a late interaction, and for an encoder that is to become one.
    pub fn for_late_interaction(model_dir: &Path, max_seq_tokens: usize) -> Result<Self> {
        let settings = Settings::read_or_make(model_dir, None)?;
        Self::open_apart(model_dir, &settings, max_seq_tokens)
    }

    fn open_apart(model_dir: &Path, settings: &Settings, max_seq_tokens: usize) -> Result<Self> {
        let longest = Architecture::read(model_dir)?.spec.longest_input;
        let framing = Framing::open(model_dir, settings, Some(max_seq_tokens), longest)?;
        let tokenizer = Self::open(model_dir, framing.passage_limit())?;
        Ok(Self { apart: Some(Arc::new(framing)), ..tokenizer })
    }

    /// Returns the length limit of the model's training: from sentence-transformers' file, else the
    /// tokenizer's, else the model's longest input.
    pub fn stored_limit(model_dir: &Path) -> Result<usize> {
        let longest = Architecture::read(model_dir)?.spec.longest_input;
        let stored = [
            (ModelDir::SENTENCE_CONFIG, "max_seq_length"),
            (ModelDir::TOKENIZER_CONFIG, "model_max_length"),
        ]
        .into_iter()
        .find_map(|(file, key)| {
            let bytes = read_bytes(&model_dir.join(file)).ok()?;
            let json: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
            usize::try_from(json.get(key)?.as_u64()?).ok()
        });
        // transformers writes 1e30 if a tokenizer has no limit of its own.
        Ok(stored.unwrap_or(longest).clamp(SHORTEST_INPUT, longest))
    }

    pub fn max_seq_tokens(&self) -> usize {
        self.max_seq_tokens
    }

    /// The same tokenizer with another limit, which the special tokens must fit into.
    pub(crate) fn with_limit(&self, max_seq_tokens: usize) -> Self {
        Self { max_seq_tokens, ..self.clone() }
    }

    /// Returns the id of a token of the vocabulary.
    pub(crate) fn id_of(&self, token: &str) -> Option<u32> {
        self.tokenizer.token_to_id(token)
    }

    /// Returns the id that stands for what has no pieces in the vocabulary.
    pub(crate) fn unknown_id(&self) -> Option<u32> {
        UNKNOWN.iter().find_map(|token| self.id_of(token))
    }

    /// Returns the ids of each text, without special tokens, in the order given; runs on all cores.
    pub fn tokenize(&self, texts: &[&str]) -> Result<Vec<Tokens>> {
        texts.par_iter().map(|text| self.tokenize_one(text)).collect()
    }

    pub(crate) fn tokenize_one(&self, text: &str) -> Result<Tokens> {
        let text = self.apart.as_ref().map_or(text.into(), |apart| apart.prompted(text));
        let encoding = self.tokenizer.encode_fast(&*text, false).map_err(Error::Tokenize)?;
        Ok(encoding.get_ids().into())
    }

    /// Returns at least the first `most` ids of a text, or all if it has fewer, on the calling
    /// thread. Reads no more of a long text than it takes.
    pub fn first_tokens(&self, text: &str, most: usize) -> Result<Tokens> {
        // Tokens of English have 4 to 5 bytes.
        let mut bytes = most.saturating_mul(8);
        while let Some(beginning) = whole_words(text, bytes) {
            let tokens = self.tokenize_one(beginning)?;
            if tokens.len() >= most {
                return Ok(tokens);
            }
            bytes = bytes.saturating_mul(4);
        }
        self.tokenize_one(text)
    }

    /// Returns the number of tokens of a text, without special tokens.
    pub fn count(&self, text: &str) -> Result<usize> {
        Ok(self.tokenize_one(text)?.len())
    }

    /// Returns the span in bytes of every token of a text, without special tokens.
    pub fn offsets(&self, text: &str) -> Result<Vec<(usize, usize)>> {
        let encoding = self.tokenizer.encode(text, false).map_err(Error::Tokenize)?;
        Ok(encoding.get_offsets().to_vec())
    }

    /// Returns the share of the letters of some texts in words that the tokenizer has no pieces
    /// for. To the model, all of these words are one and the same token.
    pub fn unknown_fraction(&self, texts: &[&str]) -> Result<f64> {
        let unknown = self.unknown_id();
        let letters = |text: &&str| {
            let encoding = self.tokenizer.encode(*text, false).map_err(Error::Tokenize)?;
            let tokens = encoding.get_ids().iter().zip(encoding.get_offsets());
            let count = |(start, end): (usize, usize)| {
                text.get(start..end).map_or(0, |word| word.chars().count())
            };
            Ok(tokens.fold([0, 0], |[of_unknown, all], (id, span)| {
                let letters = count(*span);
                [of_unknown + if Some(*id) == unknown { letters } else { 0 }, all + letters]
            }))
        };
        let counted = texts.par_iter().map(letters).collect::<Result<Vec<[usize; 2]>>>()?;
        let sum = |which: usize| counted.iter().map(|letters| letters[which]).sum::<usize>() as f64;
        Ok(sum(0) / sum(1).max(1.0))
    }

    /// How many tokens of a pair's limit no text gets: the special ones.
    pub fn special_tokens(&self) -> usize {
        self.apart.as_ref().map_or(self.pair.specials, |apart| apart.special_tokens())
    }

    /// How many tokens of a pair's limit a query takes from the passage.
    pub fn tokens_of_query(&self, query: &[u32]) -> usize {
        if self.apart.is_some() { 0 } else { query.len() }
    }

    /// Returns the length of a pair before truncation, special tokens included.
    pub fn pair_tokens(&self, query: &str, passage: &str) -> Result<usize> {
        Ok(self.count(query)? + self.count(passage)? + self.pair.specials)
    }

    /// Joins a query and a passage. Only the passage is truncated, unless the query alone is too
    /// long.
    pub(crate) fn join_pair(&self, query: &[u32], passage: &[u32], into: &mut Packed) {
        self.pair.join(query, passage, self.max_seq_tokens, into);
    }

    /// Makes a sequence of one text, truncated.
    pub(crate) fn join_text(&self, text: &[u32], into: &mut Packed) {
        self.text.join(text, &[], self.max_seq_tokens, into);
    }

    /// How many tokens the network computes for a pair, after truncation.
    pub fn joined_len(&self, query: &[u32], passage: &[u32]) -> usize {
        if let Some(apart) = &self.apart {
            return apart.len(Kind::Query, query) + apart.len(Kind::Passage, passage);
        }
        (query.len() + passage.len() + self.pair.specials).min(self.max_seq_tokens)
    }

    /// The length of a sequence of one text after truncation.
    pub(crate) fn text_len(&self, text: &[u32]) -> usize {
        (text.len() + self.text.specials).min(self.max_seq_tokens)
    }

    /// Returns a batch of pairs of tokenized texts.
    pub fn batch<'a>(&self, pairs: impl IntoIterator<Item = (&'a Tokens, &'a Tokens)>) -> Packed {
        if let Some(apart) = &self.apart {
            return apart.batch(pairs);
        }
        let mut packed = Packed::default();
        for (query, passage) in pairs {
            self.join_pair(query, passage, &mut packed);
        }
        packed
    }
}

/// Whether the model was trained with token types, which the settings of its tokenizer may deny.
fn has_token_types(dir: &ModelDir) -> Result<bool> {
    #[derive(Deserialize)]
    struct Inputs {
        model_input_names: Option<Vec<String>>,
    }
    let inputs: Option<Inputs> = read_json(&dir.tokenizer_config())?;
    let names = inputs.and_then(|inputs| inputs.model_input_names);
    Ok(names.is_none_or(|names| names.iter().any(|name| name == "token_type_ids")))
}

impl Joint {
    fn new(
        pieces: &[(Piece, u32)],
        tokenizer: &Tokenizer,
        (family, path): (&'static str, &Path),
    ) -> Result<Self> {
        let part = |&(piece, kind): &(Piece, u32)| {
            let part = match piece {
                Piece::Query => Part::Query,
                Piece::Passage => Part::Passage,
                Piece::Special(token) => {
                    Part::Special(tokenizer.token_to_id(token).ok_or_else(|| {
                        Error::SpecialToken { path: path.into(), token: token.into(), family }
                    })?)
                }
            };
            Ok((part, kind))
        };
        let parts = pieces.iter().map(part).collect::<Result<Vec<_>>>()?;
        let specials = parts.iter().filter(|(part, _)| matches!(part, Part::Special(_))).count();
        Ok(Self { parts, specials })
    }

    /// Without token types, all parts have the first one.
    fn typed(mut self, typed: bool) -> Self {
        self.parts.iter_mut().filter(|_| !typed).for_each(|(_, kind)| *kind = 0);
        self
    }

    /// Adds a sequence of at most `limit` tokens.
    fn join(&self, query: &[u32], passage: &[u32], limit: usize, into: &mut Packed) {
        let room = limit - self.specials;
        let query = &query[..query.len().min(room)];
        let passage = &passage[..passage.len().min(room - query.len())];
        for (part, kind) in &self.parts {
            match part {
                Part::Special(id) => into.push(&[*id], *kind),
                Part::Query => into.push(query, *kind),
                Part::Passage => into.push(passage, *kind),
            }
        }
        into.end_sequence();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_tokens_of_a_long_text_are_those_of_the_whole() {
        let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/oracles/tiny-model");
        let tokenizer = PairTokenizer::open(Path::new(model), 64).unwrap();
        let spaced = "Déjà vu: valves,\n\n  pumps \t& filters (once a week)... ".repeat(300);
        let unspaced = "水が弱い".repeat(500);
        for text in [&spaced, &unspaced, "", "  ", "one two"] {
            let whole = tokenizer.tokenize(&[text]).unwrap().remove(0);
            for most in [0, 1, 7, 64, 1000, usize::MAX] {
                let first = tokenizer.first_tokens(text, most).unwrap();
                assert!(first.len() >= most.min(whole.len()) && whole.starts_with(&first));
            }
        }
        assert!(tokenizer.first_tokens(&spaced, 64).unwrap().len() < 200);
    }
}
