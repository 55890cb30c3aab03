//! Explains why a system beats or misses the baseline: which queries changed, and what they share.

mod changes;
mod depth;
mod first_stage;
mod highlight;
mod judged;
mod scores;
mod slices;
mod truncation;

use crate::assess::Assessment;
use crate::measure::Measure;
use crate::report::Inputs;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use whetstone_records::{Cost, Hit, Language, Passage, PassageId, Qrels, Query, QueryId, Run};

pub use changes::{Change, Changes, MovedPassage};
pub use depth::{DepthPoint, Sweep};
pub use first_stage::FirstStage;
pub use highlight::Piece;
pub use judged::Unjudged;
pub use scores::ScoreDistribution;
pub use slices::{Slice, SliceGroup};
pub use truncation::{Lengths, Truncation};

/// What is known beyond the numbers. All of it may be empty.
#[derive(Default)]
pub struct Material {
    pub queries: HashMap<QueryId, Query>,
    pub passages: HashMap<PassageId, Passage>,
    /// Their language.
    pub language: Language,
    /// Text lengths in tokens of the system's model.
    pub lengths: Option<Lengths>,
    /// The cost of each run's reranking, by run name.
    pub costs: BTreeMap<String, Cost>,
}

/// Explains how the verdict's system differs from the baseline.
#[derive(Clone, Debug, Serialize)]
pub struct Why {
    pub system: String,
    pub baseline: String,
    pub first_stage: FirstStage,
    pub unjudged: Vec<Unjudged>,
    /// System − baseline by the primary measure, lowest first.
    #[serde(skip)]
    pub differences: Vec<f64>,
    pub slices: Vec<SliceGroup>,
    pub depth: Vec<Sweep>,
    pub scores: Vec<ScoreDistribution>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truncation: Option<Truncation>,
    pub changes: Changes,
}

/// The system and the baseline, query by query.
pub(crate) struct View<'a> {
    pub measure: Measure,
    pub qrels: &'a Qrels,
    pub queries: &'a [QueryId],
    /// The candidates before reranking; the baseline if none are given.
    pub first_stage: &'a Run,
    pub baseline: &'a Run,
    pub system: &'a Run,
    pub baseline_values: &'a [f64],
    pub system_values: &'a [f64],
    pub material: &'a Material,
    pub alpha: f64,
    pub seed: u64,
}

impl View<'_> {
    pub fn grade(&self, query: &QueryId, passage: &PassageId) -> Option<i32> {
        self.qrels.get(query.as_str())?.get(passage).copied()
    }

    pub fn is_relevant(&self, query: &QueryId, passage: &PassageId) -> bool {
        self.grade(query, passage).is_some_and(|grade| grade > 0)
    }

    /// Returns a query's relevant passages, highest grade first.
    pub fn relevant(&self, query: &QueryId) -> Vec<(&PassageId, i32)> {
        let grades = self.qrels.get(query.as_str()).into_iter().flatten();
        let mut relevant: Vec<_> =
            grades.filter(|(_, grade)| **grade > 0).map(|(id, grade)| (id, *grade)).collect();
        relevant.sort_by_key(|(_, grade)| std::cmp::Reverse(*grade));
        relevant
    }

    pub fn difference(&self, place: usize) -> f64 {
        self.system_values[place] - self.baseline_values[place]
    }
}

/// Returns the rank of a passage, from 1.
pub(crate) fn rank(hits: &[Hit], passage: &PassageId) -> Option<usize> {
    hits.iter().position(|hit| hit.passage == *passage).map(|place| place + 1)
}

/// Explains the verdict; None without a system and a baseline.
pub fn why(inputs: &Inputs, assessment: &Assessment, material: &Material) -> Option<Why> {
    let decision = assessment.verdict.as_ref()?;
    let run = |name: &str| inputs.runs.iter().find(|(other, _)| other == name).map(|(_, run)| run);
    let (baseline, system) =
        (assessment.run(&decision.baseline)?, assessment.run(&decision.system)?);
    let view = View {
        measure: assessment.primary,
        qrels: &inputs.qrels,
        queries: &baseline.evaluation.queries,
        first_stage: inputs.candidates.as_ref().or_else(|| run(&decision.baseline))?,
        baseline: run(&decision.baseline)?,
        system: run(&decision.system)?,
        baseline_values: baseline.evaluation.values_of(assessment.primary)?,
        system_values: system.evaluation.values_of(assessment.primary)?,
        material,
        alpha: assessment.config.alpha,
        seed: assessment.config.seed,
    };
    let mut differences: Vec<f64> =
        (0..view.queries.len()).map(|place| view.difference(place)).collect();
    differences.sort_unstable_by(f64::total_cmp);
    Some(Why {
        system: decision.system.clone(),
        baseline: decision.baseline.clone(),
        first_stage: first_stage::first_stage(&view),
        unjudged: judged::unjudged(inputs, &view),
        differences,
        slices: slices::slices(&view),
        depth: depth::sweeps(inputs, &view, &decision.system),
        scores: scores::distributions(inputs, &view, &[&decision.baseline, &decision.system]),
        truncation: truncation::truncation(&view),
        changes: changes::changes(&view),
    })
}

#[cfg(test)]
mod tests;
