//! What is counted while documents are cut, and what the user should know.

use super::document::Document;
use super::listing::Skip;
use super::site::{LeftOut, Site};
use crate::config::{ChunkConfig, LanguageSetting, SynthConfig};
use std::collections::BTreeMap;
use whetstone_records::{Language, Passage};

/// Length of the query that the report on truncation assumes, in tokens.
const QUERY_TOKENS: usize = 24;
/// Special tokens of a pair.
const SPECIAL_TOKENS: usize = 3;
/// How many skipped files, and pages left out for one reason, are named.
const NAMED: usize = 10;

/// From this share on, text in words that the tokenizer does not know is worth a note.
const UNKNOWN_FRACTION: f64 = 0.1;

/// What is counted while documents are cut.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Report {
    pub language: Language,
    documents: u64,
    passages: u64,
    tokens: u64,
    max_tokens: u64,
    truncated: u64,
    skipped: BTreeMap<&'static str, u64>,
    named: Vec<String>,
    left_out: BTreeMap<LeftOut, Vec<String>>,
    /// Blocks that stand on most pages.
    navigation: u64,
    /// Passages that stand in several places, and how many these are.
    repeated: u64,
    places: u64,
}

impl Report {
    pub fn documents(&mut self, documents: usize) {
        self.documents += documents as u64;
    }

    /// Takes up what repeats over the documents.
    pub fn site(&mut self, documents: &[Document], site: &Site) {
        for (document, reason) in documents.iter().zip(&site.left_out) {
            if let Some(reason) = reason {
                let names = self.left_out.entry(*reason).or_default();
                names.push(document.id.as_str().to_owned());
            }
        }
        let blocks = site.navigation.iter().flatten();
        self.navigation += blocks.filter(|is_navigation| **is_navigation).count() as u64;
    }

    /// Counts the places of a passage.
    pub fn places(&mut self, passage: &Passage) {
        let places = passage.metadata.places.len() as u64;
        self.repeated += u64::from(places > 0);
        self.places += places;
    }

    /// Counts a passage by the tokens of its text and its title.
    pub fn passage(&mut self, tokens: usize, title_tokens: usize, config: &ChunkConfig) {
        self.passages += 1;
        self.tokens += tokens as u64;
        self.max_tokens = self.max_tokens.max(tokens as u64);
        let pair = QUERY_TOKENS + title_tokens + tokens + SPECIAL_TOKENS;
        self.truncated += u64::from(pair > config.max_seq_tokens);
    }

    pub fn skip(&mut self, name: String, skip: Skip) {
        *self.skipped.entry(skip.count_name()).or_default() += 1;
        if self.named.len() < NAMED {
            self.named.push(format!("skipped `{name}`: {}", skip.reason()));
        }
    }

    /// How many files or records were passed over.
    pub fn skipped(&self) -> u64 {
        self.skipped.values().sum::<u64>()
            + self.left_out.values().map(Vec::len).sum::<usize>() as u64
    }

    /// Returns the manifest's counts and notes.
    pub fn finish(self, config: &SynthConfig) -> (BTreeMap<String, u64>, Vec<String>) {
        let mean = (self.tokens as f64 / self.passages.max(1) as f64).round() as u64;
        let counts = [
            ("documents", self.documents),
            ("passages", self.passages),
            ("tokens", self.tokens),
            ("tokens-mean", mean),
            ("tokens-max", self.max_tokens),
            ("pairs-truncated", self.truncated),
        ];
        let repeats = [
            ("navigation-blocks", self.navigation),
            ("passages-in-several-places", self.repeated),
            ("places-of-these", self.places),
        ];
        let left_out =
            self.left_out.iter().map(|(reason, names)| (reason.count_name(), names.len() as u64));
        let counts = counts
            .into_iter()
            .chain(repeats.into_iter().filter(|(_, count)| *count > 0))
            .chain(left_out)
            .chain(self.skipped)
            .map(|(name, count)| (name.to_owned(), count))
            .collect();
        let mut notes = self.named;
        notes.extend(taken_for(self.language, config.language));
        notes.extend(self.left_out.iter().map(|(reason, names)| note(*reason, names)));
        if self.navigation + self.repeated > 0 {
            notes.push(format!(
                "text that repeats: {} blocks on most pages are left out as navigation, {} passages stand in {} \
                 places; `drop-repeats = false` in [chunk] keeps everything",
                self.navigation, self.repeated, self.places
            ));
        }
        if self.truncated > 0 {
            notes.push(format!(
                "{} of {} passages will be truncated in training: with their title and a query of {QUERY_TOKENS} \
                 tokens they are longer than max-seq-tokens = {}",
                self.truncated, self.passages, config.chunk.max_seq_tokens
            ));
        }
        (counts, notes)
    }
}

/// Says which language was detected, where that changes what the stages do.
fn taken_for(language: Language, setting: LanguageSetting) -> Option<String> {
    (setting == LanguageSetting::Auto && language != Language::English).then(|| {
        format!("the corpus is taken for {language}; `language` in the config names another one")
    })
}

/// Says that a model cannot read much of the text.
pub(crate) fn unknown(fraction: f64) -> Option<String> {
    (fraction >= UNKNOWN_FRACTION).then(|| {
        format!(
            "the model cannot read {:.0} % of the text: its vocabulary has no pieces for these words, and takes \
             them all for one; choose a `model` whose vocabulary covers the language",
            100.0 * fraction
        )
    })
}

/// Names pages that are left out for one reason.
fn note(reason: LeftOut, names: &[String]) -> String {
    let named: Vec<String> = names.iter().take(NAMED).map(|name| format!("`{name}`")).collect();
    let more = match names.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("left out, {}: {}{more}", reason.reason(), named.join(", "))
}
