//! Finds the words of a query in a passage, in any inflection.

use crate::terms::Terms;
use std::collections::HashSet;
use std::ops::Range;
use whetstone_records::Language;

/// Finds the words of a query in passages in any inflection, such as "pumps" for "pump".
pub struct Highlighter {
    terms: Terms,
    wanted: HashSet<String>,
}

impl Highlighter {
    /// Takes the query's terms as BM25 does.
    pub fn new(query: &str, language: Language) -> Self {
        let terms = Terms::of(language);
        let wanted = terms.tokenize(query).into_iter().collect();
        Self { terms, wanted }
    }

    /// Returns the byte spans of a text's words that the query has; in a language without spaces,
    /// of the letters that it has in that order.
    pub fn spans(&self, text: &str) -> Vec<Range<usize>> {
        match self.terms.places(text) {
            None => words(text).into_iter().filter(|word| self.has(&text[word.clone()])).collect(),
            Some(places) => {
                let found = places.into_iter().filter(|(_, term)| self.wanted.contains(term));
                joined(found.map(|(span, _)| span))
            }
        }
    }

    fn has(&self, word: &str) -> bool {
        self.terms.tokenize(word).iter().any(|term| self.wanted.contains(term))
    }
}

/// Makes one span of those that touch or overlap.
fn joined(spans: impl Iterator<Item = Range<usize>>) -> Vec<Range<usize>> {
    let mut joined: Vec<Range<usize>> = Vec::new();
    for span in spans {
        match joined.last_mut() {
            Some(last) if span.start <= last.end => last.end = span.end,
            _ => joined.push(span),
        }
    }
    joined
}

/// Returns the byte spans of the words.
pub(crate) fn words(text: &str) -> Vec<Range<usize>> {
    let mut words = Vec::new();
    let mut start = None;
    for (at, letter) in text.char_indices().chain([(text.len(), ' ')]) {
        match (start, letter.is_alphanumeric() || letter == '\'') {
            (None, true) => start = Some(at),
            (Some(from), false) => {
                start = None;
                words.push(from..at);
            }
            _ => {}
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENGLISH: Language = Language::English;

    #[test]
    fn words_of_the_query_are_found_in_every_form_and_stop_words_are_not() {
        let text = "Priming: the pump's valve… and PUMPS; pumpkin. Ünpumped pump";
        let spans = |query: &str, text: &str| Highlighter::new(query, ENGLISH).spans(text);
        let found = spans("How is the pump primed?", text);
        let found: Vec<&str> = found.into_iter().map(|span| &text[span]).collect();
        assert_eq!(found, ["Priming", "pump's", "PUMPS", "pump"]);
        assert_eq!(spans("the of", text), []);
        assert_eq!(spans("pump", ""), []);
    }

    #[test]
    fn other_languages_have_their_own_forms_and_text_without_spaces_its_letters() {
        let found = |query: &str, language, text: &'static str| -> Vec<&str> {
            let spans = Highlighter::new(query, language).spans(text);
            spans.into_iter().map(|span| &text[span]).collect()
        };
        let text = "Die Pumpe und ihre Ventile.";
        assert_eq!(found("Ventil der Pumpen", Language::German, text), ["Pumpe", "Ventile"]);
        let text = "安全阀在三巴时打开，水泵停止。";
        assert_eq!(found("水泵的安全阀", Language::Chinese, text), ["安全阀", "水泵"]);
    }
}
