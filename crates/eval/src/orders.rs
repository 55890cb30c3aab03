//! The orders in which candidates can be shipped, and the choice of a join on dev.

use crate::fusion::{RRF_K, rrf};
use crate::guards::REAL_QUERIES;
use crate::joining::Join;
use crate::measure::Measure;
use crate::per_query::{mean, per_query};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use whetstone_records::{Qrels, QueryId, Run};

/// An order of the candidates that a search can ship.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// The first stages, fused if there are several: a search without the model.
    FirstStages,
    ModelAlone,
    /// Reciprocal rank fusion of the first stages and the model.
    Ranks,
    /// [`Join`]: the logit and the first stages' scores in one sum.
    JoinedScores,
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Order::FirstStages => "the first stages without the model",
            Order::ModelAlone => "the model alone",
            Order::Ranks => "ranks fused",
            Order::JoinedScores => "joined scores",
        })
    }
}

/// A search without a reranker.
#[derive(Clone, Debug)]
pub struct FirstStages {
    /// The order that the search has without the model.
    pub order: Run,
    /// The scores of each first stage, by its name. One or more.
    pub scores: BTreeMap<String, Run>,
}

impl FirstStages {
    /// Returns every order of the candidates in `logits`, a model's run.
    pub fn orders(&self, logits: &Run, join: &Join) -> [(Order, Run); 4] {
        let first = within(&self.order, logits);
        let mut ranked: Vec<Run> = self.scores.values().map(|run| within(run, logits)).collect();
        ranked.push(logits.clone());
        let ranked: Vec<&Run> = ranked.iter().collect();
        [
            (Order::FirstStages, first),
            (Order::ModelAlone, logits.clone()),
            (Order::Ranks, rrf(&ranked, RRF_K)),
            (Order::JoinedScores, join.apply(logits, &self.scores)),
        ]
    }

    /// Returns what [`FusionChoice::on_dev`] chooses from: all first stages, which is the default;
    /// the model alone; and, of several, each first stage without the others, at both weights.
    fn joins(&self) -> Vec<Join> {
        let names = || self.scores.keys().map(String::as_str);
        let mut joins = vec![Join::fixed(names()), Join::model_alone()];
        if self.scores.len() > 1 {
            joins.extend(names().flat_map(|name| [Join::fixed([name]), Join::with_one(name)]));
        }
        joins
    }
}

/// Returns a run's rankings of the candidates alone.
fn within(run: &Run, candidates: &Run) -> Run {
    let mut kept = Run::default();
    for (query, hits) in candidates.iter() {
        let wanted: HashSet<&str> = hits.iter().map(|hit| hit.passage.as_str()).collect();
        let found = run.get(query.as_str()).unwrap_or_default().iter();
        let found = found.filter(|hit| wanted.contains(hit.passage.as_str()));
        kept.insert(query.clone(), found.cloned().collect());
    }
    kept
}

/// The join for a model, and the dev means behind it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FusionChoice {
    #[serde(flatten)]
    pub join: Join,
    /// False for the default, [`Join::fixed`] over all first stages.
    pub chosen_on_dev: bool,
    /// How many dev queries are of people. With fewer than [`REAL_QUERIES`], dev chooses nothing.
    pub queries_of_people: usize,
    /// The measure of the means below, which are over all dev queries.
    pub measure: Measure,
    pub first_stages: f64,
    pub model_alone: f64,
    pub ranks: f64,
    /// Mean of the join above.
    pub joined: f64,
}

impl FusionChoice {
    /// Keeps the default, unless another join gains more than one standard error over the dev
    /// queries of people: then the best of them. `logits` are a model's scores, and `temperature`
    /// what its kind of scores is divided by; None where z stands for them. Generated queries share
    /// their words with their passages, so they say little about which first stage people need.
    ///
    /// Over seven collections with 75 dev queries this gains 2.0 to 2.7 points of relative nDCG@10 in
    /// the mean and costs at most 0.2 on any (docs/experiments/choosing-first-stages.md).
    pub fn on_dev(
        qrels: &Qrels,
        first: &FirstStages,
        (logits, temperature): (&Run, Option<f64>),
        of_people: &BTreeSet<QueryId>,
        measure: Measure,
    ) -> Self {
        let people = only(qrels, of_people);
        let values = |join: &Join| {
            per_query(&people, &join.apply(logits, &first.scores), &[measure]).values.remove(0)
        };
        let mut joins = first.joins().into_iter().map(|join| join.at(temperature));
        let fixed = joins.next().expect("the default is always among them");
        let (mut join, mut best) = (fixed.clone(), 0.0);
        if of_people.len() >= REAL_QUERIES {
            let before = values(&fixed);
            for other in joins {
                let after = values(&other);
                let gains: Vec<f64> = after.iter().zip(&before).map(|(a, b)| a - b).collect();
                let (gain, error) = (mean(&gains), standard_error(&gains));
                if gain > error && gain > best {
                    (join, best) = (other, gain);
                }
            }
        }
        let means =
            first.orders(logits, &join).map(|(_, run)| per_query(qrels, &run, &[measure]).means[0]);
        let [first_stages, model_alone, ranks, joined] = means;
        Self {
            chosen_on_dev: join != fixed,
            join,
            queries_of_people: of_people.len(),
            measure,
            first_stages,
            model_alone,
            ranks,
            joined,
        }
    }
}

