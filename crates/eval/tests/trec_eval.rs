//! Holds the measures against trec_eval's own code and ir-measures;
//! `tests/oracles/make_measures.py` made the files and the values.

use serde_json::Value;
use std::path::{Path, PathBuf};
use whetstone_eval::{Measure, evaluate};

/// The oracle's values are rounded to twelve places, and log2 may differ in the last bit.
const TOLERANCE: f64 = 1e-9;

/// The oracle's names and ours (trec_eval's but for `ndcg_exp` and `judged`); its `recip_rank` has
/// no cut, and no ranking of the oracle is as long as a million.
const NAMES: [(&str, &str); 20] = [
    ("ndcg_cut_5", "ndcg@5"),
    ("ndcg_cut_10", "ndcg@10"),
    ("ndcg_cut_100", "ndcg@100"),
    ("P_1", "p@1"),
    ("P_5", "p@5"),
    ("P_10", "p@10"),
    ("recall_5", "recall@5"),
    ("recall_10", "recall@10"),
    ("recall_100", "recall@100"),
    ("map", "map"),
    ("recip_rank", "mrr@1000000"),
    ("recip_rank_cut_10", "mrr@10"),
    ("success_1", "hit@1"),
    ("success_3", "hit@3"),
    ("success_10", "hit@10"),
    ("ndcg_exp_cut_5", "ndcg-exp@5"),
    ("ndcg_exp_cut_10", "ndcg-exp@10"),
    ("judged_3", "judged@3"),
    ("judged_10", "judged@10"),
    ("judged_100", "judged@100"),
];

fn oracle(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracles").join(name)
}

#[test]
fn every_measure_of_every_query_is_trec_evals() {
    let expected: Value =
        serde_json::from_slice(&std::fs::read(oracle("measures.json")).unwrap()).unwrap();
    let measures: Vec<Measure> = NAMES.iter().map(|(_, ours)| ours.parse().unwrap()).collect();
    let runs = [("oracle".to_owned(), oracle("measures.run"))];
    let report = evaluate(&oracle("measures.qrels"), &runs, &measures).unwrap();
    let evaluation = &report.runs[0].evaluation;

    assert_eq!(evaluation.queries.len() as u64, expected["mean"]["queries"].as_u64().unwrap());
    assert_eq!(evaluation.missing, [expected["about"]["not_in_run"].as_str().unwrap().into()]);
    for (place, (theirs, ours)) in NAMES.iter().enumerate() {
        let close = |got: f64, expected: f64, of: &str| {
            assert!(
                (got - expected).abs() < TOLERANCE,
                "{ours} of {of}: {got}, trec_eval has {expected}"
            );
        };
        for (query, got) in evaluation.queries.iter().zip(&evaluation.values[place]) {
            // A query that is missing in the run has no values of trec_eval's, and counts as 0.
            let value = expected["per_query"]
                .get(query.as_str())
                .map_or(0.0, |values| values[*theirs].as_f64().unwrap());
            close(*got, value, query.as_str());
        }
        close(
            evaluation.means[place],
            expected["mean"]["values"][*theirs].as_f64().unwrap(),
            "all queries",
        );
    }
}
