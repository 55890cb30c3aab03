//! Finds the words of a query in a passage, in any inflection.

use bm25::{DefaultTokenizer, Language, Tokenizer};
use std::collections::HashSet;
use std::ops::Range;

/// Finds the words of a query in passages in any inflection, such as "pumps" for "pump".
pub struct Highlighter {
    tokenizer: DefaultTokenizer,
    terms: HashSet<String>,
}

impl Highlighter {
    /// Takes the query's terms as BM25 does: stemmed, without stop words.
    pub fn new(query: &str) -> Self {
        let tokenizer = DefaultTokenizer::new(Language::English);
        let terms = tokenizer.tokenize(query).into_iter().collect();
        Self { tokenizer, terms }
    }

    /// Returns the byte spans of a text's words that the query has.
    pub fn spans(&self, text: &str) -> Vec<Range<usize>> {
        words(text).into_iter().filter(|word| self.has(&text[word.clone()])).collect()
    }

    fn has(&self, word: &str) -> bool {
        self.tokenizer.tokenize(word).iter().any(|term| self.terms.contains(term))
    }
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

    #[test]
    fn words_of_the_query_are_found_in_every_form_and_stop_words_are_not() {
        let text = "Priming: the pump's valve… and PUMPS; pumpkin. Ünpumped pump";
        let found: Vec<&str> = Highlighter::new("How is the pump primed?")
            .spans(text)
            .into_iter()
            .map(|span| &text[span])
            .collect();
        assert_eq!(found, ["Priming", "pump's", "PUMPS", "pump"]);
        assert_eq!(Highlighter::new("the of").spans(text), []);
        assert_eq!(Highlighter::new("pump").spans(""), []);
    }
}
