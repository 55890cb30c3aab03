//! Recommends an order of the candidates, so that a model never does harm unnoticed.

use crate::bootstrap::Interval;
use crate::compare::{CompareConfig, paired};
use crate::decision::{name, percent, signed};
use crate::guards::REAL_QUERIES;
use crate::joining::Join;
use crate::measure::Measure;
use crate::orders::{FirstStages, Order, standard_error};
use crate::per_query::{mean, per_query};
use serde::{Deserialize, Serialize};
use whetstone_records::{Qrels, Run};

/// Which order of the candidates to ship, and what speaks for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recommendation {
    pub order: Order,
    /// How the scores were joined.
    #[serde(flatten)]
    pub join: Join,
    pub measure: Measure,
    pub queries: usize,
    /// How many of them people asked; None if nobody knows.
    pub queries_of_people: Option<usize>,
    /// All four orders, the one without the model first.
    pub orders: Vec<OrderMeasured>,
    /// The recommendation and its caveats, in sentences.
    pub text: String,
}

/// An order with its mean, and its difference from the order without the model.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderMeasured {
    pub order: Order,
    pub mean: f64,
    pub difference: f64,
    /// Bootstrap interval of the difference.
    pub interval: Interval,
}

/// What the orders are made from, and what is known about the queries.
pub struct Deployable<'a> {
    pub first: &'a FirstStages,
    /// The model's run, its logits as scores.
    pub logits: &'a Run,
    pub join: &'a Join,
    pub queries_of_people: Option<usize>,
}

/// The values of one order, query by query.
struct Values {
    measured: OrderMeasured,
    values: Vec<f64>,
}

/// Compares the four orders and recommends one.
///
/// Joined scores are the default: over seven collections no other order was as good on every one
/// (docs/experiments/joining-scores.md). Another order takes their place only where its gain over
/// them is beyond chance. If the result is worse than the first stages by a standard error of the
/// difference, these are recommended. Within it, a few dozen queries say too little against what held
/// on every collection: to heed them cost 0.4 points in the mean (docs/experiments/evidence.md).
pub fn recommend(
    qrels: &Qrels,
    deployable: &Deployable,
    measure: Measure,
    config: &CompareConfig,
) -> Recommendation {
    let Deployable { first, logits, join, queries_of_people } = *deployable;
    let orders = first.orders(logits, join);
    let values = |run: &Run| per_query(qrels, run, &[measure]).values.remove(0);
    let without = values(&orders[0].1);
    let measured: Vec<Values> = orders
        .iter()
        .map(|(order, run)| {
            let values = values(run);
            let against = paired(&differences(&values, &without), config);
            let (difference, interval) = (against.difference, against.interval);
            let measured =
                OrderMeasured { order: *order, mean: mean(&values), difference, interval };
            Values { measured, values }
        })
        .collect();
    let mut recommendation = Recommendation {
        order: choose(&measured, config),
        join: join.clone(),
        measure,
        queries: without.len(),
        queries_of_people,
        orders: measured.into_iter().map(|values| values.measured).collect(),
        text: String::new(),
    };
    recommendation.text = recommendation.in_words(first, config);
    recommendation
}

fn differences(values: &[f64], others: &[f64]) -> Vec<f64> {
    values.iter().zip(others).map(|(value, other)| value - other).collect()
}

fn choose(measured: &[Values], config: &CompareConfig) -> Order {
    let joined = measured.iter().find(|one| one.measured.order == Order::JoinedScores);
    let mut chosen = joined.expect("all orders are measured");
    let default = &chosen.values;
    let beats =
        |one: &&Values| paired(&differences(&one.values, default), config).interval.low > 0.0;
    let others = measured.iter().filter(beats);
    if let Some(best) = others.max_by(|a, b| a.measured.mean.total_cmp(&b.measured.mean)) {
        chosen = best;
    }
    let gains = differences(&chosen.values, &measured[0].values);
    let is_no_loss = mean(&gains) > -standard_error(&gains);
    if is_no_loss { chosen.measured.order } else { Order::FirstStages }
}

