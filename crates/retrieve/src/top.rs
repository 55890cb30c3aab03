//! Rankings by score, and the best of many passages.

use std::cmp::Ordering;

/// A passage, by its place in the collection, with its score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    pub passage: u32,
    pub score: f32,
}

/// The order of a ranking: score descending, then passage id descending, as in trec_eval. Passages
/// are numbered in the order of their ids, so the number stands for the id.
pub fn ranking_order(a: &Scored, b: &Scored) -> Ordering {
    // Adding zero turns -0 into 0, so that they tie.
    (b.score + 0.0).total_cmp(&(a.score + 0.0)).then_with(|| b.passage.cmp(&a.passage))
}

/// Keeps the best of many scored passages, in memory for twice as many as it returns. The order of
/// pushing does not matter.
pub struct Top {
    limit: usize,
    kept: Vec<Scored>,
    /// The last of the best so far. Whatever ranks behind it can be dropped.
    worst: Option<Scored>,
}

impl Top {
    pub fn new(limit: usize) -> Self {
        Self { limit, kept: Vec::with_capacity(2 * limit), worst: None }
    }

    #[inline]
    pub fn push(&mut self, scored: Scored) {
        if self.worst.is_some_and(|worst| ranking_order(&scored, &worst).is_gt()) {
            return;
        }
        self.kept.push(scored);
        if self.kept.len() >= 2 * self.limit.max(1) {
            self.shrink();
        }
    }

    /// The lowest score that still gets in.
    #[inline]
    pub fn threshold(&self) -> f32 {
        self.worst.map_or(f32::NEG_INFINITY, |worst| worst.score)
    }

    fn shrink(&mut self) {
        if self.kept.len() > self.limit && self.limit > 0 {
            self.kept.select_nth_unstable_by(self.limit - 1, ranking_order);
            self.worst = Some(self.kept[self.limit - 1]);
        }
        self.kept.truncate(self.limit);
    }

    /// Returns the best, best first.
    pub fn into_ranking(mut self) -> Vec<Scored> {
        self.shrink();
        self.kept.sort_unstable_by(ranking_order);
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn top_equals_the_head_of_a_full_sort_with_ties() {
        for limit in [0, 1, 3, 7, 100] {
            // Few different scores, so that the cut falls into ties.
            let all: Vec<Scored> = (0..50)
                .map(|passage| Scored { passage, score: (passage * 7 % 5) as f32 - 2.0 })
                .collect();
            let mut top = Top::new(limit);
            all.iter().for_each(|scored| top.push(*scored));
            let mut sorted = all;
            sorted.sort_by(ranking_order);
            sorted.truncate(limit);
            assert_eq!(top.into_ranking(), sorted, "limit {limit}");
        }
    }
}
