//! Losses on all of a query's passages at once.

use super::pairwise::first_best;
use super::{Loss, Targets, by_query, log_sum_exp};

/// Cross-entropy of the query's passages, with the first of the highest labels as the target; mean
/// over queries. FlagEmbedding calls it group softmax; it is InfoNCE without in-batch negatives.
pub(super) fn softmax(logits: &[f64], targets: &Targets) -> Option<Loss> {
    towards(logits, targets, |positions, labels| {
        let best = first_best(positions, labels);
        positions.iter().map(|&position| if position == best { 1.0 } else { 0.0 }).collect()
    })
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
