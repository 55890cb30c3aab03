//! BM25 against a second implementation, and what its tokens and ties do.

use super::*;

const PARAMETERS: Bm25Parameters = Bm25Parameters { k1: 0.9, b: 0.4 };
const PASSAGES: [&str; 5] = [
    "The pump is primed before the first start of the day.",
    "Prime the pump. Pumps that are not primed run dry, and dry pumps fail.",
    "A valve closes when the pressure falls.",
    "The pressure of the pump is read at the valve.",
    "",
];

#[test]
fn a_passage_has_the_same_score_found_or_asked_for() {
    let queries = ["when is the pump primed", "valve pressure valve", "the of is", "unknown words"];
    let index = Bm25::build(&PASSAGES, &queries, PARAMETERS, Language::English);
    for query in 0..queries.len() {
        let ranking = index.search(query..query + 1, 10).remove(0);
        for passage in 0..PASSAGES.len() as u32 {
            let found =
                ranking.iter().find(|hit| hit.passage == passage).map_or(0.0, |hit| hit.score);
            assert_eq!(index.score(query, passage), Some(found));
        }
    }
    assert_eq!(index.search(2..4, 10), vec![vec![], vec![]]);
}

#[test]
fn scores_are_those_of_a_second_implementation() {
    #[derive(serde::Deserialize)]
    struct Oracle {
        about: About,
        passages: Vec<Vec<String>>,
        queries: Vec<OracleQuery>,
    }
    #[derive(serde::Deserialize)]
    struct About {
        k1: f32,
        b: f32,
        factor_to_classical: f32,
    }
    #[derive(serde::Deserialize)]
    struct OracleQuery {
        query: Vec<String>,
        scores: Vec<f32>,
    }
    // Scores are sums of a few f32.
    const TOLERANCE: f32 = 1e-5;

    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/oracles/bm25.json");
    let oracle: Oracle = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let passages: Vec<String> = oracle.passages.iter().map(|tokens| tokens.join(" ")).collect();
    let passages: Vec<&str> = passages.iter().map(String::as_str).collect();
    let queries: Vec<String> = oracle.queries.iter().map(|query| query.query.join(" ")).collect();
    let queries: Vec<&str> = queries.iter().map(String::as_str).collect();
    let parameters = Bm25Parameters { k1: oracle.about.k1, b: oracle.about.b };
    let words = |text: &str| text.split(' ').map(str::to_owned).collect();
    let index = Bm25::from_tokens(&passages, &queries, parameters, words);
    for (query, expected) in oracle.queries.iter().enumerate() {
        for (passage, expected) in expected.scores.iter().enumerate() {
            let (score, expected) = (
                index.score(query, passage as u32).unwrap(),
                expected * oracle.about.factor_to_classical,
            );
            assert!(
                (score - expected).abs() < TOLERANCE,
                "query {query} passage {passage}: {score} {expected}"
            );
        }
    }
}

#[test]
fn names_are_parted_and_numbers_are_not() {
    assert_eq!(
        part_identifiers("set self.max_size to 2.4.1. Then v2.x"),
        "set self max size to 2.4.1. Then v2.x"
    );
}

#[test]
fn stems_match_and_a_block_of_queries_is_the_same_as_one_by_one() {
    let queries = ["priming pumps", "closing valves", "failing", "pressures"];
    let index = Bm25::build(&PASSAGES, &queries, PARAMETERS, Language::English);
    let block = index.search(0..4, 3);
    assert_eq!(block[0][0].passage, 1);
    for (query, ranking) in block.iter().enumerate() {
        assert!(!ranking.is_empty());
        assert_eq!(*ranking, index.search(query..query + 1, 3)[0]);
    }
}

#[test]
fn equal_passages_tie_and_the_later_id_comes_first() {
    let index = Bm25::build(
        &["red valve", "blue valve", "red valve"],
        &["red"],
        PARAMETERS,
        Language::English,
    );
    let ranking = index.search(0..1, 10).remove(0);
    assert_eq!(ranking.iter().map(|hit| hit.passage).collect::<Vec<_>>(), [2, 0]);
    assert_eq!(ranking[0].score, ranking[1].score);
}
