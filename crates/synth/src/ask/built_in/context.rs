//! What a passage is about, from its title: the words that separate it from similar passages.

use super::corpus::CorpusTerms;
use super::words::{Word, join, stem, words};
use crate::titles::SharedTitles;
use std::collections::HashSet;
use whetstone_records::Passage;

/// Longest document title, in words, that can stand in a question.
const MAX_TITLE_WORDS: usize = 7;

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

    /// The title's words for a keyword query, without those already in the query.
    pub fn keywords(&self, query: &[Word], full: bool) -> Vec<Word> {
        let has = |word: &Word| query.iter().any(|other| stem(&other.lower) == stem(&word.lower));
        let mut words = self.phrase(full).to_vec();
        words.retain(|word| !word.is_stop_word() && !has(word));
        words.truncate(4);
        words
    }

    /// The last heading, where it is short enough to stand in a query.
    pub fn heading(&self) -> Option<&[Word]> {
        self.headings.last().map(Vec::as_slice).filter(|heading| heading.len() <= 6)
    }
}

/// Adds the missing context to a question.
pub fn in_context(question: &str, context: &Context, full: bool) -> String {
    if context.is_sentence || context.title.is_empty() || context.is_named_in(&words(question)) {
        return question.to_owned();
    }
    let phrase = context.phrase(full);
    let first = &phrase[0];
    let preposition = match () {
        _ if first.lower.ends_with("ing") && phrase.len() > 1 && !first.is_identifier() => "when",
        _ if phrase.len() == 1 && first.is_number() => "in",
        _ if phrase.iter().any(|word| word.lower == "for") => "in",
        _ => "for",
    };
    format!("{question} {preposition} {}", join(phrase))
}
