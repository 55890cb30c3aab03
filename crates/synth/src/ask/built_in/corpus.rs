//! What the whole corpus says about a word.

use super::words::{Word, stem, words};
use rayon::prelude::*;
use std::collections::{HashMap, HashSet};
use whetstone_records::Passage;

/// Counts over all passages.
#[derive(Default)]
pub struct CorpusTerms {
    passages: u32,
    /// In how many passages a stem occurs.
    frequency: HashMap<String, u32>,
    /// How often a word is in lower case, and how often it has a capital within a sentence.
    small: HashMap<String, u32>,
    capital: HashMap<String, u32>,
}

impl CorpusTerms {
    pub fn of(passages: &[Passage]) -> Self {
        passages.par_iter().fold(Self::default, Self::with).reduce(Self::default, Self::join)
    }

    fn with(mut self, passage: &Passage) -> Self {
        self.passages += 1;
        let mut seen = HashSet::new();
        for word in words(&passage.title) {
            seen.insert(stem(&word.lower));
        }
        let mut begins = true;
        for raw in passage.text.split_whitespace() {
            for word in words(raw) {
                seen.insert(stem(&word.lower));
                if !word.is_capitalised() {
                    *self.small.entry(word.lower).or_default() += 1;
                } else if !begins {
                    *self.capital.entry(word.lower).or_default() += 1;
                }
            }
            begins = raw.ends_with(['.', '!', '?', ':', '|', '*', '-', '#']);
        }
        seen.into_iter().for_each(|stem| *self.frequency.entry(stem).or_default() += 1);
        self
    }

    fn join(mut self, other: Self) -> Self {
        if self.passages < other.passages {
            return other.join(self);
        }
        self.passages += other.passages;
        let add = |to: &mut HashMap<String, u32>, from: HashMap<String, u32>| {
            from.into_iter().for_each(|(word, count)| *to.entry(word).or_default() += count);
        };
        add(&mut self.frequency, other.frequency);
        add(&mut self.small, other.small);
        add(&mut self.capital, other.capital);
        self
    }

    /// The weight of a word: the logarithm of how rare it is, 0 for words without a topic.
    pub fn weight(&self, word: &Word) -> f32 {
        if word.is_stop_word() || word.text.chars().count() < 2 {
            return 0.0;
        }
        let frequency = self.frequency.get(&stem(&word.lower)).copied().unwrap_or(0);
        ((self.passages as f32 + 1.0) / (frequency as f32 + 0.5)).ln().max(0.1)
    }

    /// Whether a word is mostly written with a capital within sentences.
    pub fn is_name(&self, word: &Word) -> bool {
        let count = |of: &HashMap<String, u32>| of.get(&word.lower).copied().unwrap_or(0);
        word.is_capitalised() && count(&self.capital) > count(&self.small)
    }

    /// The words joined, with a small first letter unless the first is a name.
    pub fn within_sentence(&self, words: &[Word]) -> String {
        let text = super::words::join(words);
        match words.first() {
            Some(first) if !first.is_identifier() && !self.is_name(first) => small_first(&text),
            _ => text,
        }
    }
}

/// The text with a small first letter, unless the first word is an acronym.
fn small_first(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.clone().next()) {
        (Some(first), second) if !second.is_some_and(char::is_uppercase) => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => text.to_owned(),
    }
}
