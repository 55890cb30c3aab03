//! The vocabulary in a tokenizer.json, and the same file with fewer tokens.

use crate::error::{Error, Result};
use serde_json::{Map, Value, json};
use std::collections::{BTreeSet, HashMap};
use std::path::Path;

/// A tokenizer.json whose vocabulary can lose tokens.
pub(super) struct ModelJson {
    json: Value,
    kind: Kind,
    /// The vocabulary of the model, without the tokens that were added to it.
    ids: HashMap<String, u32>,
    /// Ids of tokens that stand outside the model, special ones among them.
    added: BTreeSet<u32>,
}

/// How a model splits a word.
enum Kind {
    /// The longest piece first. Pieces inside a word begin with `inside`.
    WordPiece { inside: String, unknown: Option<u32> },
    /// The likeliest pieces (Kudo 2018).
    Unigram,
}

impl ModelJson {
    /// Reads a tokenizer.
    ///
    /// # Errors
    /// [`Error::VocabularyKind`] for one whose tokens are made from each other, as byte pairs are.
    pub fn read(json: Value, path: &Path) -> Result<Self> {
        let model = &json["model"];
        let name = model["type"].as_str().unwrap_or_default();
        let ids: HashMap<String, u32> = match name {
            "WordPiece" => {
                let tokens = model["vocab"].as_object().into_iter().flatten();
                tokens.filter_map(|(token, id)| Some((token.clone(), id_of(id)?))).collect()
            }
            "Unigram" => {
                let tokens = model["vocab"].as_array().into_iter().flatten().zip(0..);
                tokens.filter_map(|(entry, id)| Some((entry[0].as_str()?.to_owned(), id))).collect()
            }
            other => {
                return Err(Error::VocabularyKind { path: path.into(), kind: other.to_owned() });
            }
        };
        let kind = match name {
            "Unigram" => Kind::Unigram,
            _ => Kind::WordPiece {
                inside: model["continuing_subword_prefix"].as_str().unwrap_or_default().to_owned(),
                unknown: model["unk_token"].as_str().and_then(|token| ids.get(token)).copied(),
            },
        };
        let added = json["added_tokens"].as_array().into_iter().flatten();
        let added = added.filter_map(|token| id_of(&token["id"])).collect();
        Ok(Self { json, kind, ids, added })
    }

    /// How many tokens there are.
    pub fn tokens(&self) -> usize {
        self.all().len()
    }

    /// The id of every token.
    fn all(&self) -> BTreeSet<u32> {
        self.ids.values().chain(&self.added).copied().collect()
    }

    /// The id of words that have no pieces, where such a word hides the pieces that were found.
    pub fn unknown(&self) -> Option<u32> {
        match self.kind {
            Kind::WordPiece { unknown, .. } => unknown,
            Kind::Unigram => None,
        }
    }

    /// The pieces that are found in a word, whether or not all of it has pieces. Without them, a
    /// word that has none could suddenly be split in another way.
    pub fn pieces_on_the_way(&self, word: &str) -> Vec<u32> {
        let Kind::WordPiece { inside, .. } = &self.kind else { return vec![] };
        let mut found = vec![];
        let mut rest = word;
        while !rest.is_empty() {
            let prefix = if rest.len() == word.len() { "" } else { inside };
            let ends = rest.char_indices().map(|(first, char)| first + char.len_utf8());
            let ends: Vec<usize> = ends.collect();
            let longest = ends
                .into_iter()
                .rev()
                .find_map(|end| Some((*self.ids.get(&format!("{prefix}{}", &rest[..end]))?, end)));
            let Some((id, end)) = longest else { break };
            found.push(id);
            rest = &rest[end..];
        }
        found
    }

    /// Adds the tokens that stay whatever the texts are: special ones, and single characters and
    /// bytes, so that what could be split before can still be. Removes ids without a token.
    pub fn add_needed(&self, ids: &mut BTreeSet<u32>) {
        ids.extend(&self.added);
        let mut json = self.json.clone();
        each_id(&mut json["post_processor"], &mut |id| {
            ids.extend(id_of(id));
        });
        let short = self.ids.iter().filter(|(token, _)| self.is_single(token));
        ids.extend(short.map(|(_, id)| *id));
        match &self.kind {
            Kind::WordPiece { unknown, .. } => ids.extend(unknown),
            Kind::Unigram => {
                ids.extend(id_of(&self.json["model"]["unk_id"]));
                ids.extend(self.least_likely());
            }
        }
        let all = self.all();
        ids.retain(|id| all.contains(id));
    }

