use crate::config::BertConfig;
use crate::error::{Error, Result};
use rayon::prelude::*;
use std::path::Path;
use std::sync::Arc;
use tokenizers::Tokenizer;

/// Turns texts and pairs into token ids as BERT reads them: `[CLS] query [SEP] passage [SEP]`, the
/// passage truncated.
#[derive(Clone)]
pub struct PairTokenizer {
    tokenizer: Arc<Tokenizer>,
    cls: u32,
    sep: u32,
    max_seq_tokens: usize,
}

/// The token ids of one text, without special tokens.
pub type Tokens = Arc<[u32]>;

impl PairTokenizer {
    /// Reads `tokenizer.json` of a model folder.
    ///
    /// # Errors
    /// `max_seq_tokens` beyond the model's positions; a file that is missing or no BERT tokenizer.
    pub fn open(model_dir: &Path, max_seq_tokens: usize) -> Result<Self> {
        let positions = BertConfig::load(model_dir)?.max_position_embeddings;
        if !(8..=positions).contains(&max_seq_tokens) {
            return Err(Error::MaxSeqTokens { value: max_seq_tokens, positions });
        }
        let path = model_dir.join("tokenizer.json");
        let bytes = std::fs::read(&path).map_err(Error::io("read", &path))?;
        let mut tokenizer = Tokenizer::from_bytes(bytes)
            .map_err(|source| Error::Tokenizer { path: path.clone(), source })?;
        // The file may ask for truncation and padding of its own; both are done here instead.
        tokenizer.with_padding(None);
        tokenizer
            .with_truncation(None)
            .map_err(|source| Error::Tokenizer { path: path.clone(), source })?;
        let special = |token: &'static str| {
            tokenizer
                .token_to_id(token)
                .ok_or_else(|| Error::SpecialToken { path: path.clone(), token })
        };
        let (cls, sep) = (special("[CLS]")?, special("[SEP]")?);
        Ok(Self { tokenizer: Arc::new(tokenizer), cls, sep, max_seq_tokens })
    }

    /// Returns the limit that the model was trained with: sentence-transformers' file, else the
    /// tokenizer's, else the model's positions.
    pub fn stored_limit(model_dir: &Path) -> Result<usize> {
        let positions = BertConfig::load(model_dir)?.max_position_embeddings;
        let stored = [
            ("sentence_bert_config.json", "max_seq_length"),
            ("tokenizer_config.json", "model_max_length"),
        ]
        .into_iter()
        .find_map(|(file, key)| {
            let bytes = std::fs::read(model_dir.join(file)).ok()?;
            let json: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
            usize::try_from(json.get(key)?.as_u64()?).ok()
        });
        // transformers writes 1e30 where a tokenizer has no limit of its own.
        Ok(stored.unwrap_or(positions).clamp(8, positions))
    }

    pub fn max_seq_tokens(&self) -> usize {
        self.max_seq_tokens
    }

    /// Returns the ids of each text, without special tokens, in the order given; runs on all cores.
    pub fn tokenize(&self, texts: &[&str]) -> Result<Vec<Tokens>> {
        texts.par_iter().map(|text| self.tokenize_one(text)).collect()
    }

    fn tokenize_one(&self, text: &str) -> Result<Tokens> {
        let encoding = self.tokenizer.encode_fast(text, false).map_err(Error::Tokenize)?;
        Ok(encoding.get_ids().into())
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

    /// Returns the length of a pair before truncation, special tokens included.
    pub fn pair_tokens(&self, query: &str, passage: &str) -> Result<usize> {
        Ok(self.count(query)? + self.count(passage)? + 3)
    }

    /// Joins a query and a passage; only the passage is truncated, unless the query alone is too
    /// long.
    pub(crate) fn join_pair(&self, query: &[u32], passage: &[u32], into: &mut Packed) {
        let query = &query[..query.len().min(self.max_seq_tokens - 3)];
        let passage = &passage[..passage.len().min(self.max_seq_tokens - 3 - query.len())];
        into.push(std::iter::once(self.cls).chain(query.iter().copied()).chain([self.sep]), 0);
        into.push(passage.iter().copied().chain([self.sep]), 1);
        into.end_sequence();
    }

    /// `[CLS] text [SEP]`, truncated.
    pub(crate) fn join_text(&self, text: &[u32], into: &mut Packed) {
        let text = &text[..text.len().min(self.max_seq_tokens - 2)];
        into.push(std::iter::once(self.cls).chain(text.iter().copied()).chain([self.sep]), 0);
        into.end_sequence();
    }

    /// The length of a joined pair after truncation.
    pub fn joined_len(&self, query: &[u32], passage: &[u32]) -> usize {
        (query.len() + passage.len() + 3).min(self.max_seq_tokens)
    }

    /// Returns a batch of pairs of tokenized texts.
    pub fn batch<'a>(&self, pairs: impl IntoIterator<Item = (&'a Tokens, &'a Tokens)>) -> Packed {
        let mut packed = Packed::default();
        for (query, passage) in pairs {
            self.join_pair(query, passage, &mut packed);
        }
        packed
    }
}

/// A batch of sequences, one after the other, without padding.
#[derive(Clone, Debug, PartialEq)]
pub struct Packed {
    /// Token ids, `[tokens]`.
    pub ids: Vec<u32>,
    /// 0 for the query, 1 for the passage, `[tokens]`.
    pub types: Vec<u32>,
    /// First token of each sequence, and the number of tokens at the end.
    pub starts: Vec<usize>,
}

impl Default for Packed {
    fn default() -> Self {
        Self { ids: Vec::new(), types: Vec::new(), starts: vec![0] }
    }
}

impl Packed {
    fn push(&mut self, ids: impl Iterator<Item = u32>, token_type: u32) {
        self.ids.extend(ids);
        self.types.resize(self.ids.len(), token_type);
    }

    fn end_sequence(&mut self) {
        self.starts.push(self.ids.len());
    }

    /// How many sequences there are.
    pub fn sequences(&self) -> usize {
        self.starts.len() - 1
    }

    /// How many tokens there are.
    pub fn tokens(&self) -> usize {
        self.ids.len()
    }

    /// The length of the longest sequence.
    pub fn longest(&self) -> usize {
        self.starts.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0)
    }
}
