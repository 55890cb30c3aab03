//! Fuses two score lists, and finds the fusion that does best on dev.

use crate::fusion::{RRF_K, rrf};
use crate::measure::Measure;
use crate::per_query::per_query;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt;
use whetstone_records::{Hit, Qrels, Run};

/// How to join a cross-encoder's order with the first stage's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "kebab-case")]
pub enum Fusion {
    /// `weight · n(cross-encoder) + (1 − weight) · n(first stage)`, where n maps the scores of a
    /// query's candidates to 0..=1 (min-max; all 0 if they are equal). Weight 1 is the
    /// cross-encoder alone, 0 the first stage alone (Bruch, Gai and Ingber, An Analysis of Fusion
    /// Functions for Hybrid Retrieval, 2023).
    Interpolation { weight: f64 },
    /// [`rrf`] of the two orders.
    Rrf { k: f64 },
}

/// Weights are tried in steps of 1 / `STEPS`.
const STEPS: u32 = 20;

/// A smaller gain on dev is rounding and counts as a tie.
const TIE: f64 = 1e-12;

impl Fusion {
    /// The cross-encoder alone.
    pub const PURE: Fusion = Fusion::Interpolation { weight: 1.0 };

    /// Returns the rankings of `reranked` with both scores joined. A passage or query that
    /// `first_stage` lacks counts as its lowest. With weight 1 the run stays as it is, down to its
    /// ties.
    pub fn fuse(self, first_stage: &Run, reranked: &Run) -> Run {
        match self {
            Fusion::PURE => reranked.clone(),
            Fusion::Interpolation { weight } => interpolate(first_stage, reranked, weight),
            Fusion::Rrf { k } => rrf(&[first_stage, reranked], k),
        }
    }

    /// Lists everything that [`best_fusion`] tries, nearest to the cross-encoder alone first.
    fn choices() -> impl Iterator<Item = Fusion> {
        let weight = |step| Fusion::Interpolation { weight: f64::from(step) / f64::from(STEPS) };
        (0..=STEPS).rev().map(weight).chain([Fusion::Rrf { k: RRF_K }])
    }
}

impl fmt::Display for Fusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Fusion::PURE => f.write_str("the cross-encoder alone"),
            Fusion::Interpolation { weight: 0.0 } => f.write_str("the first stage alone"),
            Fusion::Interpolation { weight } => {
                write!(f, "interpolation, {weight:.2} of it the cross-encoder")
            }
            Fusion::Rrf { k } => write!(f, "reciprocal rank fusion, k = {k}"),
        }
    }
}

fn interpolate(first_stage: &Run, reranked: &Run, weight: f64) -> Run {
    let mut fused = Run::default();
    for (query, hits) in reranked.iter() {
        let first = first_stage.get(query.as_str()).unwrap_or_default();
        let scores: HashMap<&str, f64> =
            first.iter().map(|hit| hit.passage.as_str()).zip(min_max(first)).collect();
        let join = |(hit, score): (&Hit, f64)| {
            let first = scores.get(hit.passage.as_str()).copied().unwrap_or(0.0);
            Hit {
                passage: hit.passage.clone(),
                score: (weight * score + (1.0 - weight) * first) as f32,
            }
        };
        fused.insert(query.clone(), hits.iter().zip(min_max(hits)).map(join).collect());
    }
    fused
}

/// Returns the scores of one ranking mapped to 0..=1.
fn min_max(hits: &[Hit]) -> Vec<f64> {
    let scores = || hits.iter().map(|hit| f64::from(hit.score));
    let (low, high) =
        (scores().fold(f64::INFINITY, f64::min), scores().fold(f64::NEG_INFINITY, f64::max));
    scores().map(|score| if high > low { (score - low) / (high - low) } else { 0.0 }).collect()
}

/// The fusion that does best on dev, and the dev means behind the choice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FusionChoice {
    #[serde(flatten)]
    pub fusion: Fusion,
    /// The measure of the means below.
    pub measure: Measure,
    /// Mean of the first stage alone.
    pub first_stage_alone: f64,
    /// Mean of the cross-encoder alone.
    pub reranked: f64,
    /// Mean of the chosen fusion; never below the other two.
    pub fused: f64,
    /// Number of fusions tried.
    pub tried: usize,
}

