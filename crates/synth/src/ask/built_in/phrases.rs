//! Noun phrases of a sentence, found by the words around them and by what the corpus says of each.

use super::corpus::CorpusTerms;
use super::lists;
use super::words::Word;
use std::ops::Range;

/// Most words of one noun phrase, and of several that prepositions join.
const MAX_WORDS: usize = 4;
const MAX_CHAIN_WORDS: usize = 8;

/// Returns where the sentence's noun phrases are, without their articles.
pub fn phrases(sentence: &[Word], terms: &CorpusTerms) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = 0;
    for at in 0..=sentence.len() {
        let inside = sentence.get(at).is_some_and(|word| is_content(word, terms));
        let opens = at > start && sentence.get(at).is_some_and(|word| word.opens);
        let stopped = at > start && sentence[at - 1].stop.is_some();
        if inside && !opens && !stopped {
            continue;
        }
        found.extend(trimmed(sentence, start..at, terms));
        start = if inside { at } else { at + 1 };
    }
    found
}

/// Joins neighbours over a preposition: `shelf life` and `beer` in `the shelf life of the beer`.
pub fn chains(sentence: &[Word], phrases: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut chains = Vec::new();
    for (first, phrase) in phrases.iter().enumerate() {
        let mut chain = phrase.clone();
        for next in &phrases[first + 1..] {
            let is_joined = is_link(&sentence[chain.end - 1], &sentence[chain.end..next.start]);
            if !is_joined || next.end - chain.start > MAX_CHAIN_WORDS {
                break;
            }
            chain.end = next.end;
        }
        if chain.end > phrase.end {
            chains.push(chain);
        }
    }
    chains
}

/// A phrase as one types it: without articles and possessives, with a small first letter.
pub fn typed(words: &[Word], terms: &CorpusTerms) -> String {
    let kept: Vec<Word> = words
        .iter()
        .filter(|word| !is_article(word))
        .map(|word| Word { stop: None, ..word.clone() })
        .collect();
    terms.within_sentence(&kept)
}

/// The words as they stand, with a small first letter unless it begins a name.
pub fn as_said(words: &[Word], terms: &CorpusTerms) -> String {
    let words: Vec<Word> = words.iter().map(|word| Word { stop: None, ..word.clone() }).collect();
    terms.within_sentence(&words)
}

/// `the`, `a`, `our` and the like, which a person who types leaves out.
pub fn is_article(word: &Word) -> bool {
    lists::ARTICLES.contains(word.lower.as_str())
}

/// Whether these words join two noun phrases into one: a preposition, with or without an article.
fn is_link(before: &Word, between: &[Word]) -> bool {
    let is_free = before.stop.is_none() && between.iter().all(|word| word.stop.is_none());
    match between {
        [preposition] => is_free && is_linking(preposition),
        [preposition, article] => is_free && is_linking(preposition) && is_article(article),
        _ => false,
    }
}

fn is_linking(word: &Word) -> bool {
    matches!(word.lower.as_str(), "of" | "for" | "in" | "on" | "with" | "from" | "at" | "between")
}

/// Whether a word can be part of a noun phrase.
fn is_content(word: &Word, terms: &CorpusTerms) -> bool {
    let number = (word.is_number() || word.is_number_word()) && !word.is_identifier();
    !word.is_stop_word()
        && !number
        && !lists::UNITS.contains(word.lower.as_str())
        && !is_adverb(word)
        && is_plain_spelling(word)
        && !terms.is_verb(word)
}

pub fn is_adverb(word: &Word) -> bool {
    word.lower.len() > 4
        && word.lower.ends_with("ly")
        && !lists::NOUNS_IN_LY.contains(word.lower.as_str())
}

/// Whether a word has more than one letter and none of a contraction's, an address's or code's
/// signs.
fn is_plain_spelling(word: &Word) -> bool {
    let text = &word.text;
    let possessive = text.strip_suffix("'s").or(text.strip_suffix("’s"));
    let stem = possessive.unwrap_or(text);
    let contracted = possessive.is_some_and(|stem| {
        lists::STOP_WORDS.contains(stem.to_lowercase().as_str()) || stem.len() < 3
    });
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '&' | '.');
    stem.chars().count() > 1
        && !contracted
        && stem.chars().all(plain)
        && stem.chars().any(char::is_alphabetic)
}