impl Recommendation {
    /// Returns what was measured of an order.
    pub fn of(&self, order: Order) -> Option<&OrderMeasured> {
        self.orders.iter().find(|one| one.order == order)
    }

    /// Returns whether a search is no better with the model than without it.
    pub fn is_against_the_model(&self) -> bool {
        self.order == Order::FirstStages
    }

    fn in_words(&self, first: &FirstStages, config: &CompareConfig) -> String {
        let names: Vec<String> = first.scores.keys().map(|stage| name(stage)).collect();
        let without = match &names[..] {
            [one] => format!("the first stage {one}"),
            several => format!("the fused first stages {}", several.join(" and ")),
        };
        let measured = |order| self.of(order).expect("all orders are measured");
        let told = |one: &OrderMeasured| {
            format!(
                "{} {} ({} interval {} to {})",
                signed(one.difference),
                self.measure,
                percent(1.0 - config.alpha),
                signed(one.interval.low),
                signed(one.interval.high)
            )
        };
        let over = format!("over {} queries", self.queries);
        let mut sentences = vec![match self.order {
            Order::FirstStages => {
                let with = self.orders.iter().filter(|one| one.order != Order::FirstStages);
                let best = with.max_by(|a, b| a.mean.total_cmp(&b.mean));
                let best = best.expect("three orders have the model");
                format!(
                    "serve {without} without the model: the best order with it, {}, is at {} \
                     {over}",
                    best.order,
                    told(best)
                )
            }
            order => {
                let formula = match order {
                    Order::JoinedScores => format!(" ({})", self.join),
                    _ => String::new(),
                };
                format!(
                    "serve {order}{formula}: {} against {without} {over}",
                    told(measured(order))
                )
            }
        }];
        if self.order != Order::FirstStages && measured(self.order).difference <= 0.0 {
            sentences.push(
                "That is no gain here, within chance: on seven collections it was one on each"
                    .into(),
            );
        }
        let alone = measured(Order::ModelAlone);
        if alone.interval.high < 0.0 {
            sentences.push(format!("The model alone loses to {without}: {}", told(alone)));
        } else if alone.difference <= 0.0 {
            sentences.push(format!("The model alone is no better than {without}: {}", told(alone)));
        }
        sentences.extend(self.caveat(config));
        sentences.join(". ")
    }

