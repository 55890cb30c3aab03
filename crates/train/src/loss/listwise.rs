//! Losses on all of a query's passages at once.

use super::pairwise::first_best;
use super::{Loss, Targets, by_query, log_sum_exp};
use burn::tensor::{Tensor, TensorData};

/// Taken from logits of other queries, so that none of them is the highest.
const FAR: f32 = 1e9;

/// Cross-entropy of softmax(logits / temperature) over the query's passages, with the first of the
/// highest labels as the target; mean over queries. FlagEmbedding calls it group softmax; it is
/// InfoNCE without in-batch negatives.
pub(super) fn softmax(logits: &[f64], targets: &Targets, temperature: f64) -> Option<Loss> {
    let divided: Vec<f64> = logits.iter().map(|logit| logit / temperature).collect();
    let loss = towards(&divided, targets, |positions, labels| {
        let best = first_best(positions, labels);
        positions.iter().map(|&position| if position == best { 1.0 } else { 0.0 }).collect()
    })?;
    let gradient = loss.gradient.into_iter().map(|g| g / temperature).collect();
    Some(Loss { gradient, ..loss })
}

/// The gradient of [`softmax`] in f32 operations of the logits' device.
pub(crate) fn softmax_gradient(
    logits: Tensor<1>,
    (labels, groups): (&[f32], &[usize]),
    temperature: f64,
) -> Tensor<1> {
    let (count, device) = (labels.len(), logits.device());
    let queries = by_query(groups);
    let (mut wanted, mut query_of) = (vec![0f32; count], vec![0f32; count]);
    for (query, positions) in queries.iter().enumerate() {
        wanted[first_best(positions, labels)] = 1.0;
        positions.iter().for_each(|&position| query_of[position] = query as f32);
    }
    let column = |values: Vec<f32>| {
        Tensor::<2>::from_data(TensorData::new(values, [count, 1]), &device) // [count, 1]
    };
    let query_of = column(query_of);
    let other = (query_of.clone() - query_of.transpose()).not_equal_elem(0.0).float();
    let logits = logits.reshape([count, 1]) / temperature;
    let row = logits.clone().transpose();
    let highest = (row.clone() - other.clone() * FAR).max_dim(1); // [count, 1], of its query
    // A logit of another query may be higher; it counts as nothing.
    let weights = (row - highest.clone()).clamp_max(0.0).exp() * (other.neg() + 1.0);
    let found = (logits - highest).exp() / weights.sum_dim(1); // [count, 1]
    ((found - column(wanted)) / (temperature * queries.len() as f64)).squeeze_dim(1)
}

/// Cross-entropy between softmax(labels) and softmax(logits), mean over queries (Cao et al. 2007).
pub(super) fn listnet(logits: &[f64], targets: &Targets) -> Option<Loss> {
    towards(logits, targets, |positions, labels| {
        let label = |position: &usize| f64::from(labels[*position]);
        let total = log_sum_exp(positions.iter().map(label));
        positions.iter().map(|position| (label(position) - total).exp()).collect()
    })
}

fn towards(
    logits: &[f64],
    targets: &Targets,
    wanted: impl Fn(&[usize], &[f32]) -> Vec<f64>,
) -> Option<Loss> {
    let mut loss = Loss::zero(logits.len());
    let queries = by_query(targets.groups);
    for positions in &queries {
        let total = log_sum_exp(positions.iter().map(|&position| logits[position]));
        for (&position, wanted) in positions.iter().zip(wanted(positions, targets.labels)) {
            loss.value += wanted * (total - logits[position]);
            loss.gradient[position] += (logits[position] - total).exp() - wanted;
        }
    }
    loss.mean(queries.len())
}

/// −Σᵢ [sᵢ − ln Σ_{j ≥ i} e^{sⱼ}] over the passages in order of their labels, mean over queries
/// (Xia et al. 2008). Equal labels keep the order of the file.
pub(super) fn listmle(logits: &[f64], targets: &Targets) -> Option<Loss> {
    let mut loss = Loss::zero(logits.len());
    let queries = by_query(targets.groups);
    for positions in &queries {
        let mut order = positions.clone();
        order.sort_by(|&a, &b| targets.labels[b].total_cmp(&targets.labels[a]));
        for (i, &position) in order.iter().enumerate() {
            let total = log_sum_exp(order[i..].iter().map(|&position| logits[position]));
            loss.value += total - logits[position];
            loss.gradient[position] -= 1.0;
            for &below in &order[i..] {
                loss.gradient[below] += (logits[below] - total).exp();
            }
        }
    }
    loss.mean(queries.len())
}
