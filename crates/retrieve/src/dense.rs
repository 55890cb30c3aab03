//! Dense retrieval: finds passages whose embedding points in the query's direction.

use crate::embeddings::TextKind;
use crate::error::{Error, Result};
use crate::products::dot_products;
use crate::registry::{Material, Settings};
use crate::retriever::Retriever;
use crate::top::{Scored, Top, ranking_order};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use whetstone_model::dot;

const NAME: &str = "dense";

/// Queries and passages whose scores are in memory at a time, per thread: 1 MiB of scores.
const QUERY_BLOCK: usize = 128;
const PASSAGE_BLOCK: usize = 2048;

/// The kernel's last bits depend on a passage's place in the block, which would decide ties at the
/// end of a ranking. So the search keeps this many extra passages, scores them again one by one,
/// and only then cuts.
const SPARE: usize = 32;

/// `kind = "dense"`: the data set's config names the bi-encoder, so there are no settings here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DenseSettings {}

impl Settings for DenseSettings {
    fn name(&self) -> &str {
        NAME
    }

    fn needs_model(&self) -> bool {
        true
    }

    fn build(&self, material: &Material) -> Result<Box<dyn Retriever>> {
        let cache = material.embeddings.ok_or(Error::NoModel { retriever: NAME })?;
        let passages = cache.embed("passages", TextKind::Passage, &material.passage_texts())?;
        let queries = cache.embed("queries", TextKind::Query, &material.query_texts())?;
        Ok(Box::new(Dense::new(cache.hidden, queries, passages)))
    }
}

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
            ranking.iter_mut().for_each(|hit| hit.score = self.cosine(query, hit.passage));
            ranking.sort_unstable_by(ranking_order);
            ranking.truncate(limit);
            ranking
        };
        queries.zip(tops).map(rank).collect()
    }

    /// Puts the scores of a block into `scores`, row-major `[queries, passages]`.
    fn score_block(&self, queries: Range<usize>, passages: Range<usize>, scores: &mut Vec<f32>) {
        let hidden = self.hidden;
        scores.clear();
        scores.resize(queries.len() * passages.len(), 0.0);
        dot_products(
            &self.queries[queries.start * hidden..queries.end * hidden],
            &self.passages[passages.start * hidden..passages.end * hidden],
            hidden,
            scores,
        );
    }

    fn cosine(&self, query: usize, passage: u32) -> f32 {
        let (query, passage) = (query * self.hidden, passage as usize * self.hidden);
        dot(
            &self.queries[query..query + self.hidden],
            &self.passages[passage..passage + self.hidden],
        )
    }
}

impl Retriever for Dense {
    fn name(&self) -> &str {
        NAME
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

    fn score(&self, query: usize, passage: u32) -> Option<f32> {
        Some(self.cosine(query, passage))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors of length 1 that look random: a linear congruential generator (Knuth's MMIX).
    fn embeddings(rows: usize, hidden: usize, seed: u64) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        };
        let mut all = Vec::new();
        for _ in 0..rows {
            let row: Vec<f32> = (0..hidden).map(|_| next()).collect();
            let length = row.iter().map(|value| value * value).sum::<f32>().sqrt();
            all.extend(row.iter().map(|value| value / length));
        }
        all
    }

    #[test]
    fn search_by_blocks_equals_sorting_all_scores() {
        // More than one block each way, with the last ones partly filled, and a width that is no
        // multiple of eight.
        let (hidden, queries, passages) = (27, QUERY_BLOCK + 5, PASSAGE_BLOCK + 77);
        let dense =
            Dense::new(hidden, embeddings(queries, hidden, 1), embeddings(passages, hidden, 2));
        let found = dense.search(3..queries, 10);
        assert_eq!(found.len(), queries - 3);
        for (query, ranking) in (3..queries).zip(found) {
            let mut all: Vec<Scored> = (0..passages as u32)
                .map(|passage| Scored { passage, score: dense.cosine(query, passage) })
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