    /// Says why the numbers may promise too much.
    fn caveat(&self, config: &CompareConfig) -> Option<String> {
        match self.queries_of_people {
            Some(0) => Some(
                "All these queries are generated, and such queries flatter the model: a gain on \
                 them is no promise, a loss is a warning"
                    .into(),
            ),
            Some(people) if people < REAL_QUERIES.min(self.queries) => Some(format!(
                "Only {people} of these queries are of people, and generated ones flatter the model"
            )),
            _ if self.queries < config.min_queries => {
                Some(format!("{} queries are few to rely on", self.queries))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use whetstone_records::Hit;

    const COUNT: usize = 60;

    /// A run over ten candidates, in which the right one has the rank that `rank` gives.
    fn run(rank: impl Fn(usize) -> usize) -> Run {
        let mut run = Run::default();
        for query in 0..COUNT {
            let score = |passage: usize| match passage {
                0 => 10.5 - rank(query) as f32,
                other => 10.0 - other as f32,
            };
            let hit = |passage: usize| Hit {
                passage: format!("p{passage}").as_str().into(),
                score: score(passage),
            };
            run.insert(format!("q{query}").as_str().into(), (0..10).map(hit).collect());
        }
        run
    }

    fn recommended(first: Run, logits: Run, queries_of_people: Option<usize>) -> Recommendation {
        let mut qrels = Qrels::default();
        for query in 0..COUNT {
            qrels.insert(format!("q{query}").as_str().into(), "p0".into(), 1);
        }
        let scores = BTreeMap::from([("bm25".to_owned(), first.clone())]);
        let first = FirstStages { order: first, scores };
        let join = Join::fixed(["bm25"]);
        let deployable =
            Deployable { first: &first, logits: &logits, join: &join, queries_of_people };
        recommend(&qrels, &deployable, "ndcg@10".parse().unwrap(), &CompareConfig::default())
    }

    /// Logits in which the right passage has what `right` gives, and all others have 0.
    fn logits(right: impl Fn(usize) -> f32) -> Run {
        let mut run = Run::default();
        for query in 0..COUNT {
            let hit = |passage: usize| Hit {
                passage: format!("p{passage}").as_str().into(),
                score: if passage == 0 { right(query) } else { 0.0 },
            };
            run.insert(format!("q{query}").as_str().into(), (0..10).map(hit).collect());
        }
        run
    }

    #[test]
    fn a_good_model_is_recommended_with_joined_scores() {
        // The first stage is right on odd queries. The model is sure and right on even ones, and
        // elsewhere unsure and wrong.
        let odd = |query: usize| query % 2 == 1;
        let first = run(|query| if odd(query) { 1 } else { 4 });
        let found =
            recommended(first, logits(|query| if odd(query) { -0.1 } else { 8.0 }), Some(60));
        assert_eq!(found.order, Order::JoinedScores, "{}", found.text);
        assert!(found.text.starts_with("serve joined scores (logit / 4 + 0.25 · z(bm25)): +0."));
        assert!(found.text.contains("against the first stage `bm25` over 60 queries"));
        assert!(!found.is_against_the_model());
        assert_eq!(found.of(Order::JoinedScores).unwrap().mean, 1.0);
    }

    #[test]
    fn a_model_that_loses_to_its_first_stage_is_called_so() {
        let found = recommended(run(|query| query % 2 + 1), run(|query| query % 3 + 7), Some(60));
        assert!(found.is_against_the_model(), "{}", found.text);
        assert!(found.text.starts_with("serve the first stage `bm25` without the model: the best"));
        assert!(found.text.contains("The model alone loses to the first stage `bm25`: -0."));
        assert!(found.of(Order::ModelAlone).unwrap().interval.high < 0.0);
    }

    #[test]
    fn a_loss_within_chance_keeps_the_default_and_is_told() {
        let first = run(|_| 2);
        let logits = logits(|query| if query % 20 < 9 { 30.0 } else { -30.0 });
        let found = recommended(first, logits, Some(COUNT));
        assert_eq!(found.order, Order::JoinedScores);
        assert!(found.of(found.order).unwrap().difference < 0.0, "{found:?}");
        assert!(found.text.contains("That is no gain here, within chance"), "{}", found.text);
    }

    #[test]
    fn a_model_that_changes_nothing_is_not_worth_its_cost() {
        let found = recommended(run(|_| 3), run(|_| 3), Some(60));
        assert!(found.is_against_the_model(), "{}", found.text);
        assert!(found.text.contains("The model alone is no better than"), "{}", found.text);
    }

    #[test]
    fn another_order_is_recommended_only_where_its_gain_is_beyond_chance() {
        // The model is always right, and its logits are too close to move the joined order.
        let found = recommended(run(|_| 10), logits(|_| 1e-3), None);
        assert_eq!(found.order, Order::ModelAlone, "{}", found.text);
    }

    #[test]
    fn generated_queries_come_with_their_optimism() {
        let of = |people| recommended(run(|_| 4), run(|_| 1), people).text;
        assert!(of(Some(0)).contains("All these queries are generated"), "{}", of(Some(0)));
        assert!(of(Some(7)).contains("Only 7 of these queries are of people"));
        for none in [Some(60), None] {
            assert!(!of(none).contains("generated"), "{}", of(none));
        }
    }

    #[test]
    fn a_recommendation_reads_back_as_it_is_written() {
        let found = recommended(run(|query| query % 4 + 2), run(|query| query % 3 + 1), Some(60));
        let text = serde_json::to_string(&found).unwrap();
        let back: Recommendation = serde_json::from_str(&text).unwrap();
        assert_eq!((back.order, back.join, back.text), (found.order, found.join, found.text));
    }
}
