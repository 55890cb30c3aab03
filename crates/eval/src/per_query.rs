//! Measures a run query by query.

use crate::measure::Measure;
use rayon::prelude::*;
use std::collections::BTreeMap;
use whetstone_records::{Hit, PassageId, Qrels, QueryId, Run};

/// The measures of one run: a value per measure and query, and the means.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    pub measures: Vec<Measure>,
    /// The queries of the qrels with at least one relevant passage, in order of their ids.
    pub queries: Vec<QueryId>,
    /// Shape `[measures, queries]`.
    pub values: Vec<Vec<f64>>,
    /// Shape `[measures]`.
    pub means: Vec<f64>,
    /// Queries that the run does not rank; they count as 0 in every mean.
    pub missing: Vec<QueryId>,
}

impl Evaluation {
    /// Returns the values of a measure, one for each of `queries`, or None if it was not measured.
    pub fn values_of(&self, measure: Measure) -> Option<&[f64]> {
        self.place(measure).map(|place| self.values[place].as_slice())
    }

    /// Returns the mean of a measure, or None if it was not measured.
    pub fn mean_of(&self, measure: Measure) -> Option<f64> {
        self.place(measure).map(|place| self.means[place])
    }

    fn place(&self, measure: Measure) -> Option<usize> {
        self.measures.iter().position(|other| *other == measure)
    }
}

/// Measures a run on every query that has a relevant passage in the qrels; other queries are left
/// out, since most measures are undefined there. A query that the run lacks gets 0.
pub fn per_query(qrels: &Qrels, run: &Run, measures: &[Measure]) -> Evaluation {
    let judged: Vec<(&QueryId, &BTreeMap<PassageId, i32>)> =
        qrels.iter().filter(|(_, grades)| grades.values().any(|grade| *grade > 0)).collect();
    let rows: Vec<Vec<f64>> = judged
        .par_iter()
        .map(|(query, grades)| row(grades, run.get(query.as_str()), measures))
        .collect();
    let values: Vec<Vec<f64>> =
        (0..measures.len()).map(|place| rows.iter().map(|row| row[place]).collect()).collect();
    let is_missing = |query: &QueryId| run.get(query.as_str()).is_none();
    Evaluation {
        measures: measures.to_vec(),
        means: values.iter().map(|values| mean(values)).collect(),
        values,
        missing: judged
            .iter()
            .map(|(query, _)| *query)
            .filter(|query| is_missing(query))
            .cloned()
            .collect(),
        queries: judged.into_iter().map(|(query, _)| query.clone()).collect(),
    }
}

/// Returns the mean; 0 for no values.
pub fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}

fn row(grades: &BTreeMap<PassageId, i32>, hits: Option<&[Hit]>, measures: &[Measure]) -> Vec<f64> {
    let Some(hits) = hits else { return vec![0.0; measures.len()] };
    let depth =
        measures.iter().map(|measure| measure.depth().unwrap_or(hits.len())).max().unwrap_or(0);
    let ranked: Vec<Option<i32>> =
        hits.iter().take(depth).map(|hit| grades.get(hit.passage.as_str()).copied()).collect();
    let mut ideal: Vec<i32> = grades.values().copied().filter(|grade| *grade > 0).collect();
    ideal.sort_unstable_by(|a, b| b.cmp(a));
    measures.iter().map(|measure| value(*measure, &ranked, &ideal)).collect()
}

/// Returns a measure's value. `ranked` holds the grade at each rank, None if unjudged. `ideal`
/// holds the query's positive grades, highest first.
fn value(measure: Measure, ranked: &[Option<i32>], ideal: &[i32]) -> f64 {
    let top = &ranked[..measure.depth().unwrap_or(usize::MAX).min(ranked.len())];
    let relevant = || top.iter().filter(|grade| is_relevant(grade)).count() as f64;
    match measure {
        Measure::Ndcg(k) => ndcg(top, ideal, k.get(), f64::from),
        Measure::NdcgExp(k) => ndcg(top, ideal, k.get(), |grade| f64::from(grade).exp2() - 1.0),
        Measure::Mrr(_) => {
            top.iter().position(is_relevant).map_or(0.0, |index| 1.0 / (index + 1) as f64)
        }
        Measure::Precision(k) => relevant() / k.get() as f64,
        Measure::Recall(_) => relevant() / ideal.len() as f64,
        Measure::Hit(_) => f64::from(u8::from(top.iter().any(is_relevant))),
        Measure::Judged(_) => top.iter().flatten().count() as f64 / top.len().max(1) as f64,
        Measure::Map => average_precision(top, ideal.len()),
    }
}

fn is_relevant(grade: &Option<i32>) -> bool {
    grade.is_some_and(|grade| grade > 0)
}

