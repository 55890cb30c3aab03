//! The findings of the retrievers, written as runs and read back for `pair`.

use super::miner::Miner;
use crate::error::{Error, Result};
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use whetstone_records::{AtomicFile, Hit, Passage, QueryId, Run, RunLine};
use whetstone_retrieve::{Scored, ranking_order};

/// The tag of a passage that only other retrievers found.
const UNION_TAG: &str = "union";

/// A passage with a retriever's score, and its rank if the retriever itself found it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ranked {
    pub scored: Scored,
    /// From 1.
    pub rank: Option<u32>,
}

/// The findings of all retrievers for one query. Each retriever scores, in its own order, the
/// passages that any of them found, as far as it can.
pub type Findings = Vec<Vec<Ranked>>;

/// Returns the findings of a block of queries.
pub fn find(miners: &[Miner], queries: Range<usize>) -> Vec<Findings> {
    let search = |miner: &Miner| miner.search(queries.clone());
    let found: Vec<Vec<Vec<Scored>>> = miners.iter().map(search).collect();
    queries
        .clone()
        .into_par_iter()
        .map(|query| {
            let of_query: Vec<&[Scored]> =
                found.iter().map(|found| &found[query - queries.start][..]).collect();
            let union: BTreeSet<u32> =
                of_query.iter().copied().flatten().map(|hit| hit.passage).collect();
            let own_and_union =
                |(miner, own): (&Miner, &[Scored])| rank_union(miner, query, own, &union);
            miners.iter().zip(of_query).map(own_and_union).collect()
        })
        .collect()
}

fn rank_union(miner: &Miner, query: usize, own: &[Scored], union: &BTreeSet<u32>) -> Vec<Ranked> {
    let found: BTreeSet<u32> = own.iter().map(|hit| hit.passage).collect();
    let score = |passage: &u32| {
        let score = miner.score(query, *passage)?;
        Some(Scored { passage: *passage, score })
    };
    let mut others: Vec<Scored> = union.difference(&found).filter_map(score).collect();
    others.sort_unstable_by(ranking_order);
    let own =
        own.iter().zip(1..).map(|(scored, rank)| Ranked { scored: *scored, rank: Some(rank) });
    own.chain(others.into_iter().map(|scored| Ranked { scored, rank: None })).collect()
}

/// Writes a retriever's findings as a TREC run, query by query. The last column is the retriever's
/// name, or `union` if only another one found the passage.
pub struct FindingsWriter {
    file: AtomicFile,
    path: PathBuf,
    name: String,
}

impl FindingsWriter {
    pub fn create(path: &Path, name: &str) -> Result<Self> {
        Ok(Self { file: AtomicFile::create(path)?, path: path.into(), name: name.into() })
    }

    pub fn write(
        &mut self,
        query: &QueryId,
        ranking: &[Ranked],
        passages: &[Passage],
    ) -> Result<()> {
        for (Ranked { scored, rank }, place) in ranking.iter().zip(1..) {
            let passage = &passages[scored.passage as usize].id;
            let tag = if rank.is_some() { self.name.as_str() } else { UNION_TAG };
            writeln!(self.file, "{query} Q0 {passage} {place} {} {tag}", scored.score)
                .map_err(Error::io("write", &self.path))?;
        }
        Ok(())
    }

    pub fn commit(self) -> Result<()> {
        Ok(self.file.commit()?)
    }
}

/// A retriever's findings, read back.
#[derive(Debug, Default)]
pub struct Found {
    /// The passages that the retriever itself found.
    pub own: Run,
    /// Those, and others that it scored because another retriever found them.
    pub scored: Run,
}

impl Found {
    /// Reads the findings of some queries. Memory holds only those.
    pub fn read(path: &Path, wanted: &BTreeSet<&str>) -> Result<Self> {
        if wanted.is_empty() {
            return Ok(Self::default());
        }
        let (mut own, mut scored) = (Vec::new(), Vec::new());
        RunLine::each(path, |line| {
            if let Some(query) = wanted.get(line.query) {
                let hit = Hit { passage: line.passage.into(), score: line.score };
                if line.name != UNION_TAG {
                    own.push((QueryId::from(*query), hit.clone()));
                }
                scored.push((QueryId::from(*query), hit));
            }
            Ok::<(), Error>(())
        })?;
        Ok(Self { own: own.into_iter().collect(), scored: scored.into_iter().collect() })
    }
}
