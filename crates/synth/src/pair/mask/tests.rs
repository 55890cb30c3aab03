//! Checks what masking takes out of passages, and that it touches nothing else.

use super::*;
use crate::config::SplitConfig;
use crate::fixture::Fixture;
use whetstone_records::{Provenance, QueryMetadata};

/// The passages of a fixture, and a group for each of the first queries: its positive, then the
/// passage of another document.
fn groups(generator: &str, style: &str) -> (Collection, Vec<Group>) {
    let split = SplitConfig { dev_fraction: 0.0, test_fraction: 0.0 };
    let mut fixture = Fixture::new(20);
    for passage in &mut fixture.passages {
        passage.text += " Oil it twice a year. The manual of the maker says more.";
    }
    let collection = fixture.collection(&split, 1).unwrap();
    let metadata = QueryMetadata {
        generator: Some(generator.into()),
        style: Some(style.into()),
        ..QueryMetadata::default()
    };
    let pair = |query: usize, passage: u32, miner: &str| {
        let provenance = Provenance { miner: miner.into(), rank: None, score: None };
        let label = if miner == "positive" { 1.0 } else { 0.0 };
        let pair = collection.pair(query, passage, label, provenance);
        Pair { query_metadata: Some(metadata.clone()), ..pair }
    };
    let last = collection.passages.len() as u32 - 1;
    let group = |query: usize| {
        vec![pair(query, collection.positives[query][0].0, "positive"), pair(query, last, "bm25")]
    };
    let groups = (0..100).map(group).collect();
    (collection, groups)
}

fn config(mask_fraction: f64, cut_sentence_fraction: f64) -> PairConfig {
    PairConfig { mask_fraction, cut_sentence_fraction, ..PairConfig::default() }
}

#[test]
fn half_of_a_built_in_querys_words_leave_its_positive_and_nothing_else_does() {
    let (collection, before) = groups(BUILT_IN, "question");
    let mut after = before.clone();
    let masked = mask(&mut after, &collection, &config(1.0, 0.0), Language::English, 1);
    assert_eq!(masked, Masked { words: 100, sentences: 0 });
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before[1], after[1], "a negative stays whole");
        let words = |text: &str| tokens(text).collect::<Vec<String>>();
        let query: HashSet<String> = tokens(&before[0].query).collect();
        let (whole, rest) = (words(&before[0].passage), words(&after[0].passage));
        let gone: HashSet<&String> = whole.iter().filter(|word| !rest.contains(word)).collect();
        // Three of the five different words are masked, and the passage may lack `which`.
        assert!(gone.iter().all(|word| query.contains(*word)), "{gone:?}");
        assert!((2..=3).contains(&gone.len()), "{gone:?}");
        assert_eq!(whole.iter().filter(|word| !gone.contains(word)).count(), rest.len());
    }
}

#[test]
fn a_query_that_is_a_title_takes_the_titles_of_all_its_passages() {
    let (collection, mut groups) = groups(BUILT_IN, "heading");
    assert!(groups.iter().flatten().all(|pair| pair.passage.starts_with("Pumps ")));
    mask(&mut groups, &collection, &config(1.0, 0.0), Language::English, 1);
    assert!(groups.iter().flatten().all(|pair| pair.passage.starts_with("The pump of")));
}

#[test]
fn words_of_people_and_of_llms_are_never_masked() {
    let (collection, before) = groups("some-llm", "natural");
    let mut after = before.clone();
    assert_eq!(
        mask(&mut after, &collection, &config(1.0, 0.0), Language::English, 1),
        Masked::default()
    );
    assert_eq!(before, after);
}

#[test]
fn the_querys_sentence_leaves_a_seeded_share_of_the_positives_of_any_query() {
    let (collection, before) = groups("some-llm", "natural");
    let cut = |seed: u64, fraction: f64| {
        let mut after = before.clone();
        let masked = mask(&mut after, &collection, &config(0.0, fraction), Language::English, seed);
        let changed = before.iter().zip(&after).filter(|(before, after)| before[0] != after[0]);
        assert_eq!((changed.count() as u64, masked.words), (masked.sentences, 0));
        assert!(before.iter().zip(&after).all(|(before, after)| before[1] == after[1]));
        after
    };
    let rest = "Pumps Oil it twice a year. The manual of the maker says more.";
    assert!(cut(1, 1.0).iter().all(|group| group[0].passage == rest));
    assert_eq!(cut(1, 0.0), before);
    let some = cut(1, 0.3);
    let count = some.iter().filter(|group| group[0].passage == rest).count();
    assert!((15..=45).contains(&count), "{count}");
    assert_eq!(some, cut(1, 0.3));
    assert_ne!(some, cut(2, 0.3));
}

#[test]
fn a_positive_whose_sentence_is_cut_keeps_its_other_words() {
    let (collection, mut groups) = groups(BUILT_IN, "question");
    let masked = mask(&mut groups, &collection, &config(1.0, 0.5), Language::English, 1);
    assert_eq!(masked.words + masked.sentences, 100);
    assert!(masked.words > 20 && masked.sentences > 20, "{masked:?}");
}

#[test]
fn the_sentence_that_shares_the_rarer_words_is_the_querys_own() {
    let text = "The cat is on the mat of the house. Dr. Fox saw it.\nThe dog sleeps, though.";
    let cut = |query: &str| without_own_sentence(query, text, Language::English);
    let rest = |query: &str| cut(query).unwrap();
    assert_eq!(rest("where does the dog of the sleep"), "Dr. Fox saw it.\nThe dog sleeps, though.");
    assert_eq!(rest("does the dog?"), "The cat is on the mat of the house. Dr. Fox saw it.");
    assert_eq!(
        rest("who is DR. FOX"),
        "The cat is on the mat of the house. The dog sleeps, though."
    );
    assert_eq!(cut("nothing here"), None);
    assert_eq!(
        without_own_sentence("the only sentence", "The only sentence.", Language::English),
        None
    );
    assert_eq!(without_own_sentence("any", "", Language::English), None);
}

#[test]
fn words_of_a_script_without_spaces_are_left_out_of_their_run_of_letters() {
    let words = HashSet::from(["安全阀".to_owned(), "阀".to_owned()]);
    assert_eq!(without_letters("安全阀打开，阀座结垢。", &words), "打开，座结垢。");
}
