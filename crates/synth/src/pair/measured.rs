//! The candidates of the dev and test queries.

use crate::collection::Collection;
use crate::config::SynthConfig;
use crate::error::{Error, Result};
use crate::mine::Found;
use crate::split::Split;
use rand::seq::SliceRandom;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use whetstone_eval::rrf;
use whetstone_records::{DataSet, Hit, Pair, PassageId, Provenance, Qrels, QueryId, Run};

/// The findings of the retrievers for the dev and test queries.
pub struct Mined {
    /// In the order of the config.
    of_retriever: Vec<(String, Found)>,
    /// All of them together.
    fused: Run,
    /// Place of the bi-encoder, which finds something for every query.
    dense: Option<usize>,
}

impl Mined {
    pub fn read(out: &Path, config: &SynthConfig, wanted: &BTreeSet<&str>) -> Result<Self> {
        let data = DataSet::new(out);
        let read = |name: &str| {
            let path = data.path(DataSet::mined_run_name(name));
            Ok((name.to_owned(), Found::read(&path, wanted)?))
        };
        let of_retriever = config.mine.names().map(read).collect::<Result<Vec<_>>>()?;
        let own: Vec<&Run> = of_retriever.iter().map(|(_, found)| &found.own).collect();
        let fused = rrf(&own, config.pair.rrf_k);
        let mined = Self { of_retriever, fused, dense: config.mine.dense() };
        mined.check(wanted)?;
        Ok(mined)
    }

    /// Refuses findings that belong to other queries.
    fn check(&self, wanted: &BTreeSet<&str>) -> Result<()> {
        let found = |query: &str| match self.dense {
            Some(dense) => self.of_retriever[dense].1.own.get(query).is_some(),
            // Any other retriever may find nothing for one query, but not for all.
            None => self.of_retriever.iter().any(|(_, found)| !found.own.is_empty()),
        };
        match wanted.iter().find(|query| !found(query)) {
            Some(query) => Err(Error::FindingsMissing { query: (*query).into() }),
            None => Ok(()),
        }
    }

    /// The names of the retrievers.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.of_retriever.iter().map(|(name, _)| name.as_str())
    }
}

/// The candidates of a held-out split, and each retriever's ranking of them.
pub struct Measured {
    pub pairs: Vec<Pair>,
    pub candidates: Run,
    /// One per retriever, in the order of the config, over the same passages.
    pub runs: Vec<Run>,
    /// How many candidates each retriever does not rank.
    pub unranked: Vec<u64>,
    pub positives: u64,
    /// Positives among the candidates: no reranker can rank the others.
    pub positives_found: u64,
}

/// Returns a seeded sample of a split's queries, in order; all where `max_queries` is 0.
pub fn sample_queries(
    collection: &Collection,
    split: Split,
    max_queries: usize,
    seed: u64,
) -> Vec<usize> {
    let mut queries = collection.queries_of(split);
    if max_queries > 0 && max_queries < queries.len() {
        queries.shuffle(&mut crate::random::rng(seed, "max-queries", split.name()));
        queries.truncate(max_queries);
        queries.sort_unstable();
    }
    queries
}

/// Returns the candidate list of every query with labels, best first. It contains only passages
/// that were really retrieved.
pub fn measure(
    collection: &Collection,
    queries: &[usize],
    mined: &Mined,
    depth: usize,
) -> Result<Measured> {
    let retrievers = mined.of_retriever.len();
    let max_grade = collection.max_grade(queries);
    let mut measured = Measured {
        pairs: Vec::new(),
        candidates: Run::default(),
        runs: vec![Run::default(); retrievers],
        unranked: vec![0; retrievers],
        positives: 0,
        positives_found: 0,
    };
    for query in queries {
        let id = &collection.queries[*query].id;
        let hits = mined.fused.get(id.as_str()).unwrap_or_default().iter();
        let counts = hits.filter(|hit| !collection.is_set_aside(id, &hit.passage));
        let hits: Vec<Hit> = counts.take(depth).cloned().collect();
        let grades: BTreeMap<u32, i32> = collection.positives[*query].iter().copied().collect();
        measured.positives += grades.len() as u64;
        for (hit, rank) in hits.iter().zip(1..) {
            let missing = || Error::FindingsMissing { query: id.clone() };
            let passage = collection.passage(&hit.passage).ok_or_else(missing)?;
            let grade = grades.get(&passage).copied().unwrap_or(0);
            measured.positives_found += u64::from(grade > 0);
            let provenance =
                Provenance { miner: "rrf".into(), rank: Some(rank), score: Some(hit.score) };
            let label = grade as f32 / max_grade;
            measured.pairs.push(collection.pair(*query, passage, label, provenance));
        }
        let runs = measured.runs.iter_mut().zip(&mut measured.unranked);
        for ((run, unranked), (_, found)) in runs.zip(&mined.of_retriever) {
            let scored = found.scored.get(id.as_str()).unwrap_or_default();
            let (hits, missing) = over_candidates(scored, &hits);
            *unranked += missing;
            run.insert(id.clone(), hits);
        }
        measured.candidates.insert(id.clone(), hits);
    }
    Ok(measured)
}

/// How far below the lowest score, as a fraction of it, a candidate without one is placed: far
/// enough to come last in a file, too little to change a join of scores.
const BELOW: f32 = 1e-6;

/// Returns a retriever's ranking of the candidates, and how many of them it did not score. Those
/// tie right below the lowest. So all runs rank the same passages and can be compared, and in a join
/// of scores what was not found counts as the lowest that was.
fn over_candidates(scored: &[Hit], candidates: &[Hit]) -> (Vec<Hit>, u64) {
    let scores: HashMap<&PassageId, f32> =
        scored.iter().map(|hit| (&hit.passage, hit.score)).collect();
    let found = candidates.iter().filter_map(|hit| scores.get(&hit.passage));
    let lowest = found.copied().reduce(f32::min).unwrap_or(0.0);
    let below = lowest - lowest.abs().max(1.0) * BELOW;
    let mut missing = 0;
    let score = |hit: &Hit| {
        let score = scores.get(&hit.passage).copied();
        missing += u64::from(score.is_none());
        Hit { passage: hit.passage.clone(), score: score.unwrap_or(below) }
    };
    (candidates.iter().map(score).collect(), missing)
}

/// Returns the judgements of some queries.
pub fn qrels_of(collection: &Collection, queries: impl IntoIterator<Item = QueryId>) -> Qrels {
    let mut qrels = Qrels::default();
    for query in queries {
        let grades = collection.qrels.get(query.as_str()).into_iter().flatten();
        for (passage, grade) in grades.filter(|(of, _)| !collection.is_set_aside(&query, of)) {
            qrels.insert(query.clone(), passage.clone(), *grade);
        }
    }
    qrels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_that_a_retriever_does_not_rank_come_last_and_tie() {
        let hit = |(id, score): (&str, f32)| Hit { passage: id.into(), score };
        let scored = [("a", 0.5), ("x", 0.4), ("b", -3.0)].map(hit);
        let candidates = [("c", 9.0), ("b", 8.0), ("a", 7.0), ("d", 6.0)].map(hit);
        let (hits, missing) = over_candidates(&scored, &candidates);
        let below = -3.000_003;
        assert_eq!(hits, [("c", below), ("b", -3.0), ("a", 0.5), ("d", below)].map(hit));
        assert_eq!(missing, 2);
        assert_eq!(over_candidates(&[], &candidates[..1]), (vec![hit(("c", -BELOW))], 1));
    }
}