    /// Whether a token is one character, at the beginning of a word or inside it, or a byte.
    fn is_single(&self, token: &str) -> bool {
        let bare = match &self.kind {
            Kind::WordPiece { inside, .. } => token.strip_prefix(&**inside),
            Kind::Unigram => token.strip_prefix('\u{2581}'),
        };
        let is_byte = token.len() == 6 && token.starts_with("<0x") && token.ends_with('>');
        is_byte || bare.unwrap_or(token).chars().nth(1).is_none()
    }

    /// The token with the lowest score: what a character without a token costs depends on it.
    fn least_likely(&self) -> Option<u32> {
        let entries = self.json["model"]["vocab"].as_array()?.iter().zip(0..);
        let scores = entries.filter_map(|(entry, id)| Some((entry[1].as_f64()?, id)));
        scores.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, id)| id)
    }

    /// Returns the file with these tokens alone, `new` giving the new number of each.
    pub fn with(&self, new: &HashMap<u32, u32>) -> Value {
        let mut json = self.json.clone();
        let vocabulary = &mut json["model"]["vocab"];
        match &self.kind {
            Kind::WordPiece { .. } => {
                let kept = self.ids.iter();
                let kept =
                    kept.filter_map(|(token, id)| Some((token.clone(), json!(new.get(id)?))));
                *vocabulary = Value::Object(kept.collect::<Map<_, _>>());
            }
            Kind::Unigram => {
                let entries = vocabulary.as_array_mut().into_iter().flatten().zip(0..);
                let kept = entries.filter(|(_, id)| new.contains_key(id));
                *vocabulary = kept.map(|(entry, _)| entry.take()).collect();
            }
        }
        let mut renumber = |id: &mut Value| {
            if let Some(new) = id_of(id).and_then(|old| new.get(&old)) {
                *id = json!(new);
            }
        };
        json["model"].get_mut("unk_id").into_iter().for_each(&mut renumber);
        for token in json["added_tokens"].as_array_mut().into_iter().flatten() {
            renumber(&mut token["id"]);
        }
        each_id(&mut json["post_processor"], &mut renumber);
        json
    }

    /// Returns the vocab.txt of a WordPiece model with these tokens, in order; None for a model
    /// that has no such file.
    pub fn lines(&self, kept: &[u32]) -> Option<String> {
        let Kind::WordPiece { .. } = self.kind else { return None };
        let tokens: HashMap<u32, &str> =
            self.ids.iter().map(|(token, id)| (*id, token.as_str())).collect();
        Some(
            kept.iter().filter_map(|id| tokens.get(id)).map(|token| format!("{token}\n")).collect(),
        )
    }
}

fn id_of(value: &Value) -> Option<u32> {
    u32::try_from(value.as_u64()?).ok()
}

/// Calls `each` with every id that a post-processor adds to a text.
fn each_id(processor: &mut Value, each: &mut dyn FnMut(&mut Value)) {
    match processor["type"].as_str() {
        Some("Sequence") => {
            let inner = processor["processors"].as_array_mut();
            inner.into_iter().flatten().for_each(|inner| each_id(inner, each));
        }
        Some("TemplateProcessing") => {
            let tokens = processor["special_tokens"].as_object_mut().into_iter().flatten();
            for (_, token) in tokens {
                token["ids"].as_array_mut().into_iter().flatten().for_each(&mut *each);
            }
        }
        Some("BertProcessing" | "RobertaProcessing") => {
            each(&mut processor["sep"][1]);
            each(&mut processor["cls"][1]);
        }
        _ => {}
    }
}

/// Returns a config in which every id of a token is the new one. An id without a token goes.
pub(super) fn renumbered(
    mut config: Map<String, Value>,
    new: &HashMap<u32, u32>,
) -> Map<String, Value> {
    config.retain(|key, value| {
        let Some(old) = id_of(value).filter(|_| key.ends_with("_token_id")) else { return true };
        match new.get(&old) {
            Some(id) => *value = json!(id),
            None => return false,
        }
        true
    });
    config
}

/// Returns a `tokenizer_config.json` whose list of added tokens has the new ids.
pub(super) fn settings(
    mut settings: Map<String, Value>,
    new: &HashMap<u32, u32>,
) -> Map<String, Value> {
    if let Some(Value::Object(added)) = settings.get_mut("added_tokens_decoder") {
        let kept = std::mem::take(added).into_iter();
        let kept =
            kept.filter_map(|(id, token)| Some((new.get(&id.parse().ok()?)?.to_string(), token)));
        *added = kept.collect();
    }
    settings
}
