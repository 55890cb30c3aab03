//! Reads a tokenizer from the files that a model folder has: tokenizer.json, or a vocabulary and
//! its settings, from which it makes the same.

use crate::error::{Error, Result};
use crate::families::{Architecture, Family, Piece};
use crate::file;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use tokenizers::Tokenizer;
use whetstone_records::{ModelDir, read_json, read_text};

/// Reads the tokenizer of a model folder, without the truncation and padding that its file may ask
/// for.
///
/// # Errors
/// Files that are missing or damaged, or a SentencePiece model, which must be converted first.
pub fn read_tokenizer(model_dir: &Path) -> Result<Tokenizer> {
    let dir = ModelDir::new(model_dir);
    let path = dir.path(dir.tokenizer_files()[0]);
    let unusable = |source| Error::Tokenizer { path: path.clone(), source };
    let bytes = match dir.tokenizer_files() {
        [ModelDir::TOKENIZER] => {
            let sentence_piece = ModelDir::SENTENCE_PIECE.map(|name| dir.path(name));
            match sentence_piece.into_iter().find(|path| path.is_file()) {
                Some(path) if !dir.tokenizer().exists() => {
                    return Err(Error::SentencePiece { path });
                }
                _ => file::read(&path)?,
            }
        }
        files => {
            let family = Architecture::read(model_dir)?.family;
            let settings: Settings = read_json(&dir.tokenizer_config())?.unwrap_or_default();
            let vocabulary = match files {
                [ModelDir::VOCABULARY] => word_pieces(&path)?,
                _ => read_json(&path)?.unwrap_or_default(),
            };
            let merges = match files {
                [ModelDir::VOCABULARY] => None,
                _ => Some(read_text(&dir.merges())?),
            };
            let added: Option<Vocabulary> = read_json(&dir.added_tokens())?;
            let parts = Parts { settings, vocabulary, added: added.unwrap_or_default(), family };
            parts.json(merges.as_deref()).map_err(unusable)?.to_string().into_bytes()
        }
    };
    let mut tokenizer = parse(&bytes).map_err(unusable)?;
    tokenizer.with_padding(None);
    tokenizer.with_truncation(None).map_err(unusable)?;
    Ok(tokenizer)
}

/// Parses tokenizer.json. The library panics at some files, such as one that ends in its decoder.
fn parse(bytes: &[u8]) -> tokenizers::Result<Tokenizer> {
    serde_json::from_slice::<serde::de::IgnoredAny>(bytes)?;
    std::panic::catch_unwind(|| Tokenizer::from_bytes(bytes))
        .unwrap_or_else(|_| Err("a part of it is not what its type says".into()))
}

/// Tokens with their ids.
type Vocabulary = BTreeMap<String, u32>;

/// The tokens of a vocab.txt, one a line.
fn word_pieces(path: &Path) -> Result<Vocabulary> {
    let text = read_text(path)?;
    Ok(text.lines().zip(0..).map(|(token, id)| (token.trim_end().to_owned(), id)).collect())
}

/// The part of tokenizer_config.json that shapes a tokenizer. The defaults are those of
/// transformers.
#[derive(Default, Deserialize)]
struct Settings {
    do_lower_case: Option<bool>,
    strip_accents: Option<bool>,
    tokenize_chinese_chars: Option<bool>,
    add_prefix_space: Option<bool>,
    added_tokens_decoder: Option<BTreeMap<u32, Token>>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// A token outside the vocabulary's reach, as transformers writes it.
#[derive(Clone, Deserialize)]
struct Token {
    content: String,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    normalized: bool,
    #[serde(default)]
    special: bool,
}

/// What a tokenizer is made from.
struct Parts {
    settings: Settings,
    vocabulary: Vocabulary,
    added: Vocabulary,
    family: &'static Family,
}

impl Parts {
    /// Returns the tokenizer.json: WordPiece, or byte-level pairs if there are merges.
    fn json(&self, merges: Option<&str>) -> tokenizers::Result<Value> {
        let template = &self.family.template;
        Ok(json!({
            "version": "1.0", "truncation": null, "padding": null,
            "added_tokens": self.added_tokens()?,
            "normalizer": merges.is_none().then(|| self.bert_normalizer()),
            "pre_tokenizer": match merges {
                None => json!({ "type": "BertPreTokenizer" }),
                Some(_) => self.byte_level(),
            },
            "post_processor": {
                "type": "TemplateProcessing",
                "single": pieces(template.text),
                "pair": pieces(template.pair),
                "special_tokens": self.special_ids()?,
            },
            "decoder": match merges {
                None => json!({ "type": "WordPiece", "prefix": "##", "cleanup": true }),
                Some(_) => self.byte_level(),
            },
            "model": self.model(merges),
        }))
    }

