//! Depth-k pools: the passages that a human judges.

use std::collections::BTreeSet;
use whetstone_records::{PassageId, QueryId, Run, seeded_key};

/// What a human judges for one query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    pub query: QueryId,
    pub passages: Vec<PassageId>,
}

/// Returns for every query the union of the first `depth` passages of each run (depth-k pooling, as
/// in TREC).
///
/// The seed and the ids alone decide the order of queries and passages. So the order does not
/// reveal ranks, the first queries are a random sample, and one run more or less does not reorder
/// the rest.
pub fn pool(runs: &[&Run], depth: usize, seed: u64) -> Vec<Pool> {
    let queries: BTreeSet<&QueryId> =
        runs.iter().flat_map(|run| run.iter().map(|(query, _)| query)).collect();
    let mut queries: Vec<&QueryId> = queries.into_iter().collect();
    queries.sort_by_cached_key(|query| seeded_key(seed, query));
    let of_query = |query: &QueryId| {
        let hits = runs
            .iter()
            .filter_map(|run| run.get(query.as_str()))
            .flat_map(|hits| hits.iter().take(depth));
        let passages: BTreeSet<&PassageId> = hits.map(|hit| &hit.passage).collect();
        let mut passages: Vec<PassageId> = passages.into_iter().cloned().collect();
        passages.sort_by_cached_key(|passage| seeded_key(seed, format_args!("{query} {passage}")));
        Pool { query: query.clone(), passages }
    };
    queries.into_iter().map(of_query).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use whetstone_records::Hit;

    fn run(query: &str, passages: std::ops::Range<usize>) -> Run {
        let mut run = Run::default();
        let hit =
            |at: usize| Hit { passage: PassageId::new(format!("p{at:02}")), score: -(at as f32) };
        run.insert(query.into(), passages.map(hit).collect());
        run
    }

    #[test]
    fn the_first_of_every_run_are_pooled_once_each_in_an_order_without_ranks() {
        let (a, b) = (run("q", 0..20), run("q", 5..25));
        let pools = pool(&[&a, &b], 10, 1);
        let ids: Vec<&str> = pools[0].passages.iter().map(PassageId::as_str).collect();
        let mut sorted = ids.clone();
        sorted.sort();
        assert_eq!(sorted, (0..15).map(|at| format!("p{at:02}")).collect::<Vec<_>>());
        assert_ne!(ids, sorted, "an order by rank would bias the judge");
        assert_eq!(pools, pool(&[&b, &a], 10, 1));
        assert_ne!(pools, pool(&[&b, &a], 10, 2));
    }

    #[test]
    fn another_run_does_not_reorder_what_was_pooled_before() {
        let (a, b) = (run("q", 0..8), run("q", 4..12));
        let before = pool(&[&a], 10, 1).remove(0).passages;
        let after: Vec<_> = pool(&[&a, &b], 10, 1)
            .remove(0)
            .passages
            .into_iter()
            .filter(|id| before.contains(id))
            .collect();
        assert_eq!(before, after);
    }

    #[test]
    fn queries_of_one_run_only_are_pooled_too() {
        let pools = pool(&[&run("q", 0..2), &run("r", 0..3)], 10, 1);
        let mut sizes: Vec<_> =
            pools.iter().map(|pool| (pool.query.as_str(), pool.passages.len())).collect();
        sizes.sort();
        assert_eq!(sizes, [("q", 2), ("r", 3)]);
    }
}
