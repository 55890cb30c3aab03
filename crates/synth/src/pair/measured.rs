use super::fusion::fuse;
use crate::collection::Collection;
use crate::error::{Error, Result};
use crate::mine::Finding;
use crate::split::Split;
use rand::seq::SliceRandom;
use std::collections::{BTreeMap, BTreeSet};
use whetstone_records::{Hit, Pair, PassageId, Provenance, Qrels, QueryId, Run};

/// What both miners found for the queries that are measured.
pub struct Mined {
    pub bm25: BTreeMap<QueryId, Vec<Finding>>,
    pub dense: BTreeMap<QueryId, Vec<Finding>>,
}

/// The candidates of a held-out split, and what the miners alone make of them.
pub struct Measured {
    pub pairs: Vec<Pair>,
    pub candidates: Run,
    pub bm25: Run,
    pub dense: Run,
    pub positives: u64,
    /// Positives that are among the candidates: no reranker can rank the others.
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

/// Returns the candidate list of every query with labels, best first: only what was really
/// retrieved.
pub fn measure(
    collection: &Collection,
    queries: &[usize],
    mined: &Mined,
    k: f64,
    depth: usize,
) -> Result<Measured> {
    let max_grade = collection.max_grade(queries);
    let mut measured = Measured {
        pairs: Vec::new(),
        candidates: Run::default(),
        bm25: Run::default(),
        dense: Run::default(),
        positives: 0,
        positives_found: 0,
    };
    for query in queries {
        let id = &collection.queries[*query].id;
        let missing = || Error::FindingsMissing { query: id.clone() };
        let bm25 = mined.bm25.get(id).ok_or_else(missing)?;
        let dense = mined.dense.get(id).ok_or_else(missing)?;
        let hits = fuse(&[bm25, dense], k, depth);
        let grades: BTreeMap<u32, i32> = collection.positives[*query].iter().copied().collect();
        measured.positives += grades.len() as u64;
        for (hit, rank) in hits.iter().zip(1..) {
            let passage = collection.passage(&hit.passage).ok_or_else(missing)?;
            let grade = grades.get(&passage).copied().unwrap_or(0);
            measured.positives_found += u64::from(grade > 0);
            let provenance =
                Provenance { miner: "rrf".into(), rank: Some(rank), score: Some(hit.score) };
            measured.pairs.push(collection.pair(
                *query,
                passage,
                grade as f32 / max_grade,
                provenance,
            ));
        }
        let kept: BTreeSet<&PassageId> = hits.iter().map(|hit| &hit.passage).collect();
        measured.bm25.insert(id.clone(), scores_of(bm25, &kept));
        measured.dense.insert(id.clone(), scores_of(dense, &kept));
        measured.candidates.insert(id.clone(), hits);
    }
    Ok(measured)
}

fn scores_of(findings: &[Finding], kept: &BTreeSet<&PassageId>) -> Vec<Hit> {
    let kept = findings.iter().filter(|finding| kept.contains(&finding.passage));
    kept.map(|finding| Hit { passage: finding.passage.clone(), score: finding.score }).collect()
}

/// Returns the judgements of some queries.
pub fn qrels_of(collection: &Collection, queries: impl IntoIterator<Item = QueryId>) -> Qrels {
    let mut qrels = Qrels::default();
    for query in queries {
        for (passage, grade) in collection.qrels.get(query.as_str()).into_iter().flatten() {
            qrels.insert(query.clone(), passage.clone(), *grade);
        }
    }
    qrels
}
