//! How a run scores relevant and other passages.

use super::View;
use crate::report::Inputs;
use serde::Serialize;
use whetstone_records::Run;

const BINS: usize = 40;

/// How a run scores relevant and other passages. A threshold works if the two stand apart.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScoreDistribution {
    pub run: String,
    /// The range of the bins. Up to 0.5 % of either kind lies beyond each end and counts in the
    /// outermost bin.
    pub low: f64,
    pub high: f64,
    /// Number of passages in each of the bins, which have equal width.
    pub relevant: Vec<usize>,
    /// Passages judged not relevant, or unjudged.
    pub others: Vec<usize>,
    /// Probability that a relevant passage scores higher than another, over all queries together;
    /// ties count half.
    pub auc: f64,
}

pub(crate) fn distributions(
    inputs: &Inputs,
    view: &View,
    names: &[&str],
) -> Vec<ScoreDistribution> {
    let runs = inputs.runs.iter().filter(|(name, _)| names.contains(&name.as_str()));
    runs.filter_map(|(name, run)| distribution(view, name, run)).collect()
}

fn distribution(view: &View, name: &str, run: &Run) -> Option<ScoreDistribution> {
    let mut scores: Vec<(f64, bool)> = Vec::new();
    for query in view.queries {
        let hits = run.get(query.as_str()).unwrap_or_default();
        scores.extend(
            hits.iter().map(|hit| (f64::from(hit.score), view.is_relevant(query, &hit.passage))),
        );
    }
    scores.retain(|(score, _)| score.is_finite());
    scores.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let kind = |relevant: bool| {
        scores.iter().filter(move |one| one.1 == relevant).map(|one| one.0).collect::<Vec<f64>>()
    };
    // Up to 0.5 % of either kind may lie beyond each end of the figure.
    let ends = |scores: &[f64]| {
        let cut = scores.len() / 200;
        Some((*scores.get(cut)?, scores[scores.len() - 1 - cut]))
    };
    let (a, b) = (ends(&kind(true))?, ends(&kind(false))?);
    let (low, high) = (a.0.min(b.0), a.1.max(b.1));
    if high <= low {
        return None;
    }
    let (mut relevant, mut others) = (vec![0; BINS], vec![0; BINS]);
    for (score, is_relevant) in &scores {
        let bin = (((score - low) / (high - low) * BINS as f64).max(0.0) as usize).min(BINS - 1);
        (if *is_relevant { &mut relevant } else { &mut others })[bin] += 1;
    }
    Some(ScoreDistribution { run: name.into(), low, high, relevant, others, auc: auc(&scores) })
}

/// Returns the area under the ROC curve of scores in rising order. It equals the probability of
/// Mann and Whitney's test.
fn auc(scores: &[(f64, bool)]) -> f64 {
    let (mut lower, mut relevant, mut sum) = (0.0, 0.0, 0.0);
    for ties in scores.chunk_by(|a, b| a.0 == b.0) {
        let hits = ties.iter().filter(|(_, relevant)| *relevant).count() as f64;
        let others = ties.len() as f64 - hits;
        sum += hits * (lower + others / 2.0);
        lower += others;
        relevant += hits;
    }
    sum / (lower * relevant)
}
