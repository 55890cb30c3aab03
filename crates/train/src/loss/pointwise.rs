//! Losses on each pair by itself.

use super::{Loss, sigmoid, softplus};
use burn::tensor::activation::sigmoid as sigmoid_of;
use burn::tensor::{Tensor, TensorData};

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

/// The gradient of [`bce`] in f32 operations of the logits' device.
pub(crate) fn bce_gradient(logits: Tensor<1>, labels: &[f32], positive_weight: f32) -> Tensor<1> {
    let count = labels.len() as f32;
    let factors = |of: &dyn Fn(f32) -> f32| {
        let factors: Vec<f32> = labels.iter().map(|&label| of(label) / count).collect();
        Tensor::<1>::from_data(TensorData::new(factors, [labels.len()]), &logits.device())
    };
    let (up, down) = (factors(&|label| positive_weight * label), factors(&|label| 1.0 - label));
    sigmoid_of(logits.clone()) * down - sigmoid_of(logits.neg()) * up
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