fn only(qrels: &Qrels, queries: &BTreeSet<QueryId>) -> Qrels {
    let mut kept = Qrels::default();
    for (query, grades) in qrels.iter().filter(|(query, _)| queries.contains(*query)) {
        for (passage, grade) in grades {
            kept.insert(query.clone(), passage.clone(), *grade);
        }
    }
    kept
}

/// Returns the standard error of a mean; infinite for fewer than two values.
pub fn standard_error(values: &[f64]) -> f64 {
    let (middle, count) = (mean(values), values.len() as f64);
    if values.len() < 2 {
        return f64::INFINITY;
    }
    let squares: f64 = values.iter().map(|value| (value - middle).powi(2)).sum();
    (squares / (count - 1.0) / count).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use whetstone_records::Hit;

    const NDCG: Measure = Measure::Ndcg(std::num::NonZeroUsize::new(10).unwrap());

    /// A run of `count` queries over three candidates. `scores` gives those of a, b and c.
    fn run(count: usize, scores: impl Fn(usize) -> [f32; 3]) -> Run {
        let mut run = Run::default();
        for query in 0..count {
            let hit = |(id, score): (&str, f32)| Hit { passage: id.into(), score };
            let hits = ["a", "b", "c"].into_iter().zip(scores(query)).map(hit).collect();
            run.insert(format!("q{query}").as_str().into(), hits);
        }
        run
    }

    fn qrels(count: usize) -> Qrels {
        let mut qrels = Qrels::default();
        let query = |query: usize| format!("q{query}").as_str().into();
        (0..count).for_each(|at| qrels.insert(query(at), "a".into(), 1));
        qrels
    }

    fn people(count: usize) -> BTreeSet<QueryId> {
        (0..count).map(|query| format!("q{query}").as_str().into()).collect()
    }

    /// BM25 is always wrong, the bi-encoder always right; the model does not know.
    fn one_is_wrong(count: usize) -> (FirstStages, Run) {
        let (wrong, right) = (run(count, |_| [0.0, 9.0, 8.0]), run(count, |_| [9.0, 8.5, 0.0]));
        let scores = [("bm25", wrong), ("dense", right)];
        let scores = scores.map(|(name, run)| (name.to_owned(), run)).into();
        (FirstStages { order: run(count, |_| [1.0, 2.0, 0.0]), scores }, run(count, |_| [0.1; 3]))
    }

    #[test]
    fn a_first_stage_that_misleads_people_is_left_out() {
        let (first, logits) = one_is_wrong(60);
        let choice =
            FusionChoice::on_dev(&qrels(60), &first, (&logits, Some(4.0)), &people(60), NDCG);
        assert!(choice.chosen_on_dev);
        assert_eq!((choice.join, choice.joined), (Join::fixed(["dense"]), 1.0));
    }

    #[test]
    fn few_queries_of_people_and_generated_ones_choose_nothing() {
        let (first, logits) = one_is_wrong(60);
        for of_people in [0, REAL_QUERIES - 1] {
            let people = people(of_people);
            let choice =
                FusionChoice::on_dev(&qrels(60), &first, (&logits, Some(4.0)), &people, NDCG);
            assert!(!choice.chosen_on_dev, "{choice:?}");
            assert_eq!(choice.join, Join::fixed(["bm25", "dense"]));
            assert_eq!(choice.queries_of_people, of_people);
        }
    }

    #[test]
    fn a_gain_within_chance_keeps_the_default() {
        // The model alone is right where joined scores err and the other way round, equally often,
        // but for one query.
        let count = 61;
        let odd = |query: usize| query % 2 == 1;
        let first = run(count, |query| if odd(query) { [9.0, 0.0, 0.0] } else { [0.0, 9.0, 9.0] });
        let logits = run(count, |query| if odd(query) { [0.0, 0.1, 0.2] } else { [0.2, 0.1, 0.0] });
        let scores = BTreeMap::from([("bm25".to_owned(), first.clone())]);
        let first = FirstStages { order: first, scores };
        let choice =
            FusionChoice::on_dev(&qrels(count), &first, (&logits, Some(4.0)), &people(count), NDCG);
        assert!(choice.model_alone > choice.joined && !choice.chosen_on_dev, "{choice:?}");
    }

    #[test]
    fn every_order_ranks_the_models_candidates_and_no_others() {
        let (mut first, logits) = one_is_wrong(2);
        let mut deep = first.scores["bm25"].clone();
        let hits = ["a", "x", "b", "c"].into_iter().zip([4.0, 3.0, 2.0, 1.0]);
        let hit = |(id, score): (&str, f32)| Hit { passage: id.into(), score };
        deep.insert("q0".into(), hits.map(hit).collect());
        first.scores.insert("bm25".into(), deep.clone());
        first.order = deep;
        for (order, run) in first.orders(&logits, &Join::fixed(["bm25", "dense"])) {
            let mut ids: Vec<&str> =
                run.get("q0").unwrap().iter().map(|hit| hit.passage.as_str()).collect();
            ids.sort_unstable();
            assert_eq!(ids, ["a", "b", "c"], "{order}");
        }
    }

    #[test]
    fn a_choice_reads_back_as_it_is_written() {
        let (first, logits) = one_is_wrong(3);
        let choice =
            FusionChoice::on_dev(&qrels(3), &first, (&logits, Some(4.0)), &people(3), NDCG);
        let text = serde_json::to_string(&choice).unwrap();
        assert_eq!(serde_json::from_str::<FusionChoice>(&text).unwrap(), choice, "{text}");
    }
}
