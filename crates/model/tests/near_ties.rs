//! bfloat16 on a CPU has the first ten of f32, in its order.

mod common;

use common::{oracles, tiny};
use whetstone_model::{
    DeviceName, Engine, Placement, Precision, Reranker, RerankerOptions, Scorer,
};
use whetstone_records::Silent;

const LISTS: usize = 100;
const CANDIDATES: usize = 25;

/// Queries and candidates of common words, all of them different.
fn lists() -> Vec<(String, Vec<String>)> {
    let words = "the limit of snow meter valve cellar and night opens at sixty filter water pump";
    let words: Vec<&str> = words.split(' ').collect();
    let text = |seed: usize, count: usize| -> String {
        let word = |at| words[(seed / words.len().pow(at as u32 % 3) + at * at) % words.len()];
        (0..count).map(word).collect::<Vec<_>>().join(" ")
    };
    let candidates =
        |list| (0..CANDIDATES).map(move |place| text(list * CANDIDATES + place, 3 + place % 7));
    (0..LISTS).map(|list| (text(7 * list, 4), candidates(list).collect())).collect()
}

fn placed(precision: Precision) -> Placement {
    Placement { device: DeviceName::Cpu, precision }
}

fn first_ten(scores: &[f32]) -> Vec<usize> {
    let mut places: Vec<usize> = (0..scores.len()).collect();
    places.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    places.into_iter().take(10).collect()
}

#[test]
fn nearly_all_lists_have_the_first_ten_of_f32_in_its_order() {
    if !Precision::Bf16.is_supported() {
        return;
    }
    let texts = lists();
    let pairs: Vec<(&str, &str)> = texts
        .iter()
        .flat_map(|(query, passages)| passages.iter().map(|passage| (&**query, &**passage)))
        .collect();
    for model in [tiny().0, oracles().join("tiny-colbert")] {
        let scorer = |precision| {
            let engine = Engine::placed(placed(precision)).unwrap();
            Scorer::load(&model, None, None, &engine).unwrap()
        };
        let (exact, rounding) = (scorer(Precision::F32), scorer(Precision::Bf16));
        let exact = exact.score(&pairs, &Silent).unwrap();
        let rounded = rounding.score(&pairs, &Silent).unwrap();
        let found = rounding.score_lists(&pairs, &[CANDIDATES; LISTS], &Silent).unwrap();
        let wrong = |scores: &[f32]| {
            let lists = scores.chunks(CANDIDATES).zip(exact.chunks(CANDIDATES));
            lists.filter(|(found, exact)| first_ten(found) != first_ten(exact)).count()
        };
        // Scores of random weights are closer together than those of a trained model.
        let (before, after) = (wrong(&rounded), wrong(&found));
        assert!(before > 0 && after * 3 <= before, "{model:?}: {before} before, {after} after");
        let again = (0..pairs.len()).filter(|&pair| found[pair] != rounded[pair]);
        let again: Vec<usize> = again.collect();
        again.iter().for_each(|&pair| assert!((found[pair] - exact[pair]).abs() < 1e-5));
        assert!(!again.is_empty() && again.len() < pairs.len() / 4, "{}", again.len());

        // The way in for programs gives the same scores.
        let list = again[0] / CANDIDATES;
        let (query, passages) = &texts[list];
        let options = RerankerOptions { placement: placed(Precision::Bf16), ..Default::default() };
        let reranker = Reranker::open_with(&model, options).unwrap();
        for hit in reranker.rank(query, passages).unwrap() {
            assert!((hit.score - found[list * CANDIDATES + hit.index]).abs() < 1e-5);
        }
    }
}