fn ndcg(top: &[Option<i32>], ideal: &[i32], k: usize, gain: fn(i32) -> f64) -> f64 {
    let dcg = |grades: &mut dyn Iterator<Item = i32>| -> f64 {
        let discounted = |(index, grade): (usize, i32)| gain(grade) / ((index + 2) as f64).log2();
        // An empty sum is -0.0.
        grades.enumerate().filter(|(_, grade)| *grade > 0).map(discounted).sum::<f64>() + 0.0
    };
    dcg(&mut top.iter().map(|grade| grade.unwrap_or(0))) / dcg(&mut ideal.iter().take(k).copied())
}

fn average_precision(ranked: &[Option<i32>], relevant: usize) -> f64 {
    let mut found = 0;
    let mut sum = 0.0;
    for (index, _) in ranked.iter().enumerate().filter(|(_, grade)| is_relevant(grade)) {
        found += 1;
        sum += f64::from(found) / (index + 1) as f64;
    }
    sum / relevant as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn qrels(lines: &[(&str, &str, i32)]) -> Qrels {
        let mut qrels = Qrels::default();
        for (query, passage, grade) in lines {
            qrels.insert((*query).into(), (*passage).into(), *grade);
        }
        qrels
    }

    fn run(query: &str, passages: &[&str]) -> Run {
        let mut run = Run::default();
        let hit =
            |(index, id): (usize, &&str)| Hit { passage: (*id).into(), score: -(index as f32) };
        run.insert(query.into(), passages.iter().enumerate().map(hit).collect());
        run
    }

    fn measure(qrels: &Qrels, run: &Run, measure: &str) -> f64 {
        per_query(qrels, run, &[measure.parse().unwrap()]).means[0]
    }

    #[test]
    fn values_are_those_computed_by_hand() {
        let qrels = qrels(&[("q", "a", 2), ("q", "b", 1), ("q", "c", 0), ("q", "d", 1)]);
        let run = run("q", &["x", "b", "c", "a"]);
        let close = |name: &str, expected: f64| {
            let got = measure(&qrels, &run, name);
            assert!((got - expected).abs() < 1e-12, "{name}: {got}, expected {expected}");
        };
        let third = 1.0 / 3f64.log2();
        close("ndcg@10", (third + 2.0 / 5f64.log2()) / (2.0 + third + 0.5));
        close("ndcg-exp@10", (third + 3.0 / 5f64.log2()) / (3.0 + third + 0.5));
        close("ndcg@2", third / (2.0 + third));
        close("mrr@10", 0.5);
        close("mrr@1", 0.0);
        close("p@1", 0.0);
        close("p@10", 0.2);
        close("recall@2", 1.0 / 3.0);
        close("hit@2", 1.0);
        close("hit@1", 0.0);
        close("judged@10", 0.75);
        close("judged@2", 0.5);
        close("map", (0.5 + 0.5) / 3.0);
    }

    #[test]
    fn a_query_missing_in_the_run_counts_as_zero() {
        let qrels = qrels(&[("q", "a", 1), ("r", "a", 1)]);
        let evaluation = per_query(&qrels, &run("q", &["a"]), &Measure::defaults());
        assert_eq!(evaluation.means, [0.5; 6]);
        assert_eq!(evaluation.missing, ["r".into()]);
    }

    #[test]
    fn a_query_without_a_relevant_passage_is_left_out() {
        let qrels = qrels(&[("q", "a", 1), ("r", "a", 0), ("s", "a", -1)]);
        let evaluation = per_query(&qrels, &run("q", &["a"]), &Measure::defaults());
        assert_eq!(evaluation.queries, ["q".into()]);
        assert_eq!(evaluation.means, [1.0; 6]);
    }

    #[test]
    fn a_ranking_without_a_relevant_passage_is_worth_a_plain_zero() {
        let qrels = qrels(&[("q", "a", 1)]);
        for name in ["ndcg@10", "ndcg-exp@10", "mrr@10", "p@1", "recall@10", "hit@10", "map"] {
            let value = measure(&qrels, &run("q", &["x"]), name);
            assert!(value == 0.0 && value.is_sign_positive(), "{name}: {value}");
        }
    }

    #[test]
    fn a_negative_grade_is_judged_but_neither_relevant_nor_a_loss() {
        let qrels = qrels(&[("q", "a", 1), ("q", "bad", -2)]);
        let run = run("q", &["bad", "a"]);
        assert_eq!(measure(&qrels, &run, "judged@10"), 1.0);
        assert_eq!(measure(&qrels, &run, "p@1"), 0.0);
        assert!((measure(&qrels, &run, "ndcg@10") - 1.0 / 3f64.log2()).abs() < 1e-12);
    }

    #[test]
    fn the_ideal_ranking_holds_relevant_passages_that_were_not_retrieved() {
        let qrels = qrels(&[("q", "a", 1), ("q", "b", 1)]);
        let got = measure(&qrels, &run("q", &["a"]), "ndcg@10");
        assert!((got - 1.0 / (1.0 + 1.0 / 3f64.log2())).abs() < 1e-12, "{got}");
    }
}
