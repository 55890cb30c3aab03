//! The best order into which any reranker could put the candidates.

use whetstone_records::{Hit, Qrels, Run};

/// Returns the candidates sorted by grade, highest first. Its measures are the upper bound for any
/// reranker of these candidates.
pub fn oracle(qrels: &Qrels, candidates: &Run) -> Run {
    let mut best = Run::default();
    for (query, hits) in candidates.iter() {
        let grades = qrels.get(query.as_str());
        let grade = |hit: &Hit| grades.and_then(|grades| grades.get(hit.passage.as_str())).copied();
        // An f32 holds grades exactly, as they are small whole numbers. A passage judged not
        // relevant goes before an unjudged one; the measures treat them alike.
        let score = |hit: &Hit| grade(hit).map_or(-0.5, |grade| grade as f32);
        best.insert(
            query.clone(),
            hits.iter()
                .map(|hit| Hit { passage: hit.passage.clone(), score: score(hit) })
                .collect(),
        );
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Measure, per_query};

    #[test]
    fn no_order_of_the_candidates_is_better_by_any_measure() {
        let mut qrels = Qrels::default();
        for (passage, grade) in [("a", 1), ("b", 3), ("c", 0), ("lost", 2)] {
            qrels.insert("q".into(), passage.into(), grade);
        }
        let order = |places: [usize; 4]| {
            let hit =
                |(at, id): (usize, &str)| Hit { passage: id.into(), score: -(places[at] as f32) };
            let mut run = Run::default();
            run.insert("q".into(), ["a", "b", "c", "d"].into_iter().enumerate().map(hit).collect());
            run
        };
        let measures: Vec<Measure> = ["ndcg@2", "ndcg-exp@10", "mrr@10", "p@2", "recall@2", "map"]
            .map(|name| name.parse().unwrap())
            .to_vec();
        let best = per_query(&qrels, &oracle(&qrels, &order([0, 1, 2, 3])), &measures).means;
        assert!(best[0] < 1.0, "a relevant passage is not among the candidates");
        for code in 0..256usize {
            let places = [code & 3, code >> 2 & 3, code >> 4 & 3, code >> 6];
            let values = per_query(&qrels, &order(places), &measures).means;
            assert!(
                values.iter().zip(&best).all(|(value, best)| value <= best),
                "{places:?}: {values:?} {best:?}"
            );
        }
    }
}
