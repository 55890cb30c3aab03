//! Losses on raw logits, each as a value and its gradient. A batch has only a few dozen logits, so
//! the host computes them in f64, the same for every device, and hands autodiff the gradient. Where
//! a device works apart, it computes the gradients of BCE and softmax itself, so that nobody waits
//! for the logits. Only cross-entropies contain a sigmoid: anywhere else it would ruin the ranking
//! while the loss still falls.

mod listwise;
mod pairwise;
mod pointwise;
#[cfg(test)]
mod tests;

pub(crate) use listwise::softmax_gradient;
pub(crate) use pointwise::bce_gradient;

use crate::config::{LossName, TrainConfig};

/// What the logits of a batch are compared with; all slices have the same length.
pub(crate) struct Targets<'a> {
    pub labels: &'a [f32],
    /// Teacher scores; empty if the loss needs none.
    pub teacher: &'a [f32],
    /// For each logit, the number of its query.
    pub groups: &'a [usize],
}

/// A loss and its gradient with respect to the logits.
#[derive(Debug)]
pub(crate) struct Loss {
    pub value: f64,
    pub gradient: Vec<f64>,
}

impl Loss {
    fn zero(len: usize) -> Self {
        Self { value: 0.0, gradient: vec![0.0; len] }
    }

    /// Divides a sum by `count`; None if that is 0.
    fn mean(mut self, count: usize) -> Option<Self> {
        self.value /= count as f64;
        self.gradient.iter_mut().for_each(|g| *g /= count as f64);
        (count > 0).then_some(self)
    }
}

/// Returns the configured loss. None if the batch has nothing to compare, such as groups with one
/// label only.
pub(crate) fn loss(
    config: &TrainConfig,
    positive_weight: f32,
    logits: &[f32],
    targets: &Targets,
) -> Option<Loss> {
    let logits: Vec<f64> = logits.iter().map(|&logit| logit.into()).collect();
    match config.loss {
        LossName::Bce => pointwise::bce(&logits, targets.labels, positive_weight.into()),
        LossName::Mse => pointwise::mse(&logits, targets.teacher),
        LossName::Hinge => pairwise::hinge(&logits, targets, config.margin.into()),
        LossName::MarginMse => pairwise::margin_mse(&logits, targets),
        LossName::RankNet => pairwise::ranknet(&logits, targets),
        LossName::Lambda => pairwise::lambda(&logits, targets, config.lambda_weighting),
        LossName::Softmax => listwise::softmax(&logits, targets, config.softmax_temperature.into()),
        LossName::ListNet => listwise::listnet(&logits, targets),
        LossName::ListMle => listwise::listmle(&logits, targets),
    }
}

/// Returns the binary cross-entropy towards soft labels, the loss of the warm start.
pub(crate) fn soft_bce(logits: &[f32], labels: &[f32]) -> Option<Loss> {
    let logits: Vec<f64> = logits.iter().map(|&logit| logit.into()).collect();
    pointwise::bce(&logits, labels, 1.0)
}

/// ln(1 + e^x), without overflow.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 { 1.0 / (1.0 + (-x).exp()) } else { x.exp() / (1.0 + x.exp()) }
}

/// Returns the positions of each query's logits, in order of first appearance.
fn by_query(groups: &[usize]) -> Vec<Vec<usize>> {
    let mut queries: Vec<(usize, Vec<usize>)> = Vec::new();
    for (position, &group) in groups.iter().enumerate() {
        match queries.iter_mut().find(|(known, _)| *known == group) {
            Some((_, positions)) => positions.push(position),
            None => queries.push((group, vec![position])),
        }
    }
    queries.into_iter().map(|(_, positions)| positions).collect()
}

/// ln Σ e^x, without overflow.
fn log_sum_exp(x: impl Iterator<Item = f64> + Clone) -> f64 {
    let max = x.clone().fold(f64::NEG_INFINITY, f64::max);
    max + x.map(|x| (x - max).exp()).sum::<f64>().ln()
}