/// Chooses the fusion with the best mean of `measure` over the queries of `qrels`: interpolation
/// with weights in steps of 0.05, or reciprocal rank fusion. Ties go to the one nearest to the
/// cross-encoder alone. That is among those tried, so no choice is worse on these queries.
pub fn best_fusion(
    qrels: &Qrels,
    first_stage: &Run,
    reranked: &Run,
    measure: Measure,
) -> FusionChoice {
    let mean = |run: &Run| per_query(qrels, run, &[measure]).means[0];
    let pure = mean(reranked);
    let mut choice = FusionChoice {
        fusion: Fusion::PURE,
        measure,
        first_stage_alone: mean(&Fusion::Interpolation { weight: 0.0 }.fuse(first_stage, reranked)),
        reranked: pure,
        fused: pure,
        tried: 0,
    };
    for fusion in Fusion::choices() {
        let fused = mean(&fusion.fuse(first_stage, reranked));
        if fused > choice.fused + TIE {
            choice = FusionChoice { fusion, fused, ..choice };
        }
        choice.tried += 1;
    }
    choice
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(rankings: &[(&str, &[(&str, f32)])]) -> Run {
        let mut run = Run::default();
        for (query, hits) in rankings {
            let hits = hits.iter().map(|&(id, score)| Hit { passage: id.into(), score });
            run.insert((*query).into(), hits.collect());
        }
        run
    }

    fn qrels(lines: &[(&str, &str)]) -> Qrels {
        let mut qrels = Qrels::default();
        lines
            .iter()
            .for_each(|(query, passage)| qrels.insert((*query).into(), (*passage).into(), 1));
        qrels
    }

    const NDCG: Measure = Measure::Ndcg(std::num::NonZeroUsize::new(10).unwrap());

    #[test]
    fn interpolated_scores_are_those_computed_by_hand() {
        let first = run(&[("q", &[("a", 10.0), ("b", 6.0), ("c", 2.0)])]);
        let reranked = run(&[("q", &[("c", 3.0), ("a", -1.0), ("b", -5.0)])]);
        let fused = Fusion::Interpolation { weight: 0.75 }.fuse(&first, &reranked);
        // a: 0.75 · 0.5 + 0.25 · 1, b: 0.25 · 0.5, c: 0.75 · 1
        let expected = [("c", 0.75), ("a", 0.625), ("b", 0.125)]
            .map(|(id, score)| Hit { passage: id.into(), score });
        assert_eq!(fused.get("q").unwrap(), expected);
    }

    #[test]
    fn equal_scores_and_passages_that_the_first_stage_lacks_count_as_its_lowest() {
        let first = run(&[("q", &[("a", 4.0), ("b", 4.0)])]);
        let reranked =
            run(&[("q", &[("a", 1.0), ("b", 0.0), ("x", 0.5)]), ("r", &[("a", 2.0), ("b", 1.0)])]);
        let fused = Fusion::Interpolation { weight: 0.5 }.fuse(&first, &reranked);
        assert_eq!(
            fused.get("q").unwrap().iter().map(|hit| hit.score).collect::<Vec<_>>(),
            [0.5, 0.25, 0.0]
        );
        assert_eq!(
            fused.get("r").unwrap().iter().map(|hit| hit.score).collect::<Vec<_>>(),
            [0.5, 0.0]
        );
    }

    #[test]
    fn the_weight_is_found_where_only_both_together_are_right() {
        // The first stage is right on q, the cross-encoder on r; each errs by little on the other.
        let first = run(&[
            ("q", &[("a", 9.0), ("b", 1.0), ("z", 0.0)]),
            ("r", &[("b", 5.1), ("a", 5.0), ("z", 0.0)]),
        ]);
        let reranked = run(&[
            ("q", &[("b", 2.1), ("a", 2.0), ("z", -9.0)]),
            ("r", &[("a", 9.0), ("b", -8.0), ("z", -9.0)]),
        ]);
        let qrels = qrels(&[("q", "a"), ("r", "a")]);
        let choice = best_fusion(&qrels, &first, &reranked, NDCG);
        assert_eq!(choice.fused, 1.0);
        assert!(choice.reranked < 0.9 && choice.first_stage_alone < 0.9, "{choice:?}");
        // A weight of 0.05 for the first stage is enough, so no larger one is chosen.
        assert_eq!(choice.fusion, Fusion::Interpolation { weight: 0.95 });
        assert_eq!(choice.tried, 22);
    }

    #[test]
    fn where_nothing_is_gained_the_cross_encoder_stays_alone_and_no_tie_moves() {
        let first = run(&[("q", &[("b", 2.0), ("a", 1.0)])]);
        let reranked = run(&[("q", &[("a", 1e-30), ("b", 0.0)])]);
        let choice = best_fusion(&qrels(&[("q", "a")]), &first, &reranked, NDCG);
        assert_eq!((choice.fusion, choice.fused), (Fusion::PURE, 1.0));
        assert_eq!(choice.fusion.fuse(&first, &reranked), reranked);
    }

    #[test]
    fn a_choice_reads_back_as_it_is_written() {
        for fusion in [Fusion::Interpolation { weight: 0.35 }, Fusion::Rrf { k: 60.0 }] {
            let choice = FusionChoice {
                fusion,
                measure: NDCG,
                first_stage_alone: 0.1,
                reranked: 0.2,
                fused: 0.3,
                tried: 22,
            };
            let text = serde_json::to_string(&choice).unwrap();
            assert_eq!(serde_json::from_str::<FusionChoice>(&text).unwrap(), choice, "{text}");
        }
    }
}
