//! Masks evidence in the positives of built-in queries, which repeat their passage's words.

use super::train::{Group, is_positive};
use crate::ask::is_unspaced;
use crate::collection::Collection;
use rand::Rng;
use rand::seq::SliceRandom;
use std::cmp::Reverse;
use std::collections::HashSet;
use whetstone_records::{BUILT_IN, Pair};

/// Styles of queries that are a title or a heading.
const TITLES: [&str; 2] = ["title", "heading"];
/// Share of the query's words that are masked, where they occur in the positive.
const WORDS_FRACTION: f64 = 0.5;

/// Masks a seeded `fraction` of the groups whose query is a built-in one, and returns how many.
///
/// A query that is a title would find its words at the head of its passage: all passages of the
/// group lose their titles, so that a missing title says nothing. In the positive of any other
/// query, half of the query's words are left out.
pub fn mask(groups: &mut [Group], collection: &Collection, fraction: f64, seed: u64) -> u64 {
    let mut masked = 0;
    for group in groups {
        let Some(metadata) = &group[0].query_metadata else { continue };
        let mut rng = crate::random::rng(seed, "mask", group[0].query_id.as_str());
        if metadata.generator.as_deref() != Some(BUILT_IN) || rng.random::<f64>() >= fraction {
            continue;
        }
        let style = metadata.style.as_deref().unwrap_or_default();
        if TITLES.contains(&style) {
            group.iter_mut().for_each(|pair| leave_title_out(pair, collection));
        } else {
            let mut words: Vec<String> =
                tokens(&group[0].query).collect::<HashSet<_>>().into_iter().collect();
            words.sort_unstable();
            words.shuffle(&mut rng);
            words.truncate((words.len() as f64 * WORDS_FRACTION).round() as usize);
            let words: HashSet<String> = words.into_iter().collect();
            let positives = group.iter_mut().filter(|pair| is_positive(pair));
            positives.for_each(|pair| leave_words_out(pair, &words));
        }
        masked += 1;
    }
    masked
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
mod tests {
    use super::*;

    #[test]
    fn words_of_a_script_without_spaces_are_left_out_of_their_run_of_letters() {
        let words = HashSet::from(["安全阀".to_owned(), "阀".to_owned()]);
        assert_eq!(without_letters("安全阀打开，阀座结垢。", &words), "打开，座结垢。");
    }
}
