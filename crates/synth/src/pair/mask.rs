//! Takes evidence out of the positives of training queries, so that a model must read what is left.

use super::train::{Group, is_positive};
use crate::ask::is_unspaced;
use crate::chunk::sentences;
use crate::collection::Collection;
use crate::config::PairConfig;
use rand::Rng;
use rand::seq::SliceRandom;
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use whetstone_records::{BUILT_IN, Language, Pair, Passage};

/// Styles of queries that are a title or a heading.
const TITLES: [&str; 2] = ["title", "heading"];
/// Share of the query's words that are masked, where they occur in the positive.
const WORDS_FRACTION: f64 = 0.5;

/// How many queries lost evidence, by its kind.
#[derive(Debug, Default, PartialEq)]
pub struct Masked {
    pub words: u64,
    pub sentences: u64,
}

/// Takes evidence out of seeded shares of the groups: the sentence that the query is about
/// (`cut-sentence-fraction`, inverse cloze: Lee et al. 2019), else words of a built-in query
/// (`mask-fraction`).
pub fn mask(
    groups: &mut [Group],
    collection: &Collection,
    config: &PairConfig,
    language: Language,
    seed: u64,
) -> Masked {
    let mut masked = Masked::default();
    for group in groups {
        let drawn = |choice: &str, fraction: f64| {
            let mut rng = crate::random::rng(seed, choice, group[0].query_id.as_str());
            (rng.random::<f64>() < fraction).then_some(rng)
        };
        let cut = drawn("cut-sentence", config.cut_sentence_fraction);
        let mask = drawn("mask", config.mask_fraction);
        if cut.is_some() && cut_sentences(group, collection, language) {
            masked.sentences += 1;
        } else if let (Some(rng), true) = (mask, is_built_in(group)) {
            mask_words(group, collection, rng);
            masked.words += 1;
        }
    }
    masked
}

fn is_built_in(group: &Group) -> bool {
    let metadata = group[0].query_metadata.as_ref();
    metadata.is_some_and(|metadata| metadata.generator.as_deref() == Some(BUILT_IN))
}

/// Cuts the query's own sentence out of the group's positives. Returns whether there was any.
fn cut_sentences(group: &mut Group, collection: &Collection, language: Language) -> bool {
    let mut any = false;
    for pair in group.iter_mut().filter(|pair| is_positive(pair)) {
        let Some(place) = collection.passage(&pair.passage_id) else { continue };
        let passage = &collection.passages[place as usize];
        if let Some(text) = without_own_sentence(&pair.query, &passage.text, language) {
            pair.passage = Passage { text, ..passage.clone() }.full_text();
            any = true;
        }
    }
    any
}

/// Returns a text without the sentence that shares most words with the query, the first of several.
/// None if no sentence shares one, or if it is the only one.
///
/// A word counts the less the more sentences hold it, so that small words decide nothing.
fn without_own_sentence(query: &str, text: &str, language: Language) -> Option<String> {
    let spans = sentences(text, language);
    let words: Vec<HashSet<String>> =
        spans.iter().map(|span| tokens(&text[span.clone()]).collect()).collect();
    let mut held: HashMap<&str, usize> = HashMap::new();
    for word in words.iter().flatten() {
        *held.entry(word).or_default() += 1;
    }
    let wanted: HashSet<String> = tokens(query).collect();
    let shared = |words: &HashSet<String>| {
        // In order, for the same last bit.
        let mut common: Vec<usize> =
            words.intersection(&wanted).map(|w| held[w.as_str()]).collect();
        common.sort_unstable();
        common.into_iter().map(|sentences| 1.0 / sentences as f64).sum::<f64>()
    };
    let shares: Vec<f64> = words.iter().map(shared).collect();
    let most = shares.iter().copied().fold(0.0, f64::max);
    let own = shares.iter().position(|share| *share == most && most > 0.0)?;
    let [before, after] = [&text[..spans[own].start], &text[spans[own].end..]];
    let rest = format!("{} {}", before.trim_end(), after.trim_start());
    let rest = rest.trim();
    (spans.len() > 1 && !rest.is_empty()).then(|| rest.to_owned())
}

/// A query that is a title would find its words at the head of its passage: all passages of the
/// group lose their titles, so that a missing title says nothing. In the positive of any other
/// query, half of the query's words are left out.
fn mask_words(group: &mut Group, collection: &Collection, mut rng: impl Rng) {
    let style = group[0].query_metadata.as_ref().and_then(|metadata| metadata.style.as_deref());
    if TITLES.contains(&style.unwrap_or_default()) {
        return group.iter_mut().for_each(|pair| leave_title_out(pair, collection));
    }
    let mut words: Vec<String> =
        tokens(&group[0].query).collect::<HashSet<_>>().into_iter().collect();
    words.sort_unstable();
    words.shuffle(&mut rng);
    words.truncate((words.len() as f64 * WORDS_FRACTION).round() as usize);
    let words: HashSet<String> = words.into_iter().collect();
    let positives = group.iter_mut().filter(|pair| is_positive(pair));
    positives.for_each(|pair| leave_words_out(pair, &words));
}

fn leave_title_out(pair: &mut Pair, collection: &Collection) {
    let Some(place) = collection.passage(&pair.passage_id) else { return };
    let text = &collection.passages[place as usize].text;
    if !text.trim().is_empty() {
        pair.passage.clone_from(text);
    }
}

/// Leaves the words out, unless nothing would be left.
fn leave_words_out(pair: &mut Pair, words: &HashSet<String>) {
    let kept = match is_unspaced(&pair.passage) {
        true => without_letters(&pair.passage, words),
        false => {
            let raw = pair.passage.split_inclusive(char::is_whitespace);
            raw.filter(|raw| !tokens(raw).any(|word| words.contains(&word))).collect()
        }
    };
    if !kept.is_empty() {
        pair.passage = kept.trim_end().to_owned();
    }
}

/// The text without the letters of these words, in a script without spaces between words.
fn without_letters(text: &str, words: &HashSet<String>) -> String {
    let mut words: Vec<&String> = words.iter().collect();
    // The longest first: one may be a part of another.
    words.sort_by_key(|word| (Reverse(word.len()), *word));
    words.into_iter().fold(text.to_owned(), |text, word| text.replace(word, ""))
}

/// Words in small letters, without signs around them.
fn tokens(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}

#[cfg(test)]
mod tests;
