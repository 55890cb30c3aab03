//! Sentences as words, and what can be said about a word without a dictionary.

use super::lists;
use super::verbs::{Form, verb};

/// A word of a sentence with the punctuation that followed it.
#[derive(Clone, Debug, PartialEq)]
pub struct Word {
    /// As written, without punctuation around it.
    pub text: String,
    pub lower: String,
    /// The first comma, semicolon, colon, dash or bracket after it.
    pub stop: Option<char>,
    /// Whether a bracket or quote opens before it.
    pub opens: bool,
}

impl Word {
    pub fn is_stop_word(&self) -> bool {
        lists::STOP_WORDS.contains(self.lower.as_str())
    }

    pub fn is_preposition(&self) -> bool {
        lists::PREPOSITIONS.contains(self.lower.as_str())
    }

    pub fn is_anaphor(&self) -> bool {
        lists::ANAPHORS.contains(self.lower.as_str())
    }

    pub fn is_determiner(&self) -> bool {
        lists::DETERMINERS.contains(self.lower.as_str())
    }

    /// Whether the word names one thing among similar ones: `VX-40`, `K-204`, `E2F1`, `2024`,
    /// `5.1`.
    pub fn is_identifier(&self) -> bool {
        let digit = self.text.chars().any(|c| c.is_ascii_digit());
        let letter = self.text.chars().any(char::is_alphabetic);
        let year =
            self.text.len() == 4 && (self.text.starts_with("19") || self.text.starts_with("20"));
        let capitals = self.text.chars().filter(|c| c.is_uppercase()).count();
        (digit && letter && !self.text.contains('='))
            || (year && digit)
            || (capitals >= 2 && self.text.len() <= 12)
    }

    pub fn is_capitalised(&self) -> bool {
        self.text.chars().next().is_some_and(char::is_uppercase)
    }

    /// Whether the word is written like a name, wherever it stands.
    pub fn is_name_like(&self) -> bool {
        self.is_capitalised() || self.is_identifier()
    }

    pub fn is_number(&self) -> bool {
        let digits = self.text.trim_start_matches(['-', '−', '+', '±', '>', '<', '~', '≥', '≤']);
        digits.starts_with(|c: char| c.is_ascii_digit())
            && digits.chars().all(|c| c.is_ascii_digit() || ".,:/–-½¼¾%".contains(c))
    }

    /// Whether the word is a number such as `twelve`; which one does not matter.
    pub fn is_number_word(&self) -> bool {
        lists::NUMBERS.contains(self.lower.as_str())
    }
}

/// Returns the words of a sentence.
pub fn words(sentence: &str) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    for raw in sentence.split_whitespace() {
        let text = raw.trim_matches(|c: char| !c.is_alphanumeric() && !"%°½¼¾µ€$£".contains(c));
        let start = raw.find(text).unwrap_or(0);
        // A minus or a comparison belongs to its number.
        let signed = text.starts_with(|c: char| c.is_ascii_digit());
        let sign = raw[..start].chars().last().filter(|c| signed && "-−±<>≥≤~".contains(*c));
        let start = start - sign.map_or(0, char::len_utf8);
        let end = raw.rfind(text).unwrap_or(0) + text.len();
        let after = raw.get(end..).unwrap_or_default();
        if text.is_empty() {
            if let Some(last) = words.last_mut() {
                last.stop = last.stop.or(raw.chars().find(|c| ",;:–—()|→->".contains(*c)));
            }
            continue;
        }
        words.push(Word {
            text: raw[start..end].to_owned(),
            lower: raw[start..end].to_lowercase(),
            stop: after.chars().find(|c| ",;:–—)]".contains(*c)),
            opens: raw[..start].contains(['(', '[', '"', '“', '‘']),
        });
    }
    words
}

/// Joins words with single spaces, keeping commas only.
pub fn join(words: &[Word]) -> String {
    let mut text = String::new();
    for (index, word) in words.iter().enumerate() {
        if index > 0 {
            text.push(' ');
        }
        text.push_str(&word.text);
        if word.stop == Some(',') && index + 1 < words.len() {
            text.push(',');
        }
    }
    text
}

/// Cuts a sentence's words at commas, semicolons, colons, dashes and brackets.
pub fn clauses(words: &[Word]) -> Vec<&[Word]> {
    let mut clauses = Vec::new();
    let mut start = 0;
    for index in 0..words.len() {
        let border =
            words[index].stop.is_some() || words.get(index + 1).is_some_and(|next| next.opens);
        if border || index + 1 == words.len() {
            clauses.push(&words[start..index + 1]);
            start = index + 1;
        }
    }
    clauses
}

/// Whether a sentence that begins with this word tells the reader what to do.
pub fn is_order(first: &Word) -> bool {
    lists::ORDERS.contains(first.lower.as_str())
        || verb(&first.lower).is_some_and(|(_, form)| form == Form::Base)
}

/// Whether a word in small letters has no topic of its own.
pub fn is_general(lower: &str) -> bool {
    lists::STOP_WORDS.contains(lower) || lists::PLAIN_WORDS.contains(lower)
}

/// A crude stem, so that `valves` and `valve` count as one term.
pub fn stem(lower: &str) -> String {
    let stem = match lower {
        _ if lower.len() <= 3 || lower.chars().any(|c| c.is_ascii_digit()) => lower,
        _ if lower.ends_with("ies") => return format!("{}y", &lower[..lower.len() - 3]),
        _ if lower.ends_with("sses") => &lower[..lower.len() - 2],
        _ if lower.ends_with("ss") || lower.ends_with("us") || lower.ends_with("is") => lower,
        _ => lower.strip_suffix('s').unwrap_or(lower),
    };
    stem.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_keep_their_signs_and_lose_their_punctuation() {
        let found = words("(Set “VX-40” to −3 °C, or 50 %; see K-204.)");
        let texts: Vec<&str> = found.iter().map(|word| word.text.as_str()).collect();
        assert_eq!(texts, ["Set", "VX-40", "to", "−3", "°C", "or", "50", "%", "see", "K-204"]);
        assert_eq!((found[4].stop, found[7].stop, found[1].opens), (Some(','), Some(';'), true));
        assert!(found[1].is_identifier() && found[9].is_identifier() && !found[3].is_identifier());
    }
}
