//! Joins the model's logits with the first stages' scores that the client sends.

use std::collections::BTreeMap;
use whetstone_rank::Join;

/// A score for each document, by the name of the first stage. None for a document that it did not
/// find.
pub type FirstStages = BTreeMap<String, Vec<Option<f32>>>;

/// Returns the joined score of each document.
pub fn joined(join: &Join, first_stages: &FirstStages, logits: &[f32]) -> Vec<f32> {
    let named: Vec<(&str, &[Option<f32>])> =
        first_stages.iter().map(|(name, scores)| (name.as_str(), scores.as_slice())).collect();
    join.scores(logits, &named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_stage_moves_a_document_by_its_weight() {
        let join = Join::with_one("bm25");
        let stages = FirstStages::from([("bm25".into(), vec![Some(3.0), Some(1.0), None])]);
        // A logit counts a quarter. The scores lie √2 above the mean, and 1/√2 below it.
        let scores = joined(&join, &stages, &[-4.0, 4.0, 0.0]);
        let expected = [-1.0 + 0.5 * 2f32.sqrt(), 1.0 - 0.5 / 2f32.sqrt(), -0.5 / 2f32.sqrt()];
        for (score, expected) in scores.iter().zip(expected) {
            assert!((score - expected).abs() < 1e-6, "{scores:?}");
        }
    }
}
