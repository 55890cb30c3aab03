//! Vectors of the tokens of texts as f16, in memory and in files, so that no text is encoded twice.

use crate::error::Result;
use crate::shards::{Shards, check_finite};
use half::f16;
use half::slice::HalfFloatSliceExt;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use std::ops::Range;
use std::path::Path;
use whetstone_model::TokenVectors;
use whetstone_records::Progress;

/// Texts per file: the most that a stopped run loses. Their vectors take about 50 MB.
const SHARD: usize = 1024;
const VECTORS: &str = "vectors";
/// The number of tokens of each text.
const TOKENS: &str = "tokens";

/// The vectors of some texts.
#[derive(Debug, PartialEq)]
pub struct TokenStore {
    pub width: usize,
    /// `[tokens, width]`.
    values: Vec<f16>,
    /// The first token of each text, then the number of tokens.
    starts: Vec<usize>,
}

/// Where vectors are kept.
pub struct TokenCache<'a> {
    pub width: usize,
    /// None where nothing is kept.
    pub shards: Option<Shards>,
    pub progress: &'a dyn Progress,
}

impl TokenCache<'_> {
    /// Encodes texts, or reads what an earlier run of the same model kept of them. A file that does
    /// not match or cannot be read is made again. `encode` advances the progress by every text.
    pub fn encode(
        &self,
        role: &str,
        texts: &[&str],
        encode: impl Fn(&[&str]) -> Result<TokenVectors>,
    ) -> Result<TokenStore> {
        self.progress.start(&format!("encode {role}"), Some(texts.len() as u64), role);
        let mut store = TokenStore { width: self.width, values: vec![], starts: vec![0] };
        for (number, texts) in texts.chunks(SHARD).enumerate() {
            let Some(shards) = &self.shards else {
                store.extend(TokenStore::of(&encode(texts)?)?);
                continue;
            };
            let (path, digest) = (shards.path(role, number), shards.digest(texts));
            match TokenStore::read(&path, &digest, (texts.len(), self.width)) {
                Some(shard) => {
                    store.extend(shard);
                    self.progress.advance(texts.len() as u64);
                }
                None => {
                    let shard = TokenStore::of(&encode(texts)?)?;
                    shard.write(&path, &digest)?;
                    store.extend(shard);
                }
            }
        }
        if let Some(shards) = &self.shards {
            shards.remove_from(role, texts.len().div_ceil(SHARD))?;
        }
        self.progress.finish();
        Ok(store)
    }
}

impl TokenStore {
    pub fn of(vectors: &TokenVectors) -> Result<Self> {
        check_finite(&vectors.values)?;
        let mut values = vec![f16::ZERO; vectors.values.len()];
        values.convert_from_f32_slice(&vectors.values);
        Ok(Self { width: vectors.width, values, starts: vectors.starts.clone() })
    }

    /// How many texts there are.
    pub fn texts(&self) -> usize {
        self.starts.len() - 1
    }

    /// How many tokens some texts have.
    pub fn tokens(&self, texts: Range<usize>) -> usize {
        self.starts[texts.end] - self.starts[texts.start]
    }

    /// Puts the vectors of some texts into `values`, `[tokens, width]`.
    pub fn load(&self, texts: Range<usize>, values: &mut Vec<f32>) {
        let own = &self.values[self.starts[texts.start] * self.width..]
            [..self.tokens(texts.clone()) * self.width];
        values.resize(own.len(), 0.0);
        own.convert_to_f32_slice(values);
    }

    fn extend(&mut self, more: Self) {
        let tokens = self.starts[self.texts()];
        self.values.extend(more.values);
        self.starts.extend(more.starts[1..].iter().map(|start| tokens + start));
    }

    fn read(path: &Path, digest: &str, (texts, width): (usize, usize)) -> Option<Self> {
        Shards::read(path, digest, |shard| Self::of_shard(shard, texts, width))
    }

