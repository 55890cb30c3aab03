//! Losses on the pairs of better and worse passages of a query.

use super::{Loss, Targets, by_query, sigmoid, softplus};
use crate::config::LambdaWeighting;
use std::f64::consts::LN_2;

/// Returns the (better, worse) positions of all pairs within one query whose labels differ.
fn ordered_pairs(targets: &Targets) -> Vec<(usize, usize)> {
    let of_query = |positions: Vec<usize>| -> Vec<(usize, usize)> {
        let is_better = |&(i, j): &(usize, usize)| targets.labels[i] > targets.labels[j];
        positions
            .iter()
            .flat_map(|&i| positions.iter().map(move |&j| (i, j)))
            .filter(is_better)
            .collect()
    };
    by_query(targets.groups).into_iter().flat_map(of_query).collect()
}

/// Mean of max(0, margin − (s⁺ − s⁻)) over the ordered pairs, as PyTorch's `MarginRankingLoss`.
pub(super) fn hinge(logits: &[f64], targets: &Targets, margin: f64) -> Option<Loss> {
    let pairs = ordered_pairs(targets);
    let mut loss = Loss::zero(logits.len());
    for &(better, worse) in &pairs {
        let short = margin - (logits[better] - logits[worse]);
        if short > 0.0 {
            loss.value += short;
            loss.gradient[better] -= 1.0;
            loss.gradient[worse] += 1.0;
        }
    }
    loss.mean(pairs.len())
}

/// Mean of ((s⁺ − s⁻) − (t⁺ − t⁻))² over a query's best passage against each of its others
/// (Hofstätter et al. 2020). The best is the first with the highest label.
pub(super) fn margin_mse(logits: &[f64], targets: &Targets) -> Option<Loss> {
    let mut loss = Loss::zero(logits.len());
    let mut count = 0;
    for positions in by_query(targets.groups) {
        let best = first_best(&positions, targets.labels);
        for &other in positions.iter().filter(|&&position| position != best) {
            let wanted = f64::from(targets.teacher[best]) - f64::from(targets.teacher[other]);
            let error = logits[best] - logits[other] - wanted;
            loss.value += error * error;
            loss.gradient[best] += 2.0 * error;
            loss.gradient[other] -= 2.0 * error;
            count += 1;
        }
    }
    loss.mean(count)
}

/// Returns the first position with the highest label.
pub(super) fn first_best(positions: &[usize], labels: &[f32]) -> usize {
    positions
        .iter()
        .copied()
        .reduce(|best, other| if labels[other] > labels[best] { other } else { best })
        .unwrap_or(0)
}

/// Mean of −log₂ σ(sᵢ − sⱼ) over the ordered pairs (Burges 2005).
pub(super) fn ranknet(logits: &[f64], targets: &Targets) -> Option<Loss> {
    lambda(logits, targets, LambdaWeighting::None)
}

/// RankNet with each pair weighted by how much swapping it changes nDCG (LambdaLoss, Wang et al.
/// 2018).
pub(super) fn lambda(
    logits: &[f64],
    targets: &Targets,
    weighting: LambdaWeighting,
) -> Option<Loss> {
    let mut loss = Loss::zero(logits.len());
    let mut count = 0;
    for positions in by_query(targets.groups) {
        let ranking = Ranking::new(&positions, logits, targets.labels);
        for (i, &better) in ranking.order.iter().enumerate() {
            for (j, &worse) in ranking.order.iter().enumerate() {
                // NDCGLoss1 sums over all pairs, a passage with itself included.
                let is_ordered = targets.labels[better] > targets.labels[worse];
                if !is_ordered && weighting != LambdaWeighting::NdcgLoss1 {
                    continue;
                }
                let lead = logits[better] - logits[worse];
                let weight = ranking.weight(i, j, weighting);
                loss.value += weight * softplus(-lead) / LN_2;
                loss.gradient[better] -= weight * sigmoid(-lead) / LN_2;
                loss.gradient[worse] += weight * sigmoid(-lead) / LN_2;
                count += 1;
            }
        }
    }
    loss.mean(count)
}

/// A query's passages, ranked by their logits.
struct Ranking {
    order: Vec<usize>,
    /// (2^label − 1) / ideal DCG, by predicted rank.
    gains: Vec<f64>,
}

impl Ranking {
    fn new(positions: &[usize], logits: &[f64], labels: &[f32]) -> Self {
        let mut order = positions.to_vec();
        order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
        let gain = |position: &usize| f64::from(labels[*position]).exp2() - 1.0;
        let mut ideal: Vec<f64> = positions.iter().map(gain).collect();
        ideal.sort_by(|a, b| b.total_cmp(a));
        let ideal: f64 =
            ideal.iter().enumerate().map(|(rank, gain)| gain / discount(rank + 1)).sum();
        let gains = order.iter().map(|position| gain(position) / ideal.max(1e-10)).collect();
        Self { order, gains }
    }

    /// Returns the weight of the pair at predicted ranks `i` and `j`, from 0.
    fn weight(&self, i: usize, j: usize, weighting: LambdaWeighting) -> f64 {
        let gap = (self.gains[i] - self.gains[j]).abs();
        let lambda_rank = || gap * (1.0 / discount(i + 1) - 1.0 / discount(j + 1)).abs();
        let ndcg_loss2 = || {
            let apart = i.abs_diff(j);
            gap * (1.0 / discount(apart) - 1.0 / discount(apart + 1)).abs()
        };
        match weighting {
            LambdaWeighting::None => 1.0,
            LambdaWeighting::NdcgLoss1 => self.gains[i] / discount(i + 1),
            LambdaWeighting::NdcgLoss2 => ndcg_loss2(),
            LambdaWeighting::LambdaRank => lambda_rank(),
            LambdaWeighting::NdcgLoss2pp => 10.0 * ndcg_loss2() + lambda_rank(),
        }
    }
}

/// log₂(1 + rank), rank from 1.
fn discount(rank: usize) -> f64 {
    (1.0 + rank as f64).log2()
}
