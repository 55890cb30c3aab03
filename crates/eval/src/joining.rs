//! Joins a model's logits with the first stages' scores.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use whetstone_records::{Hit, Run};

/// Spreads below this are rounding: the scores say nothing about the order.
const FLAT: f64 = 1e-9;

/// How to join the scores of a query's candidates: a cross-encoder's logit / temperature, or z of a
/// late interaction's maximum similarity, + Σ weight · z(first stage).
///
/// z are scores over the candidates, less their mean and divided by their standard deviation. A
/// candidate that the first stage did not find counts as the lowest that it did. Dividing a logit by
/// a constant keeps what the model says about its own certainty; a z-score would lose it. Maximum
/// similarities say nothing about it, and lie further apart the longer the query is.
///
/// ```
/// use whetstone_eval::Join;
/// let join = Join::fixed(["bm25"]);
/// // Three candidates. BM25 did not find the last one.
/// let scores = join.scores(&[2.0, 2.0, -4.0], &[("bm25", &[Some(7.0), Some(5.0), None])]);
/// assert!(scores[0] > scores[1] && scores[1] > scores[2]);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Join {
    /// Every score of the model is divided by it; None: z stands for the score.
    pub temperature: Option<f64>,
    /// The weight of each first stage, by its name. The model alone has none.
    pub weights: BTreeMap<String, f64>,
}

impl Join {
    /// Of logits: the best over seven collections (docs/experiments/joining-scores.md).
    pub const TEMPERATURE: f64 = 4.0;
    /// The weight of each of several first stages, beside such logits or z of similarities
    /// (docs/experiments/late-interaction.md).
    pub const WEIGHT: f64 = 0.5;
    /// The weight of a first stage that no other corrects. BM25 alone at half weight is 3 points of
    /// relative nDCG@10 worse; for a bi-encoder the two are equal
    /// (docs/experiments/choosing-first-stages.md).
    pub const WEIGHT_ALONE: f64 = 0.25;

    /// Returns the default: several first stages at half weight each, a single one at a quarter.
    pub fn fixed(first_stages: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let names: Vec<String> = first_stages.into_iter().map(Into::into).collect();
        let weight = if names.len() == 1 { Self::WEIGHT_ALONE } else { Self::WEIGHT };
        let weights = names.into_iter().map(|name| (name, weight)).collect();
        Self { temperature: Some(Self::TEMPERATURE), weights }
    }

    /// Returns a join with one first stage at the weight that each of several has.
    pub fn with_one(name: impl Into<String>) -> Self {
        let weights = BTreeMap::from([(name.into(), Self::WEIGHT)]);
        Self { temperature: Some(Self::TEMPERATURE), weights }
    }

    /// The same with another temperature, or with z of the model's scores.
    pub fn at(self, temperature: Option<f64>) -> Self {
        Self { temperature, ..self }
    }

    /// Returns the model alone.
    pub fn model_alone() -> Self {
        Self::fixed(std::iter::empty::<String>())
    }

    /// Returns whether no first stage has a say.
    pub fn is_model_alone(&self) -> bool {
        self.weights.is_empty()
    }

    /// Returns the joined score of each candidate of one query. `first_stages` holds, by name, a
    /// score for each candidate, or None where the first stage did not find it. Those without a
    /// weight are ignored, and a weighted one that is missing takes no part. The model alone keeps
    /// its logits as they are.
    pub fn scores(&self, logits: &[f32], first_stages: &[(&str, &[Option<f32>])]) -> Vec<f32> {
        if self.is_model_alone() {
            return logits.to_vec();
        }
        let mut joined: Vec<f64> = match self.temperature {
            Some(temperature) => {
                logits.iter().map(|&logit| f64::from(logit) / temperature).collect()
            }
            None => z_scores(&logits.iter().map(|&score| Some(score)).collect::<Vec<_>>()),
        };
        for (name, scores) in first_stages {
            let Some(weight) = self.weights.get(*name) else { continue };
            joined.iter_mut().zip(z_scores(scores)).for_each(|(score, z)| *score += weight * z);
        }
        joined.into_iter().map(|score| score as f32).collect()
    }

    /// Returns the candidates of `logits`, a model's run, in the joined order.
    pub fn apply(&self, logits: &Run, first_stages: &BTreeMap<String, Run>) -> Run {
        let mut joined = Run::default();
        for (query, hits) in logits.iter() {
            let found: Vec<(&str, Vec<Option<f32>>)> = first_stages
                .iter()
                .map(|(name, run)| (name.as_str(), over(hits, run.get(query.as_str()))))
                .collect();
            let found: Vec<(&str, &[Option<f32>])> =
                found.iter().map(|(name, scores)| (*name, scores.as_slice())).collect();
            let logits: Vec<f32> = hits.iter().map(|hit| hit.score).collect();
            let scores = self.scores(&logits, &found);
            let hit = |(hit, score): (&Hit, f32)| Hit { passage: hit.passage.clone(), score };
            joined.insert(query.clone(), hits.iter().zip(scores).map(hit).collect());
        }
        joined
    }
}

