//! Checks whether two runs rank the same candidates.

use std::collections::HashSet;
use std::fmt;
use whetstone_records::{Hit, QueryId, Run};

/// Two runs with different candidates. Their measures depend on the lists as much as on the order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CandidateWarning {
    /// The run that the others are compared with: the first.
    pub reference: String,
    pub run: String,
    /// Queries that only one of the two ranks.
    pub one_sided_queries: usize,
    /// Queries that both rank, but with different passages.
    pub differing_queries: usize,
    /// Of the queries asked about, those that either run ranks.
    pub queries: usize,
    /// The first query that differs.
    pub first_query: QueryId,
}

impl fmt::Display for CandidateWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reference, run, queries, first_query, .. } = self;
        let affected = self.one_sided_queries + self.differing_queries;
        write!(
            f,
            "runs `{reference}` and `{run}` rank different candidates for {affected} of {queries} queries, \
             first `{first_query}`; compare systems on one candidate list"
        )
    }
}

/// Returns a warning for every run that differs from the first: for a query of `queries` it ranks
/// other passages, or only one of the two ranks the query. The order does not matter.
pub fn check_same_candidates(runs: &[(&str, &Run)], queries: &[QueryId]) -> Vec<CandidateWarning> {
    let Some(((reference, first), others)) = runs.split_first() else { return Vec::new() };
    others
        .iter()
        .filter_map(|(name, run)| differ((reference, first), (name, run), queries))
        .collect()
}

fn differ(
    (reference, first): (&str, &Run),
    (name, run): (&str, &Run),
    queries: &[QueryId],
) -> Option<CandidateWarning> {
    let (mut differing, mut one_sided, mut ranked) = (Vec::new(), Vec::new(), 0);
    for query in queries {
        match (first.get(query.as_str()), run.get(query.as_str())) {
            (None, None) => continue,
            (Some(hits), Some(others)) if !same_passages(hits, others) => differing.push(query),
            (Some(_), Some(_)) => {}
            _ => one_sided.push(query),
        }
        ranked += 1;
    }
    let first_query = differing.iter().chain(&one_sided).min()?;
    Some(CandidateWarning {
        reference: reference.into(),
        run: name.into(),
        one_sided_queries: one_sided.len(),
        differing_queries: differing.len(),
        queries: ranked,
        first_query: (*first_query).clone(),
    })
}

fn same_passages(a: &[Hit], b: &[Hit]) -> bool {
    let passages: HashSet<&str> = a.iter().map(|hit| hit.passage.as_str()).collect();
    a.len() == b.len() && b.iter().all(|hit| passages.contains(hit.passage.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(rankings: &[(&str, &[&str])]) -> Run {
        let mut run = Run::default();
        for (query, passages) in rankings {
            let hit =
                |(index, id): (usize, &&str)| Hit { passage: (*id).into(), score: -(index as f32) };
            run.insert((*query).into(), passages.iter().enumerate().map(hit).collect());
        }
        run
    }

    #[test]
    fn another_order_of_the_same_candidates_is_no_warning() {
        let (a, b) =
            (run(&[("q", &["a", "b"]), ("r", &["c"])]), run(&[("q", &["b", "a"]), ("r", &["c"])]));
        assert_eq!(check_same_candidates(&[("a", &a), ("b", &b)], &["q".into(), "r".into()]), []);
        assert_eq!(check_same_candidates(&[], &["q".into()]), []);
    }

    #[test]
    fn queries_that_nobody_measures_may_differ() {
        let (a, b) = (run(&[("q", &["a"]), ("train", &["c"])]), run(&[("q", &["a"])]));
        assert_eq!(check_same_candidates(&[("a", &a), ("b", &b)], &["q".into()]), []);
    }

    #[test]
    fn other_passages_and_other_queries_are_counted_and_named() {
        let first = run(&[("q", &["a", "b"]), ("r", &["c"]), ("s", &["a"])]);
        let other = run(&[("q", &["a", "x"]), ("s", &["a"]), ("t", &["a"]), ("u", &["a"])]);
        let queries = ["q", "r", "s", "t", "u", "v"].map(QueryId::from);
        let warnings = check_same_candidates(
            &[("bm25", &first), ("same", &first), ("tuned", &other)],
            &queries,
        );
        let [warning] = &warnings[..] else { panic!("{warnings:?}") };
        assert_eq!(
            (warning.differing_queries, warning.one_sided_queries, warning.queries),
            (1, 3, 5)
        );
        assert_eq!(
            warning.to_string(),
            "runs `bm25` and `tuned` rank different candidates for 4 of 5 queries, first `q`; \
             compare systems on one candidate list"
        );
    }
}
