//! Cuts out the part of a passage that has the query's words.

use crate::highlight::{Highlighter, words};
use serde::Serialize;
use std::ops::Range;

/// A piece of a text, and whether it is a word of the query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Piece {
    pub text: String,
    pub is_query_term: bool,
}

/// Returns, in pieces, the part of a text with the most query terms, at most `max_chars` long. `…`
/// marks omitted text.
pub(crate) fn snippet(text: &str, highlighter: &Highlighter, max_chars: usize) -> Vec<Piece> {
    let terms = highlighter.spans(text);
    let (from, to) = window(text, &terms, max_chars);
    let mut pieces = Vec::new();
    let mut push = |text: &str, is_query_term: bool| {
        if !text.is_empty() {
            pieces.push(Piece { text: text.to_owned(), is_query_term });
        }
    };
    push(if from > 0 { "… " } else { "" }, false);
    let mut at = from;
    for Range { start, end } in
        terms.into_iter().filter(|term| term.start >= from && term.end <= to)
    {
        push(&text[at..start], false);
        push(&text[start..end], true);
        at = end;
    }
    push(&text[at..to], false);
    push(if to < text.len() { " …" } else { "" }, false);
    pieces
}

/// Returns the byte span of at most `max_chars` characters with the most terms. It begins at a term
/// or at the start of the text; of several, the earliest wins.
fn window(text: &str, terms: &[Range<usize>], max_chars: usize) -> (usize, usize) {
    let end_of = |from: usize| {
        text[from..].char_indices().nth(max_chars).map_or(text.len(), |(at, _)| from + at)
    };
    if end_of(0) == text.len() {
        return (0, text.len());
    }
    let starts = std::iter::once(0).chain(terms.iter().map(|term| term.start));
    let count = |from: usize| {
        terms.iter().filter(|term| (from..end_of(from)).contains(&term.start)).count()
    };
    let from = starts
        .map(|from| (count(from), std::cmp::Reverse(from)))
        .max()
        .map_or(0, |(_, from)| from.0);
    let end = end_of(from);
    // End with a whole word, unless the first one is already too long.
    let whole = words(text)
        .into_iter()
        .map(|word| word.end)
        .filter(|stop| (from + 1..=end).contains(stop))
        .max();
    (from, whole.filter(|_| end < text.len()).unwrap_or(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(text: &str, query: &str, max_chars: usize) -> String {
        let pieces = snippet(text, &Highlighter::new(query, Default::default()), max_chars);
        pieces
            .iter()
            .map(
                |piece| {
                    if piece.is_query_term {
                        format!("[{}]", piece.text)
                    } else {
                        piece.text.clone()
                    }
                },
            )
            .collect()
    }

    #[test]
    fn terms_are_marked_whatever_their_case_and_ending() {
        assert_eq!(
            marked("Oiling the Chains: oil a chain.", "how do I oil the chain?", 200),
            "[Oiling] the [Chains]: [oil] a [chain]."
        );
        assert_eq!(marked("the gas is as it was", "is it a gas", 200), "the [gas] is as it was");
    }

    #[test]
    fn a_long_text_is_shown_where_the_query_terms_are() {
        let text = format!(
            "{}Then oil the chain well. {}",
            "Nothing here. ".repeat(30),
            "More words. ".repeat(30)
        );
        assert_eq!(marked(&text, "oil chain", 20), "… [oil] the [chain] well …");
        assert_eq!(marked(&text, "spokes", 16), "Nothing here …");
    }

    #[test]
    fn letters_of_more_than_one_byte_are_never_cut() {
        for max_chars in 1..30 {
            let text = marked(
                "Die Öfen heizen über Nacht, größer wäre günstiger — 日本語のテキスト",
                "über öfen",
                max_chars,
            );
            assert!(!text.is_empty());
        }
    }
}
