//! What the whole corpus says about a word.

use super::lists;
use super::reading::read;
use super::verbs::{Form, verb};
use super::words::{Word, stem, words};
use rayon::prelude::*;
use std::collections::{HashMap, HashSet};
use whetstone_records::{Language, Passage};

/// Passages from which on a single use may be chance.
const LARGE: u32 = 300;

/// Counts over all passages.
#[derive(Default)]
pub struct CorpusTerms {
    passages: u32,
    /// In how many passages a stem occurs.
    frequency: HashMap<String, u32>,
    /// How often a word is in lower case, and how often it has a capital within a sentence.
    small: HashMap<String, u32>,
    capital: HashMap<String, u32>,
    /// How often a word ends what a determiner or a preposition begins, and how often it follows
    /// `to`, `can`, `they` and the like.
    nouns: HashMap<String, u32>,
    verbs: HashMap<String, u32>,
    /// How often it follows a word that no noun follows, such as `can` or `they`.
    actions: HashMap<String, u32>,
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
        for sentence in &read(&passage.text, Language::English).sentences {
            self.learn(&words(sentence));
        }
        seen.into_iter().for_each(|stem| *self.frequency.entry(stem).or_default() += 1);
        self
    }

    /// Counts how the words of a sentence are used.
    fn learn(&mut self, sentence: &[Word]) {
        for (at, word) in sentence.iter().enumerate() {
            if word.is_stop_word() || word.is_number() {
                continue;
            }
            let before = at.checked_sub(1).map(|at| &sentence[at]);
            if before.is_some_and(|before| {
                before.stop.is_none() && lists::BEFORE_VERBS.contains(before.lower.as_str())
            }) {
                *self.verbs.entry(word.lower.clone()).or_default() += 1;
                if before.is_some_and(|word| lists::BEFORE_ACTIONS.contains(word.lower.as_str())) {
                    *self.actions.entry(word.lower.clone()).or_default() += 1;
                }
            } else if ends_phrase(sentence, at) && is_introduced(sentence, at) {
                *self.nouns.entry(word.lower.clone()).or_default() += 1;
            }
        }
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
        add(&mut self.nouns, other.nouns);
        add(&mut self.verbs, other.verbs);
        add(&mut self.actions, other.actions);
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

    /// Whether the corpus uses a word as a verb more often than as a noun.
    pub fn is_verb(&self, word: &Word) -> bool {
        let [nouns, verbs] = self.uses(&word.lower);
        let past = verb(&word.lower).is_some_and(|(_, form)| form == Form::Past)
            && !word.lower.ends_with("ed");
        !word.is_capitalised()
            && (verbs > nouns || past || self.is_third_person(&word.lower, nouns))
    }

    /// Whether it is a verb such as `melts`, by how the corpus uses `melt`.
    fn is_third_person(&self, lower: &str, nouns: u32) -> bool {
        let Some(base) = lower.strip_suffix('s').filter(|base| !base.ends_with('s')) else {
            return false;
        };
        let [base_nouns, base_verbs] = self.uses(base);
        let known = verb(lower).is_some_and(|(_, form)| form == Form::Third);
        (base_verbs > base_nouns || known) && base_verbs + 1 >= base_nouns && nouns < 2 + base_verbs
    }

    /// Whether it is a verb in its base form, as after `can`.
    pub fn is_base_verb(&self, word: &Word) -> bool {
        let inflected = ["ing", "ed", "ly", "s"].iter().any(|end| word.lower.ends_with(end));
        let [nouns, verbs] = self.uses(&word.lower);
        let acts = self.actions.get(&word.lower).copied().unwrap_or(0);
        let known = verb(&word.lower).is_some_and(|(_, form)| form == Form::Base);
        let is_word = word.lower.chars().all(char::is_alphabetic) && word.lower.len() > 2;
        is_word && !inflected && verbs >= nouns && (acts > 0 || known)
    }

    /// Whether a noun phrase can end in this word.
    pub fn is_noun(&self, word: &Word) -> bool {
        if is_participle(&word.lower) || lists::NOT_HEADS.contains(word.lower.as_str()) {
            return false;
        }
        let acts =
            word.lower.ends_with("ing") && !lists::NOUNS_IN_ING.contains(word.lower.as_str());
        let owns = word.text.ends_with("'s") || word.text.ends_with("’s");
        let [nouns, verbs] = self.uses(&word.lower);
        !owns
            && !acts
            && ((nouns > self.doubt() && nouns > verbs)
                || word.is_identifier()
                || self.is_name(word))
    }

    /// Whether the corpus surely uses a word as a noun.
    pub fn is_common_noun(&self, word: &Word) -> bool {
        let [nouns, verbs] = self.uses(&word.lower);
        nouns > 2 * self.doubt() && nouns > 2 * verbs
    }

    /// How many uses say nothing. In a small corpus every use counts, as few words occur twice.
    fn doubt(&self) -> u32 {
        u32::from(!self.is_small())
    }

    /// Whether the corpus is too small to choose among its passages: each of them has to be asked.
    pub fn is_small(&self) -> bool {
        self.passages < LARGE
    }

    fn uses(&self, lower: &str) -> [u32; 2] {
        [&self.nouns, &self.verbs].map(|of| of.get(lower).copied().unwrap_or(0))
    }

    /// In how many passages a word occurs, in any of its forms.
    pub fn passages_with(&self, lower: &str) -> u32 {
        self.frequency.get(&stem(lower)).copied().unwrap_or(0)
    }

    /// The words joined, with a small first letter unless the first is a name.
    pub fn within_sentence(&self, words: &[Word]) -> String {
        let text = super::words::join(words);
        match words.first() {
            // `Belching Beaver` is a name even if `belching` is not.
            Some(first)
                if !first.is_identifier()
                    && !self.is_name(first)
                    && !words.get(1).is_some_and(Word::is_capitalised) =>
            {
                small_first(&text)
            }
            _ => text,
        }
    }
}

/// Whether nothing after this word can belong to the same noun phrase.
fn ends_phrase(sentence: &[Word], at: usize) -> bool {
    let Some(next) = sentence.get(at + 1).filter(|_| sentence[at].stop.is_none()) else {
        return !is_participle(&sentence[at].lower);
    };
    let border = next.is_preposition()
        || next.opens
        || lists::AUXILIARIES.contains(next.lower.as_str())
        || matches!(next.lower.as_str(), "and" | "or" | "that" | "which" | "who" | "to");
    border && !is_participle(&sentence[at].lower)
}

/// Whether a determiner or a preposition begins the run of words that this one is in.
fn is_introduced(sentence: &[Word], at: usize) -> bool {
    let mut before = sentence[..at].iter().rev().take(4).take_while(|word| word.stop.is_none());
    before.find(|word| word.is_stop_word()).is_some_and(|word| {
        lists::ARTICLES.contains(word.lower.as_str())
            || word.is_determiner()
            || (word.is_preposition() && word.lower != "to")
    })
}

/// Whether a word is or looks like a participle of the past.
fn is_participle(lower: &str) -> bool {
    let regular = lower.len() > 4 && lower.ends_with("ed") && !lower.ends_with("eed");
    regular || lists::PARTICIPLES.contains(lower)
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
