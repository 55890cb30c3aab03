use crate::mine::Finding;
use std::collections::BTreeMap;
use whetstone_records::{Hit, PassageId};

/// Returns the reciprocal rank fusion of rankings, best first, cut at `depth`: the sum of 1 / (k +
/// rank) over the rankings in which a miner itself found the passage (Cormack, Clarke and Büttcher,
/// SIGIR 2009).
pub fn fuse(rankings: &[&[Finding]], k: f64, depth: usize) -> Vec<Hit> {
    let mut sums: BTreeMap<&PassageId, f64> = BTreeMap::new();
    for ranking in rankings {
        for (finding, rank) in ranking.iter().filter(|finding| finding.found).zip(1..) {
            *sums.entry(&finding.passage).or_default() += 1.0 / (k + f64::from(rank));
        }
    }
    // Rounded before they are ordered, so that the order is the same when the file is read back.
    let mut hits: Vec<Hit> = sums
        .into_iter()
        .map(|(passage, sum)| Hit { passage: passage.clone(), score: sum as f32 })
        .collect();
    hits.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| b.passage.cmp(&a.passage)));
    hits.truncate(depth);
    hits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(passages: &[&str], found: usize) -> Vec<Finding> {
        let finding = |(place, passage): (usize, &&str)| Finding {
            passage: (*passage).into(),
            score: -(place as f32),
            found: place < found,
        };
        passages.iter().enumerate().map(finding).collect()
    }

    #[test]
    fn fusion_adds_reciprocal_ranks_of_what_each_miner_found_itself() {
        let bm25 = findings(&["a", "b", "c", "d"], 3);
        let dense = findings(&["d", "a", "c", "b"], 2);
        let fused = fuse(&[&bm25, &dense], 60.0, 10);
        // a: 1/61 + 1/62; d: 1/61 (unranked by BM25); b: 1/62; c: 1/63.
        assert_eq!(
            fused.iter().map(|hit| hit.passage.as_str()).collect::<Vec<_>>(),
            ["a", "d", "b", "c"]
        );
        assert_eq!(fused[0].score, (1.0 / 61.0 + 1.0 / 62.0) as f32);
        assert_eq!(fuse(&[&bm25, &dense], 60.0, 2), fused[..2]);
    }

    #[test]
    fn ties_are_in_the_order_of_trec_eval() {
        let fused = fuse(&[&findings(&["a", "b"], 2), &findings(&["b", "a"], 2)], 60.0, 1);
        assert_eq!(fused[0].passage.as_str(), "b");
    }
}
