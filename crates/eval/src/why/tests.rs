//! What the account of an evaluation finds in four small queries.

use super::*;
use crate::{AssessConfig, Caveats, assess};
use whetstone_records::QueryMetadata;

/// Four queries; the one relevant passage `right` stands at these ranks among ten candidates.
fn run(ranks: [usize; 4]) -> Run {
    let mut run = Run::default();
    for (query, rank) in ranks.into_iter().enumerate() {
        let others = (0..9).map(|other| Hit {
            passage: PassageId::new(format!("p{other}")),
            score: -(other as f32),
        });
        let right = (rank > 0).then(|| Hit { passage: "right".into(), score: 1.5 - rank as f32 });
        run.insert(QueryId::new(format!("q{query}")), others.chain(right).collect());
    }
    run
}

fn inputs(first: [usize; 4], tuned: [usize; 4]) -> Inputs {
    let mut qrels = Qrels::default();
    for query in 0..4 {
        let query = QueryId::new(format!("q{query}"));
        qrels.insert(query.clone(), "right".into(), 2);
        qrels.insert(query, "p0".into(), 0);
    }
    Inputs {
        qrels,
        runs: vec![("bm25".into(), run(first)), ("tuned".into(), run(tuned))],
        candidates: None,
    }
}

fn query(id: &str, text: &str, generator: Option<&str>) -> (QueryId, Query) {
    let metadata = QueryMetadata { generator: generator.map(Into::into), ..Default::default() };
    (id.into(), Query { id: id.into(), text: text.into(), metadata })
}

fn material() -> Material {
    let passage = Passage {
        id: "right".into(),
        title: "Chains".into(),
        text: "Oil the chain every two hundred kilometres.".into(),
        metadata: Default::default(),
    };
    let queries = [
        query("q0", "oil a chain", None),
        query("q1", "how often should the chain be oiled", None),
        query("q2", "chain oil", Some("built-in")),
        query("q3", "chains", Some("built-in")),
    ];
    Material {
        queries: queries.into(),
        passages: [("right".into(), passage)].into(),
        ..Default::default()
    }
}

fn explain(inputs: &Inputs, material: &Material) -> Why {
    let config = AssessConfig { primary: "mrr@10".parse().unwrap(), ..Default::default() };
    why(inputs, &assess(inputs, &Caveats::default(), &config).unwrap(), material).unwrap()
}

#[test]
fn the_first_stage_is_told_by_where_its_first_relevant_passage_stands() {
    let found = explain(&inputs([1, 3, 8, 0], [1, 1, 1, 0]), &material()).first_stage;
    let counts = (
        found.first_is_relevant,
        found.relevant_below,
        found.none_retrieved,
        found.relevant_retrieved,
    );
    assert_eq!((counts, found.relevant), ((1, 2, 1, 3), 4));
    assert!(
        found.in_words().contains("in the first place for 1 of 4 queries (25 %)"),
        "{}",
        found.in_words()
    );
    let easy = explain(&inputs([1, 1, 1, 5], [1, 1, 1, 1]), &material()).first_stage;
    assert!(easy.in_words().contains("So reranking can't change much here"), "{}", easy.in_words());
}

