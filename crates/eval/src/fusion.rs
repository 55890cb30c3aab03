//! Reciprocal rank fusion.

use std::collections::{BTreeSet, HashMap};
use whetstone_records::{Hit, QueryId, Run};

/// The published constant of reciprocal rank fusion (Cormack, Clarke and Büttcher 2009).
pub const RRF_K: f64 = 60.0;

/// Returns the reciprocal rank fusion of rankings (Cormack, Clarke and Büttcher 2009). A passage
/// scores the sum of 1 / (k + rank) over the runs that rank it, with ranks from 1 in trec_eval's
/// order. `k` is usually [`RRF_K`].
///
/// Queries and passages that only some runs have are kept.
///
/// ```
/// # use whetstone_eval::{RRF_K, rrf};
/// # use whetstone_records::{Hit, Run};
/// let run = |first: &str, second: &str| {
///     let hits = [(first, 2.0), (second, 1.0)];
///     let mut run = Run::default();
///     run.insert("q1".into(), hits.map(|(id, score)| Hit { passage: id.into(), score }).into());
///     run
/// };
/// let fused = rrf(&[&run("a", "b"), &run("a", "c")], RRF_K);
/// let hits = fused.get("q1").expect("both runs rank q1");
/// assert_eq!((hits.len(), hits[0].passage.as_str()), (3, "a"));
/// ```
pub fn rrf(runs: &[&Run], k: f64) -> Run {
    let queries: BTreeSet<&QueryId> =
        runs.iter().flat_map(|run| run.iter().map(|(query, _)| query)).collect();
    let mut fused = Run::default();
    for query in queries {
        let mut scores: HashMap<&str, f64> = HashMap::new();
        for hits in runs.iter().filter_map(|run| run.get(query.as_str())) {
            for (index, hit) in hits.iter().enumerate() {
                *scores.entry(hit.passage.as_str()).or_default() += 1.0 / (k + (index + 1) as f64);
            }
        }
        let hits = scores
            .into_iter()
            .map(|(id, score)| Hit { passage: id.into(), score: score as f32 })
            .collect();
        fused.insert(query.clone(), hits);
    }
    fused
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(query: &str, passages: &[&str]) -> Run {
        let mut run = Run::default();
        let hit =
            |(index, id): (usize, &&str)| Hit { passage: (*id).into(), score: 9.0 - index as f32 };
        run.insert(query.into(), passages.iter().enumerate().map(hit).collect());
        run
    }

    #[test]
    fn fused_scores_are_those_computed_by_hand() {
        let fused = rrf(&[&run("q", &["a", "b", "c"]), &run("q", &["c", "d", "a"])], 60.0);
        let expected = [
            ("c", 1.0 / 63.0 + 1.0 / 61.0), // ties with a: the higher id first
            ("a", 1.0 / 61.0 + 1.0 / 63.0),
            ("d", 1.0 / 62.0),
            ("b", 1.0 / 62.0),
        ];
        let expected: Vec<Hit> = expected
            .iter()
            .map(|&(id, score)| Hit { passage: id.into(), score: score as f32 })
            .collect();
        assert_eq!(fused.get("q").unwrap(), expected);
    }

    #[test]
    fn a_query_of_one_run_only_is_kept() {
        let fused = rrf(&[&run("q", &["a"]), &run("r", &["b"])], 60.0);
        assert_eq!(fused.len(), 2);
        assert_eq!(fused.get("r").unwrap(), [Hit { passage: "b".into(), score: 1.0 / 61.0 }]);
    }
}
