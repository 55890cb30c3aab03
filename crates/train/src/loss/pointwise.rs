//! Losses on each pair by itself.

use super::{Loss, sigmoid, softplus};

/// Binary cross-entropy on logits, mean over pairs, as PyTorch's `BCEWithLogitsLoss`: labels may be
/// soft, and `positive_weight` multiplies the positive part.
pub(super) fn bce(logits: &[f64], labels: &[f32], positive_weight: f64) -> Option<Loss> {
    let mut loss = Loss::zero(logits.len());
    for (i, (&logit, &label)) in logits.iter().zip(labels).enumerate() {
        let label = f64::from(label);
        loss.value += positive_weight * label * softplus(-logit) + (1.0 - label) * softplus(logit);
        loss.gradient[i] =
            -positive_weight * label * sigmoid(-logit) + (1.0 - label) * sigmoid(logit);
    }
    loss.mean(logits.len())
}

/// Mean of (s − t)², t the teacher's scores.
pub(super) fn mse(logits: &[f64], teacher: &[f32]) -> Option<Loss> {
    let mut loss = Loss::zero(logits.len());
    for (i, (logit, &teacher)) in logits.iter().zip(teacher).enumerate() {
        let error = logit - f64::from(teacher);
        loss.value += error * error;
        loss.gradient[i] = 2.0 * error;
    }
    loss.mean(logits.len())
}