#[test]
fn changes_name_the_queries_and_where_their_passages_went() {
    let changes = explain(&inputs([4, 2, 1, 3], [1, 2, 5, 2]), &material()).changes;
    let names = |changes: &[Change]| {
        changes.iter().map(|change| change.query_id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(
        (names(&changes.best), names(&changes.worst)),
        (vec!["q0".into(), "q3".into()], vec!["q2".into()])
    );
    let best = &changes.best[0];
    assert_eq!((best.text.as_str(), best.baseline, best.system), ("oil a chain", 0.25, 1.0));
    let moves: Vec<_> = best
        .passages
        .iter()
        .map(|one| (one.passage_id.as_str(), one.grade, one.before, one.after))
        .collect();
    assert_eq!(moves, [("right", Some(2), Some(4), Some(1)), ("p0", Some(0), Some(1), Some(2))]);
    let marked: Vec<_> = best.passages[0]
        .snippet
        .iter()
        .filter(|piece| piece.is_query_term)
        .map(|piece| &*piece.text)
        .collect();
    assert_eq!(marked, ["Oil", "chain"]);
}

#[test]
fn slices_divide_the_queries_and_keep_their_means() {
    let slices = explain(&inputs([4, 2, 1, 0], [1, 1, 2, 0]), &material()).slices;
    let group = |by: &str| {
        slices.iter().find(|group| group.by == by).unwrap_or_else(|| panic!("{by}: {slices:?}"))
    };
    let origin = &group("query's origin").slices;
    assert_eq!(
        (origin[0].name.as_str(), origin[0].queries, origin[0].wins),
        ("asked by people", 2, 2)
    );
    assert_eq!((origin[1].name.as_str(), origin[1].losses), ("built-in", 1));
    assert_eq!((origin[0].baseline, origin[0].system), (0.375, 1.0));
    for group in &slices {
        assert_eq!(
            group.slices.iter().map(|slice| slice.queries).sum::<usize>(),
            4,
            "{}",
            group.by
        );
    }
    let lengths: Vec<_> =
        group("query length").slices.iter().map(|slice| slice.name.as_str()).collect();
    assert_eq!(lengths, ["1 to 3 words", "4 to 7 words"]);
    assert!(slices.iter().all(|group| group.by != "document"), "the passage names no document");
}

#[test]
fn a_sweep_reranks_only_the_first_candidates() {
    let mut material = material();
    material.costs.insert("tuned".into(), whetstone_records::Cost { pairs: 40, seconds: 2.0 });
    let depth = explain(&inputs([1, 3, 7, 9], [1, 1, 1, 1]), &material).depth;
    let [sweep] = &depth[..] else { panic!("{depth:?}") };
    let values: Vec<_> = sweep.points.iter().map(|point| (point.depth, point.value)).collect();
    let (third, seventh, ninth) = (1.0 / 3.0, 1.0 / 7.0, 1.0 / 9.0);
    let expected = [(0, 1.0 + third + seventh + ninth), (5, 2.0 + seventh + ninth), (10, 4.0)];
    for ((depth, value), (at, sum)) in values.iter().zip(expected) {
        assert!(*depth == at && (value - sum / 4.0).abs() < 1e-12, "{values:?}");
    }
    assert_eq!(sweep.points[1].ms_per_query, Some(250.0), "5 pairs of 50 ms");
    assert_eq!(sweep.knee, Some(10));
    let worse = explain(&inputs([1, 1, 1, 1], [1, 2, 3, 4]), &material).depth;
    assert_eq!(worse[0].knee, None, "no depth gains");
}

#[test]
fn scores_tell_relevant_passages_from_others_as_often_as_counted_by_hand() {
    let scores = explain(&inputs([1, 1, 1, 1], [10, 10, 10, 10]), &material()).scores;
    assert_eq!((scores[0].auc, scores[1].auc), (1.0, 0.0));
    assert_eq!(
        (scores[0].relevant.iter().sum::<usize>(), scores[0].others.iter().sum::<usize>()),
        (4, 36)
    );
    // Two of the four stand above all nine others, two below: pooled over queries that is one half.
    let mixed = explain(&inputs([1, 1, 10, 10], [1, 1, 1, 1]), &material()).scores;
    assert_eq!(mixed[0].auc, 0.5);
}

#[test]
fn passages_that_nobody_judged_are_counted_where_they_matter() {
    let found = explain(&inputs([1, 2, 3, 0], [1, 1, 1, 0]), &material()).unjudged;
    // Of ten (nine in the last query), `right` and p0 are judged.
    assert_eq!((found[0].passages, found[0].unjudged), (39, 32));
    // Rank 2 stands below the judged p0 alone, rank 3 below p1 as well, and the last finds nothing.
    assert_eq!(found[0].before_the_first_relevant, 2);
}

#[test]
fn truncation_is_counted_over_pairs_and_the_queries_that_it_touches() {
    let passages = (0..9).map(|other| (PassageId::new(format!("p{other}")), 10));
    let passages = passages.chain([("right".into(), 57)]).collect();
    let queries =
        [("q0", 4), ("q1", 5), ("q2", 1), ("q3", 5)].map(|(id, tokens)| (id.into(), tokens)).into();
    let lengths = Lengths { max_seq_tokens: 64, special_tokens: 3, queries, passages };
    let material = Material { lengths: Some(lengths), ..material() };
    let found = explain(&inputs([2, 2, 2, 0], [1, 4, 1, 0]), &material).truncation.unwrap();
    assert_eq!(
        (found.pairs, found.truncated, found.relevant, found.relevant_truncated),
        (39, 1, 3, 1)
    );
    assert_eq!((found.affected.queries, found.affected.difference), (1, -0.25));
    assert_eq!((found.unaffected.queries, found.unaffected.difference), (2, 0.5));
}
