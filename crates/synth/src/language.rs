//! Which language a text is in.

use crate::config::LanguageSetting;
use std::collections::HashMap;
use whatlang::{Lang, detect};
use whetstone_records::{DataSet, Language, Passage};

/// Shorter texts are not judged, in characters: a few words fit several languages.
const MIN_CHARS: usize = 60;
/// Below this, the detector is wrong too often. At this value, of English questions in groups of
/// three, it takes none of SciFact's 370 and one of CosQA's 167 for another language.
const MIN_CONFIDENCE: f64 = 0.9;
/// How many passages to look at for the language of a corpus.
const SAMPLE: usize = 300;
/// How much of a text to look at, in bytes.
const SAMPLE_BYTES: usize = 4096;

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

/// Returns the language of a corpus by its setting, or the one that most of a sample of its texts
/// are in beyond doubt. Without one it is English.
pub fn language_of_corpus(setting: LanguageSetting, texts: &[&str]) -> Language {
    if let LanguageSetting::Is(language) = setting {
        return language;
    }
    let sample: Vec<&str> =
        texts.iter().step_by(texts.len().div_ceil(SAMPLE).max(1)).copied().collect();
    let beginnings = sample.iter().map(|text| &text[..text.floor_char_boundary(SAMPLE_BYTES)]);
    let found: Vec<Lang> = beginnings.filter_map(language_of).collect();
    let most = |lang: &&Lang| {
        let count = found.iter().filter(|other| other == lang).count();
        // A few sure texts among many doubtful ones say nothing: code, tables, names.
        count * 2 > found.len() && count * 3 > sample.len()
    };
    match found.iter().find(most) {
        Some(lang) => Language::named(lang.code()).unwrap_or(Language::Other),
        None => Language::English,
    }
}

/// Returns the language that the config or the manifest of `chunk` states.
pub fn stated(
    setting: LanguageSetting,
    data: &DataSet,
) -> Result<Option<Language>, whetstone_records::Error> {
    match setting {
        LanguageSetting::Is(language) => Ok(Some(language)),
        LanguageSetting::Auto => data.language(),
    }
}

/// The language of passages, where `stated` has none.
pub fn of_passages(stated: Option<Language>, passages: &[Passage]) -> Language {
    stated.unwrap_or_else(|| {
        let texts: Vec<&str> = passages.iter().map(|passage| passage.text.as_str()).collect();
        language_of_corpus(LanguageSetting::Auto, &texts)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GERMAN: &str = "Wann darf ich meinen Garten mit dem Schlauch gießen, und wer muss \
        einem großen Tank zustimmen?";
    const ENGLISH: &str =
        "When can I water my garden with a hose, and who has to agree to a large tank?";

    #[test]
    fn a_corpus_is_in_the_language_of_most_of_its_texts_and_else_in_english() {
        let of = |texts: &[&str]| language_of_corpus(LanguageSetting::Auto, texts);
        assert_eq!(of(&[GERMAN, GERMAN, ENGLISH]), Language::German);
        assert_eq!(of(&[GERMAN, ENGLISH]), Language::English);
        assert_eq!(of(&[]), Language::English);
        let names = ["PPAR gamma", "x = 1", "a b", "VX-40", "K-204"];
        assert_eq!(of(&[&names[..], &[GERMAN]].concat()), Language::English, "mostly unknown");
        let polish = "Zawór bezpieczeństwa otwiera się przy trzech barach, a pompa się zatrzymuje.";
        assert_eq!(of(&[polish]), Language::Other);
        let chinese = "安全阀在三巴时打开，水泵停止工作。".repeat(5);
        assert_eq!(of(&[&chinese]), Language::Chinese);
        let named = LanguageSetting::Is(Language::Spanish);
        assert_eq!(language_of_corpus(named, &[GERMAN]), Language::Spanish);
    }

    #[test]
    fn the_language_that_chunk_found_counts_before_the_passages_own() {
        assert_eq!(of_passages(Some(Language::Dutch), &[]), Language::Dutch);
        let passage = serde_json::json!({ "_id": "p", "text": GERMAN });
        let passage: Passage = serde_json::from_value(passage).unwrap();
        assert_eq!(of_passages(None, &[passage]), Language::German);
    }

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
