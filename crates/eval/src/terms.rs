//! The terms of a text, by which BM25, the overlap and the highlights compare words.

use bm25::{DefaultTokenizer, Language as Stemmed, Tokenizer};
use std::ops::Range;
use unicode_segmentation::UnicodeSegmentation;
use whetstone_records::Language;

/// Cuts texts of a language into terms.
pub struct Terms {
    kind: Kind,
}

enum Kind {
    /// Stemmed words without stop words.
    Stems(Box<DefaultTokenizer>),
    /// Pairs of neighbouring letters, and whole words of scripts with spaces.
    Pairs,
    /// Words as they stand.
    Words,
}

impl Terms {
    pub fn of(language: Language) -> Self {
        let kind = match stemmed(language) {
            // English as it always was: letters are brought to ASCII first.
            Some(Stemmed::English) => {
                Kind::Stems(Box::new(DefaultTokenizer::new(Stemmed::English)))
            }
            // Other stemmers look for their own letters and endings.
            Some(language) => {
                let builder = DefaultTokenizer::builder().language_mode(language);
                Kind::Stems(Box::new(builder.normalization(false).build()))
            }
            None if language.is_unspaced() => Kind::Pairs,
            None => Kind::Words,
        };
        Self { kind }
    }

    /// Returns the terms of a text in their order, none for a stop word.
    pub fn tokenize(&self, text: &str) -> Vec<String> {
        match &self.kind {
            Kind::Stems(tokenizer) => tokenizer.tokenize(text),
            Kind::Pairs => pairs(text).into_iter().map(|(_, term)| term).collect(),
            Kind::Words => text.unicode_words().map(str::to_lowercase).collect(),
        }
    }

    /// Returns the terms with their places, where a term is not a whole word of the text.
    pub(crate) fn places(&self, text: &str) -> Option<Vec<(Range<usize>, String)>> {
        matches!(self.kind, Kind::Pairs).then(|| pairs(text))
    }
}

fn stemmed(language: Language) -> Option<Stemmed> {
    Some(match language {
        Language::Arabic => Stemmed::Arabic,
        Language::Danish => Stemmed::Danish,
        Language::Dutch => Stemmed::Dutch,
        Language::English => Stemmed::English,
        Language::French => Stemmed::French,
        Language::German => Stemmed::German,
        Language::Greek => Stemmed::Greek,
        Language::Hungarian => Stemmed::Hungarian,
        Language::Italian => Stemmed::Italian,
        Language::Norwegian => Stemmed::Norwegian,
        Language::Portuguese => Stemmed::Portuguese,
        Language::Romanian => Stemmed::Romanian,
        Language::Russian => Stemmed::Russian,
        Language::Spanish => Stemmed::Spanish,
        Language::Swedish => Stemmed::Swedish,
        Language::Tamil => Stemmed::Tamil,
        Language::Turkish => Stemmed::Turkish,
        Language::Chinese
        | Language::Japanese
        | Language::Korean
        | Language::Thai
        | Language::Other => return None,
    })
}

/// Whether a letter is of a script whose terms are pairs of letters: Chinese, Japanese, Korean,
/// Thai and their neighbours. Marks on a letter of Thai count as letters.
fn is_paired(c: char) -> bool {
    matches!(c as u32,
        0x0e01..=0x0eff | 0x1000..=0x109f | 0x1100..=0x11ff | 0x1780..=0x17ff
        | 0x3005..=0x3007 | 0x3041..=0x30ff | 0x31f0..=0x31ff | 0x3400..=0x9fff
        | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xff66..=0xff9f | 0x20000..=0x3ffff)
        && (c.is_alphanumeric() || is_mark(c))
}

/// Vowels and tones that are set on the letters of Thai, Lao, Burmese and Khmer.
fn is_mark(c: char) -> bool {
    matches!(c as u32,
        0x0e31..=0x0e3a | 0x0e47..=0x0e4e | 0x0eb1..=0x0ebc | 0x0ec8..=0x0ece
        | 0x102b..=0x103e | 0x17b4..=0x17d3)
}

/// Each pair of neighbouring letters; a letter that stands alone is a term too. Between them are
/// the words of other scripts, in lower case.
fn pairs(text: &str) -> Vec<(Range<usize>, String)> {
    let mut terms = Vec::new();
    let letters: Vec<(usize, char)> = text.char_indices().collect();
    let end = |at: usize| letters.get(at).map_or(text.len(), |(byte, _)| *byte);
    let mut at = 0;
    while at < letters.len() {
        let paired = is_paired(letters[at].1);
        let run = letters[at..].iter().take_while(|(_, c)| is_paired(*c) == paired).count();
        let bytes = end(at)..end(at + run);
        match paired {
            false => {
                terms.extend(text[bytes.clone()].unicode_word_indices().map(|(from, word)| {
                    let from = bytes.start + from;
                    (from..from + word.len(), word.to_lowercase())
                }))
            }
            true => terms.extend((at..(at + run - 1).max(at + 1)).map(|first| {
                let span = end(first)..end((first + 2).min(at + run));
                (span.clone(), text[span].to_owned())
            })),
        }
        at += run;
    }
    terms
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(language: Language, text: &str) -> Vec<String> {
        Terms::of(language).tokenize(text)
    }

    #[test]
    fn every_language_has_its_stems_and_stop_words() {
        let same = |language, one: &str, other: &str| {
            assert_eq!(terms(language, one), terms(language, other), "{language}");
        };
        same(Language::English, "the primed pumps", "priming a pump");
        same(Language::German, "die Pumpen und die Ventile", "der Pumpe das Ventil");
        same(Language::Spanish, "las válvulas de la bomba", "una válvula y las bombas");
        same(Language::French, "les pompes", "la pompe");
        same(Language::Russian, "насосы", "насоса");
        assert_eq!(terms(Language::German, "und die der das"), [] as [&str; 0]);
        assert_eq!(terms(Language::Other, "Pompy i zawory"), ["pompy", "i", "zawory"]);
    }

    #[test]
    fn text_without_spaces_is_compared_by_pairs_of_letters() {
        assert_eq!(terms(Language::Chinese, "打开安全阀。"), ["打开", "开安", "安全", "全阀"]);
        assert_eq!(terms(Language::Chinese, "VX-40的水"), ["vx", "40", "的水"]);
        assert_eq!(terms(Language::Japanese, "弁、 45度"), ["弁", "45", "度"]);
        assert_eq!(terms(Language::Korean, "밸브"), ["밸브"]);
        assert_eq!(terms(Language::Thai, "น้ำ"), ["น้", "้ำ"]);
        assert_eq!(terms(Language::Chinese, " ，"), [] as [&str; 0]);
    }

    #[test]
    fn a_term_has_its_place_where_words_do_not() {
        let text = "先打开 VX 阀";
        let places = Terms::of(Language::Chinese).places(text).unwrap();
        let found: Vec<&str> = places.iter().map(|(span, _)| &text[span.clone()]).collect();
        assert_eq!(found, ["先打", "打开", "VX", "阀"]);
        assert!(Terms::of(Language::German).places(text).is_none());
    }
}