/// Whether a word before a run of content words says that it begins with a verb.
fn is_before_verb(word: &Word) -> bool {
    word.stop.is_none() && lists::BEFORE_VERBS.contains(word.lower.as_str())
}

/// Whether a word after a run says that the run ended in a verb: `the firm offers a …`.
fn is_after_verb(word: &Word) -> bool {
    is_article(word) || word.is_anaphor() || word.is_number() || is_adverb(word)
}

/// The run without what is no part of the phrase, if its last word is a noun.
fn trimmed(sentence: &[Word], run: Range<usize>, terms: &CorpusTerms) -> Option<Range<usize>> {
    let Range { mut start, mut end } = run;
    if start >= end || (start > 0 && is_before_verb(&sentence[start - 1])) {
        return None;
    }
    let next = sentence.get(end).filter(|next| !next.opens && sentence[end - 1].stop.is_none());
    if next.is_some_and(is_after_verb) && !sentence[end - 1].is_name_like() {
        end -= 1;
    }
    // After a noun, a rare word that ends in `s` is often a verb: `the valve key hangs`.
    let acts_last = |end: usize| {
        let last = &sentence[end - 1];
        end > start + 1 && is_small_plural(last) && !terms.is_common_noun(last)
    };
    while end > start && (!terms.is_noun(&sentence[end - 1]) || acts_last(end)) {
        end -= 1;
    }
    start = start.max(end.saturating_sub(MAX_WORDS));
    // `the heat melts the ice`: what ends in `s` before another noun is seldom a noun.
    let acts = |word: &Word| is_small_plural(word) && !terms.is_common_noun(word);
    if let Some(at) = (start..end.saturating_sub(1)).rev().find(|at| acts(&sentence[*at])) {
        start = at + 1;
    }
    let dull = |word: &Word| lists::PLAIN_WORDS.contains(word.lower.as_str()) || is_dull(word);
    while start < end && dull(&sentence[start]) {
        start += 1;
    }
    (start < end && !is_vague(&sentence[end - 1])).then_some(start..end)
}

fn is_small_plural(word: &Word) -> bool {
    word.lower.ends_with('s') && !word.lower.ends_with("ss") && !word.is_capitalised()
}

/// Adjectives that narrow nothing.
fn is_dull(word: &Word) -> bool {
    lists::DULL.contains(word.lower.as_str())
}

/// Nouns that mean something only beside what was said before.
pub fn is_vague(word: &Word) -> bool {
    lists::VAGUE.contains(word.lower.as_str())
        || lists::PLAIN_WORDS.contains(word.lower.as_str())
        || is_dull(word)
}

#[cfg(test)]
mod tests {
    use super::super::words::words;
    use super::*;
    use whetstone_records::Passage;

    fn found(text: &str) -> (Vec<String>, Vec<String>) {
        let corpus = Passage {
            id: "p".into(),
            title: String::new(),
            text: "The shelf life of the beer ends. The beer of the firm. A life in the firm, the \
                   safety valve and the valve. It stores a beer. They store it. To store the beer."
                .into(),
            metadata: Default::default(),
        };
        let terms = CorpusTerms::of(&[corpus]);
        let sentence = words(text);
        let phrases = phrases(&sentence, &terms);
        let shown = |ranges: &[Range<usize>]| {
            ranges.iter().map(|range| typed(&sentence[range.clone()], &terms)).collect()
        };
        (shown(&phrases), shown(&chains(&sentence, &phrases)))
    }

    #[test]
    fn noun_phrases_stand_between_small_words_and_verbs() {
        let (phrases, chains) =
            found("The firm stores the shelf life of the beer, they store beer.");
        assert_eq!(phrases, ["firm", "shelf life", "beer", "beer"]);
        assert_eq!(chains, ["shelf life of beer"]);
        let (phrases, _) = found("The safety valve offered by the firm isn't safe, that's why.");
        assert_eq!(phrases, ["safety valve", "firm"]);
    }
}