    fn of_shard(shard: &SafeTensors, texts: usize, width: usize) -> Option<Self> {
        let tokens = shard.tensor(TOKENS).ok()?;
        if tokens.dtype() != Dtype::U32 || tokens.shape() != [texts] {
            return None;
        }
        let mut starts = vec![0];
        for count in tokens.data().as_chunks::<4>().0 {
            starts.push(starts[starts.len() - 1] + u32::from_le_bytes(*count) as usize);
        }
        let vectors = shard.tensor(VECTORS).ok()?;
        if vectors.dtype() != Dtype::F16 || vectors.shape() != [starts[texts], width] {
            return None;
        }
        let values = vectors.data().as_chunks::<2>().0.iter();
        Some(Self {
            width,
            values: values.map(|bytes| f16::from_le_bytes(*bytes)).collect(),
            starts,
        })
    }

    fn write(&self, path: &Path, digest: &str) -> Result<()> {
        let counts = self.starts.windows(2).map(|pair| (pair[1] - pair[0]) as u32);
        let counts: Vec<u8> = counts.flat_map(u32::to_le_bytes).collect();
        let values: Vec<u8> = self.values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let shape = vec![self.starts[self.texts()], self.width];
        let whole = "as many bytes as the shape says";
        let vectors = TensorView::new(Dtype::F16, shape, &values).expect(whole);
        let tokens = TensorView::new(Dtype::U32, vec![self.texts()], &counts).expect(whole);
        Shards::write(path, digest, vec![(VECTORS, vectors), (TOKENS, tokens)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use whetstone_records::Silent;

    /// As many tokens as a text has letters; texts of no letter have none.
    fn vectors(texts: &[&str]) -> TokenVectors {
        let mut found = TokenVectors { width: 2, values: vec![], starts: vec![0] };
        for text in texts {
            found.values.extend(text.bytes().flat_map(|letter| [f32::from(letter) / 128.0, 0.5]));
            found.starts.push(found.values.len() / 2);
        }
        found
    }

    /// Also returns how many texts were encoded.
    fn encode(folder: Option<&Path>, model: &str, texts: &[&str]) -> (TokenStore, usize) {
        let asked = Cell::new(0);
        let encode = |texts: &[&str]| {
            asked.set(asked.get() + texts.len());
            Ok(vectors(texts))
        };
        let shards = folder.map(|folder| Shards { folder: folder.into(), model: model.into() });
        let cache = TokenCache { width: 2, shards, progress: &Silent };
        (cache.encode("passages", texts, encode).unwrap(), asked.get())
    }

    #[test]
    fn what_was_kept_is_what_was_encoded_and_is_not_encoded_again() {
        let folder = tempfile::tempdir().unwrap();
        let words: Vec<String> = (0..SHARD + 3).map(|number| "x".repeat(number % 7)).collect();
        let texts: Vec<&str> = words.iter().map(String::as_str).collect();
        let (first, asked) = encode(Some(folder.path()), "m", &texts);
        assert_eq!((first.texts(), asked), (SHARD + 3, SHARD + 3));
        let (second, asked) = encode(Some(folder.path()), "m", &texts);
        assert_eq!((&second, asked), (&first, 0));
        assert_eq!(encode(None, "m", &texts), (first, SHARD + 3));
        let mut values = Vec::new();
        second.load(6..8, &mut values);
        assert_eq!(values, vectors(&["xxxxxx", ""]).values);
    }

    #[test]
    fn other_texts_another_model_and_half_a_file_are_encoded_anew() {
        let folder = tempfile::tempdir().unwrap();
        let count = |model: &str, texts: &[&str]| encode(Some(folder.path()), model, texts).1;
        assert_eq!(count("m", &["a", "bc"]), 2);
        assert_eq!(count("m", &["a", "bd"]), 2);
        assert_eq!(count("other", &["a", "bd"]), 2);
        let path = folder.path().join("passages-00000.safetensors");
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert_eq!((count("other", &["a", "bd"]), count("other", &["a", "bd"])), (2, 0));
    }
}
