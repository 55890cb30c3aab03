//! Which language a text is in.

use std::collections::HashMap;
use whatlang::{Lang, detect};

/// Shorter texts are not judged, in characters: a few words fit several languages.
const MIN_CHARS: usize = 60;
/// Below this, the detector is wrong too often. At this value, of English questions in groups of
/// three, it takes none of SciFact's 370 and one of CosQA's 167 for another language.
const MIN_CONFIDENCE: f64 = 0.9;
/// How many passages to look at for the language of a corpus.
const SAMPLE: usize = 300;

/// Returns the language with this English name or ISO 639-3 code.
pub fn named(name: &str) -> Option<Lang> {
    let name = name.trim().to_lowercase();
    let named = |lang: &&Lang| lang.eng_name().to_lowercase() == name || lang.code() == name;
    Lang::all().iter().find(named).copied()
}

/// Returns the language of a text if it is beyond doubt.
pub fn language_of(text: &str) -> Option<Lang> {
    if text.chars().count() < MIN_CHARS {
        return None;
    }
    detect(text).filter(|found| found.confidence() >= MIN_CONFIDENCE).map(|found| found.lang())
}

/// Returns the language that most of the texts are in.
pub fn main_language<'t>(texts: impl Iterator<Item = &'t str>) -> Option<Lang> {
    let mut counts: HashMap<Lang, usize> = HashMap::new();
    let found: Vec<Lang> = texts.take(SAMPLE).filter_map(language_of).collect();
    for lang in &found {
        *counts.entry(*lang).or_default() += 1;
    }
    counts.into_iter().find(|(_, count)| count * 2 > found.len()).map(|(lang, _)| lang)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_has_a_name_and_a_code_and_short_texts_have_none() {
        assert_eq!(named("German"), named("deu"));
        assert_eq!(named("Klingon"), None);
        let german = "Wann darf ich meinen Garten mit dem Schlauch gießen, und wer muss einem großen Tank zustimmen?";
        assert_eq!(language_of(german), named("German"));
        assert_eq!(
            language_of("When can I water my garden with a hose, and who has to agree to a tank?"),
            named("english")
        );
        assert_eq!(language_of("PPAR gamma?"), None);
    }
}
