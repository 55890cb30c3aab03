//! The parts of a model that come in several forms: weights in one file or in many, a tokenizer in
//! one file or as a vocabulary.

use crate::error::{Error, Result};
use crate::io::{read_json, sha256_bytes, sha256_file};
use crate::layout::ModelDir;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

impl ModelDir {
    /// The forms of a tokenizer, the best one first.
    pub const TOKENIZERS: [&'static [&'static str]; 3] =
        [&[Self::TOKENIZER], &[Self::VOCABULARY], &[Self::BPE_VOCABULARY, Self::MERGES]];
    /// Pickled weights, which can run code when they are read.
    pub const PICKLED: &'static str = "pytorch_model.bin";
    /// Weights of other forms and frameworks.
    pub const OTHER_WEIGHTS: [&'static str; 3] =
        [Self::PICKLED, "tf_model.h5", "flax_model.msgpack"];
    /// Tokenizers that must be converted.
    pub const SENTENCE_PIECE: [&'static str; 3] =
        ["sentencepiece.bpe.model", "spm.model", "spiece.model"];

    /// Returns the files of the best form of a tokenizer among those that are there.
    pub fn tokenizer_among(there: impl Fn(&str) -> bool) -> Option<&'static [&'static str]> {
        Self::TOKENIZERS.into_iter().find(|files| files.iter().all(|file| there(file)))
    }

    /// Returns the files of the tokenizer, below the folder. Where there is none, those to wish for.
    pub fn tokenizer_files(&self) -> &'static [&'static str] {
        let there = |file: &str| self.path(file).is_file();
        Self::tokenizer_among(there).unwrap_or(Self::TOKENIZERS[0])
    }

    /// Returns how to make the file that a folder needs in place of `path`: a line of Python where
    /// there is one.
    pub fn conversion(path: &Path) -> String {
        let folder = path.parent().unwrap_or(path).display();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let line = if Self::SENTENCE_PIECE.contains(&name) {
            format!(
                "from transformers import AutoTokenizer as T; \
                 T.from_pretrained('{folder}').save_pretrained('{folder}')"
            )
        } else if name == Self::PICKLED {
            format!(
                "import torch, safetensors.torch as s; w = torch.load('{folder}/{name}', \
                 weights_only=True); s.save_file({{k: w[k].clone().contiguous() for k in w}}, \
                 '{folder}/{}')",
                Self::WEIGHTS
            )
        } else {
            return format!("choose a model that has {}", Self::WEIGHTS);
        };
        format!("this writes the file that is needed: python -c \"{line}\"")
    }

    /// Returns the files of the weights, below the folder: one file, or an index and its parts.
    ///
    /// # Errors
    /// An index that is damaged or names files elsewhere.
    pub fn weight_files(&self) -> Result<Vec<String>> {
        let index = self.weights_index();
        if self.weights().is_file() || !index.is_file() {
            return Ok(vec![Self::WEIGHTS.to_owned()]);
        }
        let parts = Self::parts_of(&index)?;
        Ok(std::iter::once(Self::WEIGHTS_INDEX.to_owned()).chain(parts).collect())
    }

    /// Returns the files that an index of weights names, sorted.
    pub fn parts_of(index: &Path) -> Result<BTreeSet<String>> {
        #[derive(Deserialize)]
        struct Index {
            weight_map: BTreeMap<String, String>,
        }
        let map = read_json::<Index>(index)?.map(|index| index.weight_map).unwrap_or_default();
        let parts: BTreeSet<String> = map.into_values().collect();
        let is_beside = |name: &String| {
            name.ends_with(".safetensors") && !name.contains(['/', '\\']) && !name.starts_with('.')
        };
        match parts.iter().find(|name| !is_beside(name)) {
            Some(name) => Err(Error::Part { path: index.into(), name: name.clone() }),
            None if parts.is_empty() => Err(Error::Empty { path: index.into() }),
            None => Ok(parts),
        }
    }

    /// Returns the files that decide what a model says of a pair, each with its role.
    pub fn parts(&self) -> Result<Vec<(String, PathBuf)>> {
        let mut parts = self.with_roles("weights", &self.weight_files()?);
        parts.push(("config".into(), self.config()));
        parts.extend(self.with_roles("tokenizer", self.tokenizer_files()));
        let late = self.late_interaction_files();
        parts.extend(late.into_iter().map(|file| (file.to_owned(), self.path(file))));
        Ok(parts)
    }

    /// Returns the files that only a model of late interaction reads, below the folder.
    pub fn late_interaction_files(&self) -> Vec<&'static str> {
        let there = |file: &&str| self.path(file).is_file();
        let mut files: Vec<&str> = Self::DENSE_MODULES.concat().into_iter().filter(there).collect();
        if !files.is_empty() {
            files.extend(
                [Self::MODULES, Self::SENTENCE_TRANSFORMERS].iter().filter(|file| there(file)),
            );
        }
        files.extend(Some(Self::ARTIFACT).filter(there));
        files
    }

    /// Gives files a role: the first has the role alone, the others their names with it.
    pub fn with_roles(&self, role: &str, files: &[impl AsRef<str>]) -> Vec<(String, PathBuf)> {
        let named = files.iter().map(AsRef::as_ref).enumerate().map(|(place, file)| match place {
            0 => (role.to_owned(), self.path(file)),
            _ => (format!("{role} {file}"), self.path(file)),
        });
        named.collect()
    }

    /// Returns the SHA-256 of the weights: that of their file, or of the digests of all.
    pub fn weights_digest(&self) -> Result<String> {
        self.digest_of(&self.weight_files()?)
    }

    /// Returns the SHA-256 of the tokenizer: that of its file, or of the digests of all.
    pub fn tokenizer_digest(&self) -> Result<String> {
        self.digest_of(self.tokenizer_files())
    }

    fn digest_of(&self, files: &[impl AsRef<str>]) -> Result<String> {
        let digests = files.iter().map(|file| sha256_file(&self.path(file.as_ref())));
        let digests = digests.collect::<Result<Vec<_>>>()?;
        Ok(match &digests[..] {
            [one] => one.clone(),
            many => sha256_bytes(many.concat().as_bytes()),
        })
    }

    /// Returns which files of a model exist, by their paths below the folder.
    pub fn files(&self) -> Result<Vec<String>> {
        let mut files = vec![Self::CONFIG.to_owned()];
        files.extend(self.weight_files()?);
        files.extend(Self::OPTIONAL.iter().map(|&name| name.to_owned()));
        files.retain(|name| self.path(name).is_file());
        Ok(files)
    }

    /// The same with some more.
    pub fn files_with(&self, more: &[&str]) -> Result<Vec<String>> {
        let more = more.iter().filter(|name| self.path(name).is_file());
        let more = more.map(|&name| name.to_owned());
        Ok(self.files()?.into_iter().chain(more).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_one_file_or_an_index_with_its_parts() {
        let folder = tempfile::tempdir().unwrap();
        let model = ModelDir::new(folder.path());
        assert_eq!(model.weight_files().unwrap(), [ModelDir::WEIGHTS]);
        let index = |names: &[&str]| {
            let map: BTreeMap<String, &&str> =
                names.iter().enumerate().map(|(i, name)| (format!("t{i}"), name)).collect();
            let text = serde_json::json!({ "weight_map": map }).to_string();
            std::fs::write(model.weights_index(), text).unwrap();
        };
        index(&["b.safetensors", "a.safetensors", "b.safetensors"]);
        let files = [ModelDir::WEIGHTS_INDEX, "a.safetensors", "b.safetensors"];
        assert_eq!(model.weight_files().unwrap(), files);
        for name in ["../a.safetensors", "/etc/a.safetensors", "a.bin", ".a.safetensors"] {
            index(&[name]);
            let message = model.weight_files().unwrap_err().to_string();
            assert!(message.contains(&format!("names the part `{name}`")), "{message}");
        }
        std::fs::write(model.weights(), "").unwrap();
        assert_eq!(model.weight_files().unwrap(), [ModelDir::WEIGHTS], "one file is enough");
    }

    #[test]
    fn the_digest_of_one_file_is_the_files_and_of_several_depends_on_each() {
        let folder = tempfile::tempdir().unwrap();
        let model = ModelDir::new(folder.path());
        std::fs::write(model.bpe_vocabulary(), "a").unwrap();
        std::fs::write(model.merges(), "b").unwrap();
        let two = model.tokenizer_digest().unwrap();
        std::fs::write(model.merges(), "c").unwrap();
        assert_ne!(model.tokenizer_digest().unwrap(), two);
        std::fs::write(model.tokenizer(), "{}").unwrap();
        assert_eq!(model.tokenizer_digest().unwrap(), sha256_bytes(b"{}"));
    }
}
