//! Abbreviations that the corpus explains: `Remaining Useful Life (RUL)`.

use super::words::{Word, words};
use rayon::prelude::*;
use std::collections::HashMap;
use whetstone_records::Passage;

/// Letters of an abbreviation.
const LETTERS: std::ops::RangeInclusive<usize> = 2..=6;

/// Short forms with their long forms, in small letters.
#[derive(Default)]
pub struct Abbreviations {
    long_of: HashMap<String, String>,
}

impl Abbreviations {
    pub fn of(corpus: &[Passage]) -> Self {
        let found: Vec<(String, String)> =
            corpus.par_iter().flat_map_iter(|passage| explained(&words(&passage.text))).collect();
        let mut long_of: HashMap<String, String> = HashMap::new();
        let mut unclear = Vec::new();
        for (short, long) in found {
            match long_of.get(&short) {
                Some(known) if *known != long => unclear.push(short),
                _ => {
                    long_of.insert(short, long);
                }
            }
        }
        unclear.iter().for_each(|short| {
            long_of.remove(short);
        });
        Self { long_of }
    }

    /// The query with the other form of an abbreviation, if the passage has only one of them.
    pub fn swapped(&self, query: &str, passage: &str) -> Option<String> {
        let passage = passage.to_lowercase();
        let has = |part: &str| contains_words(&passage, &part.to_lowercase());
        let short = query.split(' ').find(|word| self.long_of.contains_key(*word));
        if let Some(short) = short {
            let long = &self.long_of[short];
            return (!has(long)).then(|| query.replacen(short, long, 1));
        }
        let lower = query.to_lowercase();
        let mut held = self.long_of.iter().filter(|(short, long)| {
            contains_words(&lower, long) && !has(short) && lower.is_ascii()
        });
        let (short, long) = held.by_ref().min()?;
        let at = lower.find(long.as_str())?;
        Some(format!("{}{short}{}", &query[..at], &query[at + long.len()..]))
    }
}

/// Whether these words stand in the text, whole.
fn contains_words(text: &str, part: &str) -> bool {
    let border = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
    text.match_indices(part).any(|(at, _)| {
        border(text[..at].chars().next_back()) && border(text[at + part.len()..].chars().next())
    })
}

/// Every `Long Form (LF)` of a text, the long form in small letters.
fn explained(words: &[Word]) -> Vec<(String, String)> {
    let in_brackets = |at: usize| {
        let word = &words[at];
        let capitals = word.text.chars().all(|c| c.is_ascii_uppercase());
        word.opens && word.stop == Some(')') && capitals && LETTERS.contains(&word.text.len())
    };
    let explained = (0..words.len()).filter(|at| in_brackets(*at)).filter_map(|at| {
        let short = &words[at].text;
        let mut letters = short.bytes().rev().map(|letter| letter.to_ascii_lowercase()).peekable();
        let mut start = at;
        while let Some(letter) = letters.peek() {
            start = start.checked_sub(1)?;
            let word = &words[start];
            match word.lower.as_bytes().first() {
                Some(first) if first == letter => {
                    letters.next();
                }
                _ if word.is_stop_word() && start + 1 < at => {}
                _ => return None,
            }
            if start + 1 < at && word.stop.is_some() {
                return None;
            }
        }
        let long: Vec<&str> = words[start..at].iter().map(|word| word.lower.as_str()).collect();
        Some((short.clone(), long.join(" ")))
    });
    explained.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_that_the_passage_lacks_takes_the_place_of_the_other() {
        let text = "The NVIDIA Management Library (NML) counts. Cost of Goods (CG) and so on (AB).";
        let passage = Passage {
            id: "p".into(),
            title: String::new(),
            text: text.into(),
            metadata: Default::default(),
        };
        let all = Abbreviations::of(&[passage]);
        let swapped = |query: &str, text: &str| all.swapped(query, text);
        assert_eq!(
            swapped("NML power limit", "NML has it").as_deref(),
            Some("nvidia management library power limit")
        );
        assert_eq!(
            swapped("cost of goods in May", "the cost of goods").as_deref(),
            Some("CG in May")
        );
        assert_eq!(swapped("NML power limit", text), None);
        assert_eq!(swapped("AB power limit", "AB"), None);
    }
}
