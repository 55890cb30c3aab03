//! What reranking fewer candidates would cost in quality.

use super::View;
use crate::per_query::per_query;
use crate::report::Inputs;
use serde::Serialize;
use std::collections::HashMap;
use whetstone_records::{Hit, Run};

/// The depths of the sweep: how many first candidates are reranked.
const DEPTHS: [usize; 8] = [5, 10, 20, 30, 50, 100, 200, 500];
/// The knee is the smallest depth with this fraction of the greatest gain.
const KNEE_FRACTION: f64 = 0.95;

/// A system that reranks only the first candidates, at several depths.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sweep {
    pub system: String,
    /// One point per depth. The first has depth 0, the first stage alone.
    pub points: Vec<DepthPoint>,
    /// The smallest depth with 95 % of the greatest gain; None if no depth gains.
    pub knee: Option<usize>,
}

/// The first `depth` candidates in the system's order, then the rest in the first stage's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct DepthPoint {
    pub depth: usize,
    /// Mean of the primary measure.
    pub value: f64,
    /// Mean number of pairs scored per query.
    pub pairs_per_query: f64,
    /// Derived from the cost of the whole run; None if that is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ms_per_query: Option<f64>,
}

/// Sweeps `system`. If its cost is unknown, also sweeps the best run with a known cost.
pub(crate) fn sweeps(inputs: &Inputs, view: &View, system: &str) -> Vec<Sweep> {
    let has_cost = |name: &str| view.material.costs.contains_key(name);
    let mean = |run: &Run| per_query(view.qrels, run, &[view.measure]).means[0];
    let costed = inputs
        .runs
        .iter()
        .filter(|(name, _)| name != system && has_cost(name) && !has_cost(system));
    let best = costed.max_by(|(_, a), (_, b)| mean(a).total_cmp(&mean(b)));
    let systems = inputs.runs.iter().filter(|(name, _)| name == system).chain(best);
    systems.filter_map(|(name, run)| sweep(view, name, run)).collect()
}

fn sweep(view: &View, name: &str, run: &Run) -> Option<Sweep> {
    let longest = view.first_stage.iter().map(|(_, hits)| hits.len()).max()?;
    let depths = DEPTHS.into_iter().take_while(|depth| *depth < longest).chain([longest]);
    let ms_per_pair =
        view.material.costs.get(name).map(|cost| 1000.0 * cost.seconds / cost.pairs.max(1) as f64);
    let point = |depth| {
        let (cut, pairs) = rerank_first(view, run, depth);
        let pairs_per_query = pairs as f64 / view.queries.len().max(1) as f64;
        DepthPoint {
            depth,
            value: per_query(view.qrels, &cut, &[view.measure]).means[0],
            pairs_per_query,
            ms_per_query: ms_per_pair.map(|ms| ms * pairs_per_query),
        }
    };
    let points: Vec<DepthPoint> = std::iter::once(0).chain(depths).map(point).collect();
    Some(Sweep { system: name.into(), knee: knee(&points), points })
}

fn knee(points: &[DepthPoint]) -> Option<usize> {
    let start = points.first()?.value;
    let best = points.iter().map(|point| point.value - start).fold(0.0, f64::max);
    let enough = |point: &&DepthPoint| best > 1e-9 && point.value - start >= KNEE_FRACTION * best;
    points.iter().find(enough).map(|point| point.depth)
}

/// Returns the run with its first `depth` candidates reranked, and the number of scored pairs.
fn rerank_first(view: &View, system: &Run, depth: usize) -> (Run, usize) {
    let (mut cut, mut pairs) = (Run::default(), 0);
    for query in view.queries {
        let Some(candidates) = view.first_stage.get(query.as_str()) else { continue };
        let ranked = system.get(query.as_str()).unwrap_or_default();
        let ranks: HashMap<&str, usize> =
            ranked.iter().enumerate().map(|(at, hit)| (hit.passage.as_str(), at)).collect();
        let (first, rest) = candidates.split_at(depth.min(candidates.len()));
        let mut first: Vec<&Hit> = first.iter().collect();
        // Candidates that the system left out go behind those that it ranks.
        first.sort_by_key(|hit| ranks.get(hit.passage.as_str()).copied().unwrap_or(usize::MAX));
        pairs += first.len();
        let order = first.into_iter().chain(rest).enumerate();
        let hits = order
            .map(|(at, hit)| Hit { passage: hit.passage.clone(), score: -(at as f32) })
            .collect();
        cut.insert(query.clone(), hits);
    }
    (cut, pairs)
}
