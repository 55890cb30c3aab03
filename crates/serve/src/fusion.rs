//! Joins the model's scores with those of a first stage that the client sends.

use whetstone_rank::Fusion;
use whetstone_records::{Hit, PassageId, Run};

/// Returns the joined score of each document.
pub fn fused(fusion: Fusion, first_stage: &[f32], logits: &[f32]) -> Vec<f32> {
    // A run wants names: the places of the documents, so that they sort as numbers.
    const QUERY: &str = "query";
    let name = |index: usize| PassageId::new(format!("{index:09}"));
    let run = |scores: &[f32]| -> Run {
        let hits = scores.iter().enumerate();
        hits.map(|(index, &score)| (QUERY.into(), Hit { passage: name(index), score })).collect()
    };
    let joined = fusion.fuse(&run(first_stage), &run(logits));
    let mut scores = vec![0.0; logits.len()];
    for hit in joined.get(QUERY).unwrap_or_default() {
        if let Ok(index) = hit.passage.as_str().parse::<usize>() {
            scores[index] = hit.score;
        }
    }
    scores
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_join_both_scores_on_one_scale() {
        let fusion = Fusion::Interpolation { weight: 0.75 };
        let scores = fused(fusion, &[20.0, 10.0, 0.0], &[-4.0, 4.0, 0.0]);
        assert_eq!(scores, [0.25, 0.875, 0.375]);
    }

    #[test]
    fn ranks_join_whatever_the_scales_are() {
        let scores = fused(Fusion::Rrf { k: 60.0 }, &[1000.0, 1.0], &[0.1, 0.2]);
        assert_eq!(scores[0], scores[1]);
    }
}
