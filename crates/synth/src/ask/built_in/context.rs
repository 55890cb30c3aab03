//! What a passage is about, from its title: the words that separate it from similar passages.

use super::corpus::CorpusTerms;
use super::words::{Word, join, stem, words};
use crate::titles::SharedTitles;
use std::collections::HashSet;
use whetstone_records::Passage;

/// Longest document title, in words, that can stand in a question.
const MAX_TITLE_WORDS: usize = 7;
/// Longest names beside other words, and longest heading, in words.
const MAX_NAME_WORDS: usize = 4;
const MAX_HEADING_WORDS: usize = 8;

/// Title and headings of a passage, ready to be used in a query.
pub struct Context {
    /// The document's title as part of a sentence: `Plus service terms` for `Service terms: Plus`.
    pub title: Vec<Word>,
    /// The words of the title, from its first name to its last: `Kelvin 4.2 to 5.0`, `VX-40`.
    names: std::ops::Range<usize>,
    /// Headings above the passage, outermost first.
    pub headings: Vec<Vec<Word>>,
    /// Whether the title is a sentence, as in a paper, and not a name.
    pub is_sentence: bool,
}

/// Returns what the titles of the documents share. It separates no passage from another.
pub fn shared_titles(corpus: &[Passage]) -> SharedTitles {
    let mut seen = HashSet::new();
    let of_document = corpus.iter().filter(|passage| seen.insert(passage.document()));
    let titles = of_document.map(|passage| passage.title.split(" > ").next().unwrap_or_default());
    SharedTitles::of(titles.filter(|title| !title.is_empty()))
}

impl Context {
    pub fn of(title: &str, shared: &SharedTitles, terms: &CorpusTerms) -> Self {
        let mut parts =
            title.split(" > ").map(|part| shared.cut(part)).skip_while(|part| part.is_empty());
        let document = parts.next().unwrap_or_default();
        let document = document.split_once(" (").map_or(document, |(before, _)| before).trim();
        let (named, document) = match document.split_once(": ") {
            Some((kind, name)) if words(name).len() <= 3 => {
                (words(name).len(), format!("{name} {}", terms.within_sentence(&words(kind))))
            }
            _ => (0, document.to_owned()),
        };
        let mut all = words(&document);
        if all.first().is_some_and(|word| matches!(word.lower.as_str(), "the" | "a" | "an")) {
            all.remove(0);
        }
        for word in &mut all {
            word.stop = None;
            if !word.is_identifier() && !terms.is_name(word) {
                word.text = word.lower.clone();
            }
        }
        let is_name = |(index, word): (usize, &Word)| {
            index < named || word.is_identifier() || word.is_number() || terms.is_name(word)
        };
        let places: Vec<usize> = (0..all.len()).filter(|at| is_name((*at, &all[*at]))).collect();
        let names = match places[..] {
            [first, .., last] => first..last + 1,
            [only] => only..only + 1,
            [] => 0..0,
        };
        let is_sentence = all.len() > MAX_TITLE_WORDS || document.ends_with(['.', '?']);
        Self {
            title: all,
            names,
            headings: parts.map(words).filter(|part| !part.is_empty()).collect(),
            is_sentence,
        }
    }

    /// Whether the words name what the title is about.
    pub fn is_named_in(&self, query: &[Word]) -> bool {
        let has = |word: &&Word| query.iter().any(|other| other.lower == word.lower);
        let topics = |words: &[Word]| {
            words.iter().filter(|word| !word.is_stop_word()).cloned().collect::<Vec<_>>()
        };
        let names = topics(&self.title[self.names.clone()]);
        if !names.is_empty() {
            return names.iter().all(|name| has(&name));
        }
        let title = topics(&self.title);
        title.iter().filter(has).count() * 2 > title.len()
    }

    /// The names in the title. The whole title where it has none, or where `full` is wanted and the
    /// title is short.
    pub fn phrase(&self, full: bool) -> &[Word] {
        let names = &self.title[self.names.clone()];
        if names.is_empty() || (full && self.title.len() <= 5) { &self.title } else { names }
    }

    /// The names in the title, or a short title, as they stand beside other words; empty where the
    /// query has them.
    pub fn names_beside(&self, query: &[Word], full: bool) -> String {
        if self.is_silent() || self.is_named_in(query) {
            return String::new();
        }
        let has = |word: &Word| query.iter().any(|other| stem(&other.lower) == stem(&word.lower));
        let phrase = self.phrase(full);
        if phrase.len() > MAX_NAME_WORDS || phrase.iter().any(has) {
            return String::new();
        }
        join(phrase)
    }

    /// Whether the title says nothing that a query could use: there is none, or it is a sentence.
    pub fn is_silent(&self) -> bool {
        self.is_sentence || self.title.is_empty()
    }

    /// The last heading, where it is short enough to stand in a query.
    pub fn heading(&self) -> Option<&[Word]> {
        self.headings.last().map(Vec::as_slice).filter(|heading| heading.len() <= MAX_HEADING_WORDS)
    }
}

/// Adds the names that a question lacks.
pub fn in_context(question: &str, context: &Context, full: bool) -> String {
    let names = context.names_beside(&words(question), full);
    let phrase = words(&names);
    let Some(first) = phrase.first() else { return question.to_owned() };
    // A title that does something, as in `moving in`, has no preposition that always fits.
    if first.lower.ends_with("ing") || phrase.iter().any(Word::is_preposition) {
        return question.to_owned();
    }
    let preposition = if phrase.len() == 1 && first.is_number() { "in" } else { "for" };
    format!("{question} {preposition} {names}")
}
