//! Searches with a tiny model, whose scores are held against the model's own.

use super::*;
use whetstone_model::Scorer;
use whetstone_records::{Passage, Query, Silent};

/// Vectors of length 1 are kept with 11 bits, and a score adds up 32 products.
const F16_TOLERANCE: f32 = 32.0 * 1e-3;

fn model() -> String {
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/oracles/tiny-colbert").to_owned()
}

fn settings(candidates: &str) -> LateInteractionSettings {
    let json = format!(r#"{{"model": "{}"{candidates}}}"#, model());
    serde_json::from_str(&json).unwrap()
}

/// So many passages that they fill several blocks.
fn passages() -> Vec<Passage> {
    let words = ["valve", "pump", "filter", "seal", "motor", "light", "tank", "bolt"];
    let text = |number: usize| {
        let word = |place: usize| words[(number * (place + 3) + place) % words.len()];
        (0..20 + number % 7).map(word).collect::<Vec<_>>().join(" ")
    };
    let passage =
        |number: usize| serde_json::json!({ "_id": format!("p{number:03}"), "text": text(number) });
    (0..200).map(|number| serde_json::from_value(passage(number)).unwrap()).collect()
}

fn queries() -> Vec<Query> {
    let text = |number: usize| format!("which valve {number} opens the tank");
    let query =
        |number: usize| serde_json::json!({ "_id": format!("q{number}"), "text": text(number) });
    (0..QUERY_BLOCK + 3).map(|number| serde_json::from_value(query(number)).unwrap()).collect()
}

#[test]
fn full_search_equals_sorting_the_models_own_scores() {
    let (passages, queries) = (passages(), queries());
    let material = Material::new(&passages, &queries, None);
    let retriever = settings("").build(&material).unwrap();
    let found = retriever.search(2..queries.len(), 10);
    let scorer =
        Scorer::load(Path::new(&model()), None, None, &Engine::open(Default::default()).unwrap());
    let scorer = scorer.unwrap();
    for (query, ranking) in (2..queries.len()).zip(found) {
        let mut all: Vec<Scored> = (0..passages.len() as u32)
            .map(|passage| Scored { passage, score: retriever.score(query, passage).unwrap() })
            .collect();
        all.sort_by(ranking_order);
        assert_eq!(ranking, all[..10]);
        let pairs: Vec<(&str, &str)> = ranking
            .iter()
            .map(|hit| (&*queries[query].text, &*passages[hit.passage as usize].text))
            .collect();
        for (hit, score) in ranking.iter().zip(scorer.score(&pairs, &Silent).unwrap()) {
            assert!((hit.score - score).abs() <= F16_TOLERANCE, "{} {score}", hit.score);
        }
    }
}

#[test]
fn it_reorders_what_another_retriever_finds() {
    let (passages, queries) = (passages(), queries());
    let material = Material::new(&passages, &queries, None);
    let late = settings(r#", "candidates": {"kind": "bm25"}"#).build(&material).unwrap();
    let bm25: RetrieverConfig = serde_json::from_str(r#"{"kind": "bm25"}"#).unwrap();
    let bm25 = bm25.settings().build(&material).unwrap();
    let (found, expected) = (late.search(0..3, 20), bm25.search(0..3, 20));
    assert_ne!(found, expected);
    for (query, (found, expected)) in found.iter().zip(&expected).enumerate() {
        let places = |ranking: &[Scored]| {
            let mut places: Vec<u32> = ranking.iter().map(|hit| hit.passage).collect();
            places.sort_unstable();
            places
        };
        assert_eq!(places(found), places(expected));
        assert!(found.is_sorted_by(|a, b| ranking_order(a, b).is_lt()));
        let own = |hit: &Scored| late.score(query, hit.passage) == Some(hit.score);
        assert!(found.iter().all(own));
    }
}

#[test]
fn vectors_are_kept_where_the_caller_says_and_give_the_same_scores() {
    let (passages, queries) = (passages(), queries());
    let folder = tempfile::tempdir().unwrap();
    let mut material = Material::new(&passages, &queries, None);
    let kept_nowhere = settings("").build(&material).unwrap().search(0..2, 5);
    material.kept = Some(folder.path().into());
    for _ in 0..2 {
        assert_eq!(settings("").build(&material).unwrap().search(0..2, 5), kept_nowhere);
    }
    let files = std::fs::read_dir(folder.path().join(NAME)).unwrap().count();
    assert_eq!(files, 2);
}

#[test]
fn settings_read_back_the_same_and_impossible_ones_are_named() {
    let own = settings(r#", "candidates": {"kind": "bm25", "k1": 1.2}"#);
    let written = serde_json::to_string(&own).unwrap();
    assert_eq!(serde_json::from_str::<LateInteractionSettings>(&written).unwrap(), own);
    own.check().unwrap();
    assert!(own.inputs().unwrap().iter().any(|input| input.role.ends_with("artifact.metadata")));
    for (keys, expected) in [
        (r#", "name": "a/b""#, "`name` of the retriever `a/b`"),
        (
            r#", "candidates": {"kind": "late-interaction", "model": "m"}"#,
            "a retriever of another kind",
        ),
        (r#", "candidates": {"kind": "bm25", "b": 2}"#, "`b` of the retriever `bm25`"),
    ] {
        let message = settings(keys).check().unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
}
