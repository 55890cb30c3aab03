//! Which tokens of a vocabulary some texts need, and whether they are enough.

use super::model_json::ModelJson;
use crate::error::{Error, Result};
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use tokenizers::{
    NormalizedString, Normalizer, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer,
    Tokenizer,
};
use whetstone_records::{JsonlReader, Passage};

/// Texts that are tokenized at a time.
const BLOCK: usize = 4096;

/// A tokenizer, and the texts whose tokens must stay as they are.
pub(super) struct Source<'a> {
    pub tokenizer: &'a Tokenizer,
    /// Its file, for errors.
    pub path: &'a Path,
    /// JSONL files of passages or queries.
    pub texts: &'a [PathBuf],
}

impl Source<'_> {
    /// Adds the ids of all tokens that the texts have. Returns how many texts there are.
    pub fn add_ids(&self, json: &ModelJson, ids: &mut BTreeSet<u32>) -> Result<u64> {
        let mut count = 0;
        self.each_block(|_, texts| {
            count += texts.len() as u64;
            let found = texts.par_iter().map(|text| self.ids_of(text, json));
            for found in found.collect::<Result<Vec<_>>>()? {
                ids.extend(found);
            }
            Ok(())
        })?;
        Ok(count)
    }

    /// Refuses a vocabulary with which a text has other tokens than before. `ids` are the old ids
    /// of its tokens, in order.
    pub fn check(&self, smaller: &Tokenizer, ids: &[u32]) -> Result<()> {
        self.each_block(|path, texts| {
            let is_split_otherwise = |text: &&String| -> Result<bool> {
                let old = self.encode(self.tokenizer, text)?;
                let new = self.encode(smaller, text)?;
                let back = new.iter().map(|&id| ids.get(id as usize).copied());
                Ok(!back.eq(old.iter().map(|&id| Some(id))))
            };
            let wrong = texts
                .par_iter()
                .filter_map(|text| match is_split_otherwise(&text) {
                    Ok(false) => None,
                    Ok(true) => Some(Ok(text)),
                    Err(error) => Some(Err(error)),
                })
                .find_first(|_| true);
            match wrong.transpose()? {
                None => Ok(()),
                Some(text) => {
                    let text = text.chars().take(60).collect();
                    Err(Error::SplitOtherwise { path: path.into(), text })
                }
            }
        })
    }

    /// Calls `each` with some texts at a time and their file.
    fn each_block(&self, mut each: impl FnMut(&Path, &[String]) -> Result<()>) -> Result<()> {
        for path in self.texts {
            let mut passages = JsonlReader::<Passage>::open(path)?;
            let mut is_empty = true;
            loop {
                let block = passages.by_ref().take(BLOCK);
                let texts = block.map(|passage| Ok(passage?.full_text()));
                let texts = texts.collect::<Result<Vec<_>>>()?;
                if texts.is_empty() {
                    break;
                }
                is_empty = false;
                each(path, &texts)?;
            }
            if is_empty {
                return Err(Error::NoTexts { path: path.into() });
            }
        }
        Ok(())
    }

    fn encode(&self, tokenizer: &Tokenizer, text: &str) -> Result<Vec<u32>> {
        let encoding =
            tokenizer.encode_fast(text, false).map_err(|source| self.unusable(source))?;
        Ok(encoding.get_ids().to_vec())
    }

    fn unusable(&self, source: tokenizers::Error) -> Error {
        Error::Tokenizer { path: self.path.into(), source }
    }

    fn ids_of(&self, text: &str, json: &ModelJson) -> Result<Vec<u32>> {
        let mut ids = self.encode(self.tokenizer, text)?;
        if ids.iter().any(|id| json.unknown() == Some(*id)) {
            for word in self.words(text)? {
                ids.extend(json.pieces_on_the_way(&word));
            }
        }
        Ok(ids)
    }

    /// Splits a text as the tokenizer does before it looks for pieces.
    fn words(&self, text: &str) -> Result<Vec<String>> {
        let mut normal = NormalizedString::from(text);
        if let Some(normalizer) = self.tokenizer.get_normalizer() {
            normalizer.normalize(&mut normal).map_err(|source| self.unusable(source))?;
        }
        let mut words = PreTokenizedString::from(normal);
        if let Some(splitter) = self.tokenizer.get_pre_tokenizer() {
            splitter.pre_tokenize(&mut words).map_err(|source| self.unusable(source))?;
        }
        let words = words.get_splits(OffsetReferential::Normalized, OffsetType::None);
        Ok(words.into_iter().map(|(word, _, _)| word.to_owned()).collect())
    }
}
