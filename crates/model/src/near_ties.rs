//! Scores that bfloat16 may have put in another order than f32, where the order matters.

/// As far as readers look into a ranking; nDCG@10 looks at as many.
const FIRST: usize = 10;

/// How far apart two scores may be and still change places by rounding, in standard deviations of the
/// list's scores. Rounding moves those of six layers by 0.005 (root mean square), by 0.05 at most
/// (docs/experiments/serving-speed.md).
const REACH: f32 = 0.016;

/// Returns the places of scores that lie so close to another that their order is open, among the
/// first ten, or the first `wanted` if that is less, and the later ones that may belong there.
pub fn near_ties(scores: &[f32], wanted: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    let reach = REACH * standard_deviation(scores);
    let close = |a: usize, b: usize| scores[order[a]] - scores[order[b]] < reach;
    let first = wanted.min(FIRST);
    let is_open = |&rank: &usize| match rank < first {
        true => {
            (rank > 0 && close(rank - 1, rank)) || (rank + 1 < order.len() && close(rank, rank + 1))
        }
        false => first > 0 && close(first - 1, rank),
    };
    (0..order.len()).filter(is_open).map(|rank| order[rank]).collect()
}

fn standard_deviation(scores: &[f32]) -> f32 {
    let count = scores.len() as f32;
    let mean = scores.iter().sum::<f32>() / count;
    (scores.iter().map(|score| (score - mean).powi(2)).sum::<f32>() / count).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scores with a standard deviation of about 1, of which the second and the third are so far
    /// apart.
    fn list(gap: f32) -> [f32; 5] {
        [-1.5, 1.6, 0.1, 0.1 + gap, -0.4]
    }

    #[test]
    fn scores_that_are_close_together_are_open_as_far_as_they_are_wanted() {
        assert_eq!(near_ties(&list(0.01), 5), [3, 2]);
        // The third may belong to the first two, and none but the best to the best.
        assert_eq!(near_ties(&list(0.01), 2), [3, 2]);
        assert!(near_ties(&list(0.01), 1).is_empty() && near_ties(&list(0.01), 0).is_empty());
        assert!(near_ties(&list(0.1), 5).is_empty());
    }

    #[test]
    fn the_scale_of_the_scores_does_not_matter() {
        for scale in [1e-3, 1.0, 1e3] {
            assert_eq!(near_ties(&list(0.01).map(|score| score * scale), 5), [3, 2]);
            assert!(near_ties(&list(0.1).map(|score| score * scale), 5).is_empty());
        }
    }

    #[test]
    fn all_that_may_be_the_tenth_are_open_and_later_ties_are_not() {
        let mut scores: Vec<f32> = (0..30).map(|place| -(place as f32)).collect();
        (scores[10], scores[11]) = (scores[9] - 0.05, scores[9] - 0.1);
        scores[21] = scores[20];
        for wanted in [10, 30, usize::MAX] {
            assert_eq!(near_ties(&scores, wanted), [9, 10, 11]);
        }
    }

    #[test]
    fn equal_scores_and_short_lists_have_no_order() {
        assert!(near_ties(&[2.0; 20], 10).is_empty());
        assert!(near_ties(&[2.0], 10).is_empty() && near_ties(&[], 10).is_empty());
    }
}