    fn model(&self, merges: Option<&str>) -> Value {
        let Some(merges) = merges else {
            return json!({
                "type": "WordPiece", "unk_token": self.special("unk_token"),
                "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
                "vocab": self.vocabulary,
            });
        };
        let is_merge = |line: &&str| !line.is_empty() && !line.starts_with("#version");
        let merges: Vec<&str> = merges.lines().filter(is_merge).collect();
        json!({
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "",
            "end_of_word_suffix": "", "fuse_unk": false, "byte_fallback": false,
            "vocab": self.vocabulary, "merges": merges,
        })
    }

    fn bert_normalizer(&self) -> Value {
        json!({
            "type": "BertNormalizer", "clean_text": true,
            "handle_chinese_chars": self.settings.tokenize_chinese_chars.unwrap_or(true),
            "strip_accents": self.settings.strip_accents,
            "lowercase": self.settings.do_lower_case.unwrap_or(true),
        })
    }

    fn byte_level(&self) -> Value {
        json!({
            "type": "ByteLevel", "trim_offsets": true, "use_regex": true,
            "add_prefix_space": self.settings.add_prefix_space.unwrap_or(false),
        })
    }

    /// The special tokens, and those that were added to the vocabulary, in the order of their ids.
    fn added_tokens(&self) -> tokenizers::Result<Vec<Value>> {
        let mut tokens: BTreeMap<u32, Token> = BTreeMap::new();
        for (content, &id) in &self.added {
            tokens.insert(id, Token::new(content, false));
        }
        for &(key, _) in self.family.export.special_tokens {
            let token = self.special_token(key);
            // A vocabulary may lack a token that no pair needs, such as the mask.
            if let Some(id) = self.id(&token.content) {
                tokens.insert(id, token);
            }
        }
        tokens.extend(self.settings.added_tokens_decoder.clone().unwrap_or_default());
        let next = self.vocabulary.values().max().map_or(0, |last| last + 1);
        let new = tokens.iter().filter(|(_, token)| !self.vocabulary.contains_key(&token.content));
        // The library numbers new tokens itself.
        if let Some((_, (id, token))) = (next..).zip(new).find(|(next, (id, _))| next != *id) {
            return Err(format!("the added token `{}` has the id {id}", token.content).into());
        }
        Ok(tokens.iter().map(|(&id, token)| token.json(id)).collect())
    }

    /// The special tokens of the template with their ids.
    fn special_ids(&self) -> tokenizers::Result<Map<String, Value>> {
        let pieces = self.family.template.pair.iter();
        let specials = pieces.filter_map(|(piece, _)| match piece {
            Piece::Special(token) => Some(*token),
            Piece::Query | Piece::Passage => None,
        });
        let entry = |token: &str| -> tokenizers::Result<(String, Value)> {
            let id = self.id(token).ok_or_else(|| format!("it has no token `{token}`"))?;
            Ok((token.to_owned(), json!({ "id": token, "ids": [id], "tokens": [token] })))
        };
        specials.map(entry).collect()
    }

    fn id(&self, token: &str) -> Option<u32> {
        self.vocabulary.get(token).or_else(|| self.added.get(token)).copied()
    }

    /// The text of a special token.
    fn special(&self, key: &str) -> String {
        self.special_token(key).content
    }

    /// A special token as tokenizer_config.json has it, else the family's own.
    fn special_token(&self, key: &str) -> Token {
        let own = self.family.export.special_tokens.iter().find(|(name, _)| *name == key);
        match self.settings.others.get(key) {
            Some(Value::String(content)) => Token::new(content, true),
            Some(token) if token.is_object() => serde_json::from_value(token.clone())
                .map(|token| Token { special: true, normalized: false, ..token })
                .unwrap_or_else(|_| Token::new("", true)),
            _ => Token::new(own.map_or("", |(_, token)| token), true),
        }
    }
}

impl Token {
    fn new(content: &str, special: bool) -> Self {
        Self {
            content: content.to_owned(),
            // As RoBERTa's mask was trained: it takes the place of a word and of the space before.
            lstrip: content == "<mask>",
            rstrip: false,
            single_word: false,
            normalized: !special,
            special,
        }
    }

    fn json(&self, id: u32) -> Value {
        json!({
            "id": id, "content": self.content, "single_word": self.single_word,
            "lstrip": self.lstrip, "rstrip": self.rstrip, "normalized": self.normalized,
            "special": self.special,
        })
    }
}

/// A template as tokenizer.json has it.
fn pieces(template: &[(Piece, u32)]) -> Vec<Value> {
    let piece = |&(piece, kind): &(Piece, u32)| match piece {
        Piece::Special(token) => json!({ "SpecialToken": { "id": token, "type_id": kind } }),
        Piece::Query => json!({ "Sequence": { "id": "A", "type_id": kind } }),
        Piece::Passage => json!({ "Sequence": { "id": "B", "type_id": kind } }),
    };
    template.iter().map(piece).collect()
}