impl fmt::Display for Join {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.temperature, self.is_model_alone()) {
            (Some(_), true) => f.write_str("logit")?,
            (None, true) => f.write_str("similarity")?,
            (Some(temperature), false) => write!(f, "logit / {temperature}")?,
            (None, false) => f.write_str("z(similarity)")?,
        }
        self.weights.iter().try_for_each(|(name, weight)| write!(f, " + {weight} · z({name})"))
    }
}

/// Returns a first stage's score of each candidate.
fn over(candidates: &[Hit], found: Option<&[Hit]>) -> Vec<Option<f32>> {
    let found = found.unwrap_or_default();
    let scores: HashMap<&str, f32> =
        found.iter().map(|hit| (hit.passage.as_str(), hit.score)).collect();
    candidates.iter().map(|hit| scores.get(hit.passage.as_str()).copied()).collect()
}

/// Returns the scores less their mean, over their standard deviation; 0 where all are equal.
fn z_scores(scores: &[Option<f32>]) -> Vec<f64> {
    let lowest = scores.iter().flatten().copied().fold(f32::INFINITY, f32::min);
    if !lowest.is_finite() {
        return vec![0.0; scores.len()];
    }
    let scores: Vec<f64> = scores.iter().map(|score| score.unwrap_or(lowest).into()).collect();
    let count = scores.len() as f64;
    let mean = scores.iter().sum::<f64>() / count;
    let variance = scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / count;
    let deviation = variance.sqrt();
    let z = |score: f64| if deviation > FLAT { (score - mean) / deviation } else { 0.0 };
    scores.into_iter().map(z).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(query: &str, hits: &[(&str, f32)]) -> Run {
        let mut run = Run::default();
        let hit = |&(id, score): &(&str, f32)| Hit { passage: id.into(), score };
        run.insert(query.into(), hits.iter().map(hit).collect());
        run
    }

    #[test]
    fn joined_scores_are_those_computed_by_hand() {
        // 1, 2 and 3 have mean 2 and standard deviation √(2/3), so z is ∓1.2247 at the ends.
        let join = Join::fixed(["b", "d"]);
        let b = [Some(3.0), Some(2.0), Some(1.0)];
        let scores = join.scores(&[4.0, 0.0, -8.0], &[("b", &b), ("d", &b)]);
        let expected = [1.0 + 1.224_745, 0.0, -2.0 - 1.224_745];
        for (score, expected) in scores.iter().zip(expected) {
            assert!((score - expected).abs() < 1e-5, "{scores:?}");
        }
    }

    #[test]
    fn without_a_temperature_the_models_scores_are_z_scores_too() {
        let join = Join::fixed(["b", "d"]).at(None);
        let b = [Some(3.0), Some(2.0), Some(1.0)];
        let scores = join.scores(&[10.0, 11.0, 12.0], &[("b", &b)]);
        for (score, expected) in scores.iter().zip([-0.612_372, 0.0, 0.612_372]) {
            assert!((score - expected).abs() < 1e-5, "{scores:?}");
        }
        assert_eq!(join.to_string(), "z(similarity) + 0.5 · z(b) + 0.5 · z(d)");
        assert_eq!(Join::model_alone().at(None).to_string(), "similarity");
        assert_eq!(Join::model_alone().to_string(), "logit");
    }

    #[test]
    fn a_candidate_that_was_not_found_counts_as_the_lowest_that_was() {
        let join = Join::fixed(["b"]);
        let (found, filled) = ([Some(5.0), None, Some(1.0)], [Some(5.0), Some(1.0), Some(1.0)]);
        let scores = |b: &[Option<f32>]| join.scores(&[0.5, 0.5, 0.5], &[("b", b)]);
        assert_eq!(scores(&found), scores(&filled));
        // Where nothing was found, or all scores are equal, the logits decide.
        assert_eq!(scores(&[None; 3]), [0.125; 3]);
        assert_eq!(scores(&[Some(9.0); 3]), [0.125; 3]);
    }

    #[test]
    fn only_candidates_of_the_model_count_however_deep_a_first_stage_ranks() {
        let logits = run("q", &[("a", 1.0), ("b", 1.0)]);
        let of = |run: Run| BTreeMap::from([("bm25".to_owned(), run)]);
        let short = of(run("q", &[("a", 2.0), ("b", 9.0)]));
        let deep = of(run("q", &[("a", 2.0), ("b", 9.0), ("x", 90.0), ("y", -90.0)]));
        let join = Join::fixed(["bm25"]);
        assert_eq!(join.apply(&logits, &short), join.apply(&logits, &deep));
        assert_eq!(join.apply(&logits, &short).get("q").unwrap()[0].passage.as_str(), "b");
    }

    #[test]
    fn the_model_alone_keeps_its_run_down_to_its_ties() {
        let logits = run("q", &[("a", 1e-30), ("b", 0.0)]);
        let first = BTreeMap::from([("bm25".to_owned(), run("q", &[("b", 9.0), ("a", 1.0)]))]);
        assert_eq!(Join::model_alone().apply(&logits, &first), logits);
    }
}
