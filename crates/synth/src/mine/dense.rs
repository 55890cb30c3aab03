use super::miner::Miner;
use super::top::{Scored, Top, ranking_order};
use gemm::{Parallelism, gemm};
use rayon::prelude::*;
use std::ops::Range;

/// Queries and passages whose scores are in memory at one time, for one thread: 1 MiB of scores.
const QUERY_BLOCK: usize = 128;
const PASSAGE_BLOCK: usize = 2048;

/// The kernel's last bits depend on a passage's place in the block, which would decide ties at the
/// end of a ranking. So this many more than asked for are kept, scored again one by one, and cut
/// then.
const SPARE: usize = 32;

/// Exact search by the dot product of embeddings.
pub struct Dense {
    hidden: usize,
    queries: Vec<f32>,  // [queries, hidden]
    passages: Vec<f32>, // [passages, hidden]
}

impl Dense {
    /// Takes row-major embeddings, `[queries, hidden]` and `[passages, hidden]`, both of length 1.
    pub fn new(hidden: usize, queries: Vec<f32>, passages: Vec<f32>) -> Self {
        assert!(
            hidden > 0
                && queries.len().is_multiple_of(hidden)
                && passages.len().is_multiple_of(hidden)
        );
        Self { hidden, queries, passages }
    }

    fn passage_count(&self) -> usize {
        self.passages.len() / self.hidden
    }

    /// Searches up to [`QUERY_BLOCK`] queries, one block of passages after the other.
    fn search_block(
        &self,
        queries: Range<usize>,
        limit: usize,
        scores: &mut Vec<f32>,
    ) -> Vec<Vec<Scored>> {
        let mut tops: Vec<Top> = queries.clone().map(|_| Top::new(limit + SPARE)).collect();
        for start in (0..self.passage_count()).step_by(PASSAGE_BLOCK) {
            let passages = start..(start + PASSAGE_BLOCK).min(self.passage_count());
            let width = passages.len();
            self.score_block(queries.clone(), passages, scores); // [queries, width]
            for (top, row) in tops.iter_mut().zip(scores.chunks_exact(width)) {
                let mut threshold = top.threshold();
                for (place, score) in row.iter().enumerate() {
                    if *score >= threshold {
                        top.push(Scored { passage: (start + place) as u32, score: *score });
                        threshold = top.threshold();
                    }
                }
            }
        }
        let rank = |(query, top): (usize, Top)| {
            let mut ranking = top.into_ranking();
            ranking.iter_mut().for_each(|hit| hit.score = self.score(query, hit.passage));
            ranking.sort_unstable_by(ranking_order);
            ranking.truncate(limit);
            ranking
        };
        queries.zip(tops).map(rank).collect()
    }

    fn score_block(&self, queries: Range<usize>, passages: Range<usize>, scores: &mut Vec<f32>) {
        let (rows, columns, hidden) = (queries.len(), passages.len(), self.hidden);
        let left = &self.queries[queries.start * hidden..queries.end * hidden];
        let right = &self.passages[passages.start * hidden..passages.end * hidden];
        scores.clear();
        scores.resize(rows * columns, 0.0);
        // SAFETY: the three slices are row-major matrices of exactly [rows, hidden], [columns,
        // hidden] (read transposed) and [rows, columns]; `scores` overlaps neither of the others.
        unsafe {
            gemm(
                rows,
                columns,
                hidden,
                scores.as_mut_ptr(),
                1,
                columns as isize,
                false,
                left.as_ptr(),
                1,
                hidden as isize,
                right.as_ptr(),
                hidden as isize,
                1,
                0.0,
                1.0,
                false,
                false,
                false,
                Parallelism::None,
            );
        }
    }
}

impl Miner for Dense {
    fn name(&self) -> &'static str {
        "dense"
    }

    fn search(&self, queries: Range<usize>, limit: usize) -> Vec<Vec<Scored>> {
        let starts: Vec<usize> = queries.clone().step_by(QUERY_BLOCK).collect();
        starts
            .into_par_iter()
            .map_init(Vec::new, |scores, start| {
                self.search_block(start..(start + QUERY_BLOCK).min(queries.end), limit, scores)
            })
            .flatten_iter()
            .collect()
    }

    fn score(&self, query: usize, passage: u32) -> f32 {
        let (query, passage) = (query * self.hidden, passage as usize * self.hidden);
        dot(
            &self.queries[query..query + self.hidden],
            &self.passages[passage..passage + self.hidden],
        )
    }
}

/// Sums in eight lanes, which the compiler turns into vector instructions.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0f32; 8];
    let (a, b) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = std::iter::zip(a.remainder(), b.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a.zip(b) {
        for lane in 0..8 {
            lanes[lane] += a[lane] * b[lane];
        }
    }
    lanes.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    fn embeddings(rows: usize, hidden: usize, id: &str) -> Vec<f32> {
        let mut rng = crate::random::rng(1, "embeddings", id);
        let mut all = Vec::new();
        for _ in 0..rows {
            let row: Vec<f32> = (0..hidden).map(|_| rng.random_range(-1.0..1.0)).collect();
            let length = row.iter().map(|value| value * value).sum::<f32>().sqrt();
            all.extend(row.iter().map(|value| value / length));
        }
        all
    }

    #[test]
    fn search_by_blocks_equals_sorting_all_scores() {
        // More than one block each way, neither full at the end, and a width that is no multiple of
        // eight.
        let (hidden, queries, passages) = (27, QUERY_BLOCK + 5, PASSAGE_BLOCK + 77);
        let dense =
            Dense::new(hidden, embeddings(queries, hidden, "q"), embeddings(passages, hidden, "p"));
        let found = dense.search(3..queries, 10);
        assert_eq!(found.len(), queries - 3);
        for (query, ranking) in (3..queries).zip(found) {
            let mut all: Vec<Scored> = (0..passages as u32)
                .map(|passage| Scored { passage, score: dense.score(query, passage) })
                .collect();
            all.sort_by(ranking_order);
            assert_eq!(ranking, all[..10]);
        }
    }

    #[test]
    fn equal_passages_tie_and_the_later_id_comes_first() {
        let passages = [[1.0, 0.0], [0.6, 0.8], [1.0, 0.0]].concat();
        let dense = Dense::new(2, vec![1.0, 0.0], passages);
        let places: Vec<u32> = dense.search(0..1, 3)[0].iter().map(|hit| hit.passage).collect();
        assert_eq!(places, [2, 0, 1]);
    }
}
