//! Losses on raw logits. None applies a sigmoid of its own outside of cross-entropy: that would ruin the ranking.

use crate::config::{LossName, TrainConfig};
use burn::tensor::{Device, Tensor, TensorData};

/// ln(1 + e^x), without overflow.
fn softplus(x: Tensor<1>) -> Tensor<1> {
    x.clone().clamp_min(0.0) + (x.abs().neg().exp() + 1.0).log()
}

/// Binary cross-entropy on logits, mean over pairs, as PyTorch's `BCEWithLogitsLoss`: labels may be soft, and
/// `positive_weight` multiplies the positive part.
pub(crate) fn bce(logits: Tensor<1>, labels: &[f32], positive_weight: f32, device: &Device) -> Tensor<1> {
    let labels = Tensor::<1>::from_data(TensorData::new(labels.to_vec(), [labels.len()]), device);
    let positive = softplus(logits.clone().neg()) * labels.clone() * positive_weight;
    let negative = softplus(logits) * (labels.neg() + 1.0);
    (positive + negative).mean()
}

/// Mean of max(0, margin − (s⁺ − s⁻)) over all pairs of one query whose labels differ, as PyTorch's
/// `MarginRankingLoss`. `groups` numbers the query of each logit. None where no labels differ.
pub(crate) fn hinge(
    logits: Tensor<1>,
    labels: &[f32],
    groups: &[usize],
    margin: f32,
    device: &Device,
) -> Option<Tensor<1>> {
    let (mut better, mut worse) = (Vec::new(), Vec::new());
    for (i, group) in groups.iter().enumerate() {
        for (j, other) in groups.iter().enumerate() {
            if group == other && labels[i] > labels[j] {
                better.push(i as i64);
                worse.push(j as i64);
            }
        }
    }
    if better.is_empty() {
        return None;
    }
    let pick = |indices: Vec<i64>| {
        let len = indices.len();
        logits.clone().select(0, Tensor::from_data(TensorData::new(indices, [len]), device))
    };
    Some((pick(worse) - pick(better) + margin).clamp_min(0.0).mean())
}

/// The configured loss of a batch; None where the batch says nothing (a hinge over one label only).
pub(crate) fn loss(
    config: &TrainConfig,
    logits: Tensor<1>,
    labels: &[f32],
    groups: &[usize],
    positive_weight: f32,
    device: &Device,
) -> Option<Tensor<1>> {
    match config.loss {
        LossName::Bce => Some(bce(logits, labels, positive_weight, device)),
        LossName::Hinge => hinge(logits, labels, groups, config.margin, device),
    }
}
