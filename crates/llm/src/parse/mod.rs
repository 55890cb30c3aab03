//! Finds questions, grades and texts in an LLM's answer, whatever its form.

mod grades;
mod labels;
mod loose;
mod questions;
mod thought;

pub use grades::grade;
pub use questions::questions;

use loose::Loose;
use std::borrow::Cow;

/// An answer without the model's thought before it.
#[derive(Clone, Debug, PartialEq)]
pub struct Said<'t> {
    /// The text outside the thoughts.
    pub text: Cow<'t, str>,
    /// Whether the answer shows thoughts.
    pub thinks: bool,
    /// Whether its last thought is unfinished.
    pub is_unfinished: bool,
    /// Whether the answer ended at the limit on its length.
    pub is_cut_off: bool,
}

impl<'t> Said<'t> {
    /// Removes the thoughts from an answer.
    pub fn of(content: &'t str, is_cut_off: bool) -> Self {
        let thought::Outside { text, thinks, is_unfinished } = thought::outside(content);
        Self { text, thinks, is_unfinished, is_cut_off }
    }
}

/// Returns the finished text of a field, trimmed, from the first JSON object that has it; none if
/// it is blank.
pub fn field(said: &Said, name: &str) -> Option<String> {
    let is_named = |key: &str| key.trim().eq_ignore_ascii_case(name);
    let text = loose::values(&said.text).into_iter().find_map(|found| {
        let Loose::Fields(fields) = found.value else { return None };
        fields.into_iter().find_map(|(key, value)| match value {
            Loose::Text(text) if is_named(&key) => Some(text),
            _ => None,
        })
    })?;
    let text = thought::outside(&text).text.trim().to_owned();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng, seq::IndexedRandom};

    #[test]
    fn no_answer_however_garbled_is_too_much() {
        let pieces = [
            "{",
            "}",
            "[",
            "]",
            "\"",
            "'",
            ":",
            ",",
            "\\",
            "\\u12",
            "\\ud83d\\ude00",
            "\n",
            "```",
            "<think>",
            "</think>",
            "[/THINK]",
            "<|channel|>",
            "final",
            "<|message|>",
            "analysis",
            "questions",
            "grade",
            "Q1",
            "A:",
            "- ",
            "**",
            "1.",
            "2/3",
            "null",
            "NONE",
            "é",
            "İ",
            "\u{212a}",
            "問題",
            "◁",
            "▷",
            "?",
            " ",
            "-2.0e9",
        ];
        let mut rng = rand::rngs::StdRng::seed_from_u64(7);
        for _ in 0..20_000 {
            let length = rng.random_range(1..30);
            let text: String = (0..length).map(|_| *pieces.choose(&mut rng).unwrap()).collect();
            let said = Said::of(&text, rng.random());
            questions(&said);
            grade(&said, "grade", 3);
            grade(&said, "answer", 3);
            field(&said, "questions");
        }
    }
}
