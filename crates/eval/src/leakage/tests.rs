//! Leakage between training and test is found, and nothing else.

use super::*;
use rand::{Rng, SeedableRng, rngs::StdRng};

fn side(queries: &[(&str, &str)], passages: &[(&str, &str, &str)]) -> Side {
    Side {
        queries: queries.iter().map(|(id, text)| ((*id).into(), (*text).to_owned())).collect(),
        passages: passages
            .iter()
            .map(|(id, doc, text)| ((*id).into(), (*doc).into(), text_digest(text)))
            .collect(),
    }
}

#[test]
fn what_shares_nothing_has_no_finding() {
    let train = side(&[("t1", "how to oil a chain")], &[("a-1", "a", "Oil it.")]);
    let test = side(&[("q1", "how to patch a tyre")], &[("b-1", "b", "Patch it.")]);
    assert_eq!(leakage(&train, &test), []);
}

#[test]
fn every_kind_of_leak_is_found_counted_and_refuses_the_verdict() {
    let train = side(
        &[("t1", "How to oil a chain?"), ("t2", "where do I find the spare key of the old shed")],
        &[("a-1", "a", "Oil it."), ("c-1", "c", "Same  TEXT here")],
    );
    let test = side(
        &[
            ("q1", "how to OIL a chain"),
            ("q2", "where do I find the spare key of the shed"),
            ("q3", "who rides"),
        ],
        &[
            ("a-2", "a", "Another passage."),
            ("b-1", "b", "same text\nhere"),
            ("b-2", "b", "Other."),
        ],
    );
    let found = leakage(&train, &test);
    let summary: Vec<_> =
        found.iter().map(|finding| (finding.guard, finding.found, finding.of)).collect();
    assert_eq!(
        summary,
        [
            (Guard::SharedDocuments, 1, 2),
            (Guard::SharedPassages, 1, 3),
            (Guard::SharedQueries, 1, 3),
            (Guard::NearDuplicateQueries, 1, 3)
        ]
    );
    assert!(found.iter().all(|finding| finding.refuses && !finding.hint().is_empty()));
    let texts: Vec<String> = found.iter().map(Finding::to_string).collect();
    assert_eq!(texts[0], "1 of 2 documents that answer test queries were trained on: `a`");
    assert!(texts[1].ends_with(": `b-1` (trained on as `c-1`)"), "{}", texts[1]);
    assert!(
        texts[3].contains("(trained on: “where do I find the spare key of the old shed”)"),
        "{}",
        texts[3]
    );
}

#[test]
fn queries_that_differ_in_a_number_or_an_identifier_are_no_duplicates() {
    let ask = |model: &str| {
        format!("what is the highest pressure that the feed pump {model} may be run at in winter")
    };
    let alike = |a: String, b: String| !near_duplicates(&[a], &[b], NEAR_DUPLICATE).is_empty();
    assert!(!alike(ask("VX200"), ask("VX300")));
    assert!(alike(ask("VX200"), ask("VX200")));
    assert!(alike(ask("VX200"), ask("VX200") + " time"));
}

#[test]
fn the_index_finds_what_comparing_all_with_all_finds() {
    let mut random = StdRng::seed_from_u64(3);
    let mut query = || -> String {
        let letters =
            (0..random.random_range(1..9)).map(|_| (b'a' + random.random_range(0..14)) as char);
        letters.map(String::from).collect::<Vec<_>>().join(" ")
    };
    let train: Vec<String> = (0..300).map(|_| query()).collect();
    let test: Vec<String> = (0..200).map(|_| query()).collect();
    let set = |text: &String| words(text).into_iter().collect::<BTreeSet<_>>();
    let found = near_duplicates(&train, &test, 0.8);
    let best = |query: &String| {
        let similarity = |other: &String| {
            let (a, b) = (set(other), set(query));
            a.intersection(&b).count() as f64 / a.union(&b).count() as f64
        };
        train.iter().map(similarity).fold(0.0, f64::max)
    };
    let mut alike = 0;
    for (at, query) in test.iter().enumerate() {
        let (best, found) = (best(query), found.iter().find(|found| found.test == at));
        assert_eq!(best >= 0.8, found.is_some(), "{query}");
        if let Some(found) = found {
            alike += 1;
            assert!((found.jaccard - best).abs() < 1e-12, "{found:?} {best}");
        }
    }
    assert!(alike > 20 && alike < 200, "{alike}: the test must see both");
}

#[test]
fn a_text_without_words_is_like_nothing() {
    assert_eq!(
        near_duplicates(&["?".into(), String::new()], &["!".into(), String::new()], 0.8),
        []
    );
}
