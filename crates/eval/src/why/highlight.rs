use serde::Serialize;
use std::collections::HashSet;

/// A piece of a text, and whether it is a word of the query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Piece {
    pub text: String,
    pub is_query_term: bool,
}

/// Words of questions that say nothing about what is asked for.
const STOP_WORDS: [&str; 64] = [
    "a", "about", "an", "and", "any", "are", "as", "at", "be", "been", "but", "by", "can", "did", "do", "does", "for",
    "from", "had", "has", "have", "how", "i", "if", "in", "into", "is", "it", "its", "me", "must", "my", "no", "not",
    "of", "on", "or", "our", "should", "so", "that", "the", "their", "there", "they", "this", "to", "was", "we",
    "were", "what", "when", "where", "which", "while", "who", "why", "will", "with", "would", "you", "your", "than",
    "then",
];

/// Returns the words of a query that are worth finding again, each with its stems.
pub(crate) fn terms(query: &str) -> HashSet<String> {
    let words = query.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase);
    // A single letter or digit is found everywhere.
    words.filter(|word| word.chars().nth(1).is_some() && !STOP_WORDS.contains(&word.as_str())).flat_map(forms).collect()
}

/// A word and what is left of it without an ending: words with a form in common are one term. Only what is marked hangs on
/// it.
fn forms(word: String) -> Vec<String> {
    let stems = ["ing", "ed", "es", "s", "e"].iter().filter_map(|ending| word.strip_suffix(ending));
    let stems: Vec<String> = stems.filter(|stem| stem.chars().count() >= 3).map(str::to_owned).collect();
    std::iter::once(word).chain(stems).collect()
}

/// Returns the part of a text of at most `max_chars` with the most query terms, in pieces; `…` where text was left out.
pub(crate) fn snippet(text: &str, terms: &HashSet<String>, max_chars: usize) -> Vec<Piece> {
    let words = words(text);
    let is_term =
        |(start, end): (usize, usize)| forms(text[start..end].to_lowercase()).iter().any(|form| terms.contains(form));
    let hits: Vec<usize> = words.iter().filter(|word| is_term(**word)).map(|word| word.0).collect();
    let (from, to) = window(text, &words, &hits, max_chars);
    let mut pieces = Vec::new();
    let mut push = |text: &str, is_query_term: bool| {
        if !text.is_empty() {
            pieces.push(Piece { text: text.to_owned(), is_query_term });
        }
    };
    push(if from > 0 { "… " } else { "" }, false);
    let mut at = from;
    for &(start, end) in words.iter().filter(|(start, end)| *start >= from && *end <= to && is_term((*start, *end))) {
        push(&text[at..start], false);
        push(&text[start..end], true);
        at = end;
    }
    push(&text[at..to], false);
    push(if to < text.len() { " …" } else { "" }, false);
    pieces
}

/// The spans of words in bytes.
fn words(text: &str) -> Vec<(usize, usize)> {
    let mut words = Vec::new();
    let mut start = None;
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        match (c.is_alphanumeric(), start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                words.push((from, at));
                start = None;
            }
            _ => {}
        }
    }
    words
}

/// The span in bytes of at most `max_chars` characters that begins at a word and holds the most hits, the earliest of
/// them where several do.
fn window(text: &str, words: &[(usize, usize)], hits: &[usize], max_chars: usize) -> (usize, usize) {
    let end_of = |from: usize| text[from..].char_indices().nth(max_chars).map_or(text.len(), |(at, _)| from + at);
    if end_of(0) == text.len() {
        return (0, text.len());
    }
    let starts = std::iter::once(0).chain(words.iter().map(|word| word.0).filter(|start| hits.contains(start)));
    let count = |from: usize| hits.iter().filter(|hit| (from..end_of(from)).contains(*hit)).count();
    let from = starts.map(|from| (count(from), std::cmp::Reverse(from))).max().map_or(0, |(_, from)| from.0);
    let end = end_of(from);
    // A word is not cut, where there is another before it.
    let whole = words.iter().map(|word| word.1).filter(|stop| (from + 1..=end).contains(stop)).max();
    (from, whole.filter(|_| end < text.len()).unwrap_or(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(text: &str, query: &str, max_chars: usize) -> String {
        let pieces = snippet(text, &terms(query), max_chars);
        pieces
            .iter()
            .map(|piece| if piece.is_query_term { format!("[{}]", piece.text) } else { piece.text.clone() })
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
        let text = format!("{}Then oil the chain well. {}", "Nothing here. ".repeat(30), "More words. ".repeat(30));
        assert_eq!(marked(&text, "oil chain", 20), "… [oil] the [chain] well …");
        assert_eq!(marked(&text, "spokes", 16), "Nothing here …");
    }

    #[test]
    fn letters_of_more_than_one_byte_are_never_cut() {
        for max_chars in 1..30 {
            let text =
                marked("Die Öfen heizen über Nacht, größer wäre günstiger — 日本語のテキスト", "über öfen", max_chars);
            assert!(!text.is_empty());
        }
    }
}
