//! Ranking the passages of one query.

mod common;

use common::{FAMILIES, engine, tiny};
use whetstone_model::{CrossEncoder, DeviceName, Placement, Precision, Reranker, RerankerOptions};
use whetstone_records::Silent;

const QUERY: &str = "what is the limit";
const PASSAGES: [&str; 4] =
    ["snow fell all night", "the limit is 60 degrees", "", "the meter is in the cellar"];

#[test]
fn the_ranking_has_every_passage_with_the_cross_encoders_score_best_first() {
    for model in FAMILIES.map(|family| family.folder()) {
        let ranking = Reranker::open(&model).unwrap().rank(QUERY, &PASSAGES).unwrap();
        let pairs = PASSAGES.map(|passage| (QUERY, passage));
        let scores =
            CrossEncoder::load(&model, None, &engine()).unwrap().score(&pairs, &Silent).unwrap();
        assert!(ranking.is_sorted_by(|a, b| a.score >= b.score));
        let mut indices: Vec<usize> = ranking.iter().map(|ranked| ranked.index).collect();
        ranking.iter().for_each(|ranked| assert_eq!(ranked.score, scores[ranked.index]));
        indices.sort();
        assert_eq!(indices, [0, 1, 2, 3]);
    }
}

#[test]
fn equal_passages_have_equal_scores_in_the_order_given() {
    // Enough others that the twins would stand in batches of different shape.
    let mut passages: Vec<String> =
        (0..300).map(|i| format!("{} {}", PASSAGES[i % 4], "limit ".repeat(i % 50))).collect();
    let twins = [3, 150, 297];
    twins.iter().for_each(|&place| passages[place] = "the valve opens at the limit".into());
    let ranking = Reranker::open(tiny().0).unwrap().rank(QUERY, &passages).unwrap();
    let found: Vec<_> = ranking.iter().filter(|ranked| twins.contains(&ranked.index)).collect();
    assert_eq!(found.iter().map(|ranked| ranked.index).collect::<Vec<_>>(), twins);
    assert!(found.iter().all(|ranked| ranked.score == found[0].score));
}

#[test]
fn nothing_to_rank_is_an_empty_ranking_and_a_shorter_limit_is_kept() {
    let reranker = Reranker::open(tiny().0).unwrap();
    assert_eq!(reranker.rank(QUERY, &[] as &[&str]).unwrap(), []);
    let options = RerankerOptions { max_seq_tokens: Some(16), ..Default::default() };
    let short = Reranker::open_with(tiny().0, options).unwrap();
    let long = PASSAGES[1].to_owned() + &" and more of it".repeat(20);
    let cut = PASSAGES[1].to_owned() + &" and more of it".repeat(10);
    let of = |reranker: &Reranker, text: &String| {
        reranker.rank(QUERY, std::slice::from_ref(text)).unwrap()[0].score
    };
    assert_eq!(of(&short, &long), of(&short, &cut));
    assert_ne!(of(&reranker, &long), of(&reranker, &cut));
}

#[test]
fn a_reranker_knows_the_precision_that_its_model_has_here() {
    if !Precision::Bf16.is_supported() {
        return;
    }
    for family in FAMILIES {
        let placement = Placement { device: DeviceName::Cpu, precision: Precision::Bf16 };
        let options = RerankerOptions { placement, ..Default::default() };
        let found = Reranker::open_with(family.folder(), options).unwrap().placement();
        // No kernels serve its attention.
        let is_f32 = family.model.contains("deberta");
        assert_eq!(found.precision == Precision::F32, is_f32, "{family:?}");
    }
}
