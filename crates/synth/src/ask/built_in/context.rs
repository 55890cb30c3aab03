//! What a passage is about, from its title: the words that tell it from its near misses.

use super::corpus::CorpusTerms;
use super::words::{Word, join, words};

/// Longest document title, in words, that can stand in a question.
const MAX_TITLE_WORDS: usize = 7;

/// Title and headings of a passage, ready to be used in a query.
pub struct Context {
    /// The document's title as part of a sentence, `Plus service terms` for `Service terms: Plus`.
    pub title: Vec<Word>,
    /// Words of the title that a query must name.
    names: Vec<String>,
    /// Headings above the passage, outermost first.
    pub headings: Vec<Vec<Word>>,
    /// Whether the title is a sentence of its own, as in a paper, and no name.
    pub is_sentence: bool,
}

impl Context {
    pub fn of(title: &str, terms: &CorpusTerms) -> Self {
        let mut parts = title.split(" > ");
        let document = parts.next().unwrap_or_default().trim();
        let document = match document.split_once(": ") {
            Some((kind, name)) if words(name).len() <= 3 => format!("{name} {}", small(kind, terms)),
            _ => document.to_owned(),
        };
        let mut all = words(&document);
        if all.first().is_some_and(|word| matches!(word.lower.as_str(), "the" | "a" | "an")) {
            all.remove(0);
        }
        all.iter_mut().for_each(|word| word.stop = None);
        let names = all
            .iter()
            .enumerate()
            .filter(|(index, word)| {
                word.is_identifier() || word.is_number() || (terms.is_name(word) && (*index > 0 || all.len() < 4))
            })
            .map(|(_, word)| word.lower.clone())
            .collect();
        let is_sentence = all.len() > MAX_TITLE_WORDS || document.ends_with(['.', '?']);
        Self { title: all, names, headings: parts.map(words).filter(|part| !part.is_empty()).collect(), is_sentence }
    }

    /// Whether the words name what the title is about.
    pub fn is_named_in(&self, query: &[Word]) -> bool {
        let has = |name: &String| query.iter().any(|word| word.lower == *name);
        if !self.names.is_empty() {
            return self.names.iter().all(has);
        }
        let topics: Vec<&Word> = self.title.iter().filter(|word| !word.is_stop_word()).collect();
        topics.iter().filter(|topic| has(&topic.lower)).count() * 2 > topics.len()
    }

    /// The title as it reads within a sentence.
    pub fn phrase(&self, terms: &CorpusTerms) -> String {
        terms.within_sentence(&self.title)
    }

    /// The title's words for a keyword query: at most `limit`, those that tell most, in their order.
    pub fn keywords(&self, limit: usize, terms: &CorpusTerms) -> Vec<Word> {
        let weight = |word: &Word| {
            let named = self.names.contains(&word.lower);
            terms.weight(word) + if named { 100.0 } else { 0.0 }
        };
        best_in_order(&self.title, limit, weight)
    }

    /// The last heading, where it is short enough to stand in a query.
    pub fn heading(&self) -> Option<&[Word]> {
        self.headings.last().map(Vec::as_slice).filter(|heading| heading.len() <= 6)
    }
}

fn small(text: &str, terms: &CorpusTerms) -> String {
    terms.within_sentence(&words(text))
}

/// The heaviest words, each once, in the order of the text.
pub fn best_in_order(words: &[Word], limit: usize, weight: impl Fn(&Word) -> f32) -> Vec<Word> {
    let mut order: Vec<(usize, f32)> = Vec::new();
    for (index, word) in words.iter().enumerate() {
        let first = words[..index].iter().all(|earlier| earlier.lower != word.lower);
        if !word.is_stop_word() && first && word.text.len() > 1 {
            order.push((index, weight(word)));
        }
    }
    order.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    order.truncate(limit);
    order.sort_by_key(|(index, _)| *index);
    order.into_iter().map(|(index, _)| Word { stop: None, ..words[index].clone() }).collect()
}

/// Joins a question and the context that it lacks.
pub fn in_context(question: &str, context: &Context, terms: &CorpusTerms) -> String {
    if context.is_sentence || context.title.is_empty() || context.is_named_in(&words(question)) {
        return question.to_owned();
    }
    let asked = words(question);
    // The words that tell this title from others are enough where the question has the rest.
    let names: Vec<Word> = context.keywords(3, terms).into_iter().filter(|word| !asked.contains(word)).collect();
    let long = context.title.len() > 4;
    let phrase = if long && !names.is_empty() { join(&names) } else { context.phrase(terms) };
    format!("{question} for {phrase}")
}
