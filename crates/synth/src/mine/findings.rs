use super::miner::Miner;
use super::top::{Scored, ranking_order};
use crate::error::{Error, Result};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use whetstone_records::{AtomicFile, Passage, PassageId, QueryId};

/// The tag of a passage that only the other miner found.
const UNION_TAG: &str = "union";

/// A passage with a miner's score, and its rank where the miner found it by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ranked {
    pub scored: Scored,
    /// From 1.
    pub rank: Option<u32>,
}

/// What all miners found for one query: for each miner the same passages, in its own order, with
/// its own scores.
pub type Findings = Vec<Vec<Ranked>>;

/// Returns the findings of a block of queries: every passage among the best `limit` of any miner,
/// scored by all.
pub fn find(miners: &[&dyn Miner], queries: Range<usize>, limit: usize) -> Vec<Findings> {
    let found: Vec<Vec<Vec<Scored>>> =
        miners.iter().map(|miner| miner.search(queries.clone(), limit)).collect();
    queries
        .clone()
        .into_par_iter()
        .map(|query| {
            let of_query: Vec<&[Scored]> =
                found.iter().map(|found| &found[query - queries.start][..]).collect();
            let union: BTreeSet<u32> =
                of_query.iter().copied().flatten().map(|hit| hit.passage).collect();
            miners
                .iter()
                .zip(of_query)
                .map(|(miner, own)| rank_union(*miner, query, own, &union))
                .collect()
        })
        .collect()
}

fn rank_union(
    miner: &dyn Miner,
    query: usize,
    own: &[Scored],
    union: &BTreeSet<u32>,
) -> Vec<Ranked> {
    let mine: BTreeSet<u32> = own.iter().map(|hit| hit.passage).collect();
    let mut others: Vec<Scored> = union
        .difference(&mine)
        .map(|passage| Scored { passage: *passage, score: miner.score(query, *passage) })
        .collect();
    others.sort_unstable_by(ranking_order);
    let own =
        own.iter().zip(1..).map(|(scored, rank)| Ranked { scored: *scored, rank: Some(rank) });
    own.chain(others.into_iter().map(|scored| Ranked { scored, rank: None })).collect()
}

/// Writes a miner's findings as a TREC run, query by query. The last column is the miner's name, or
/// `union` where only another miner found the passage.
pub struct FindingsWriter {
    file: AtomicFile,
    path: PathBuf,
    name: &'static str,
}

impl FindingsWriter {
    pub fn create(path: &Path, name: &'static str) -> Result<Self> {
        Ok(Self { file: AtomicFile::create(path)?, path: path.into(), name })
    }

    pub fn write(
        &mut self,
        query: &QueryId,
        ranking: &[Ranked],
        passages: &[Passage],
    ) -> Result<()> {
        for (Ranked { scored, rank }, place) in ranking.iter().zip(1..) {
            let passage = &passages[scored.passage as usize].id;
            let tag = if rank.is_some() { self.name } else { UNION_TAG };
            writeln!(self.file, "{query} Q0 {passage} {place} {} {tag}", scored.score)
                .map_err(Error::io("write", &self.path))?;
        }
        Ok(())
    }

    pub fn commit(self) -> Result<()> {
        Ok(self.file.commit()?)
    }
}

/// A line of a miner's findings, read back.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    pub passage: PassageId,
    pub score: f32,
    /// Whether the miner found the passage by itself.
    pub found: bool,
}

/// Reads the findings of some queries, each in the miner's order, in memory for those alone.
pub fn read_findings(
    path: &Path,
    wanted: &BTreeSet<&str>,
) -> Result<BTreeMap<QueryId, Vec<Finding>>> {
    let mut findings: BTreeMap<QueryId, Vec<Finding>> = BTreeMap::new();
    if wanted.is_empty() {
        return Ok(findings);
    }
    let file = std::fs::File::open(path).map_err(Error::io("read", path))?;
    for (index, line) in BufReader::with_capacity(1 << 16, file).lines().enumerate() {
        let line = line.map_err(Error::io("read", path))?;
        if !line.split_ascii_whitespace().next().is_some_and(|query| wanted.contains(query)) {
            continue;
        }
        let bad = |expected| {
            let (path, value) = (path.to_path_buf(), line.clone());
            Error::Records(whetstone_records::Error::Line {
                path,
                line: index + 1,
                expected,
                value,
            })
        };
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let [query, _, passage, _, score, tag] = fields[..] else {
            return Err(bad("`query Q0 passage rank score name`"));
        };
        let score: f32 = score.parse().map_err(|_| bad("a number as score"))?;
        if score.is_nan() {
            return Err(bad("a score that is not NaN"));
        }
        let finding = Finding { passage: passage.into(), score, found: tag != UNION_TAG };
        findings.entry(query.into()).or_default().push(finding);
    }
    for findings in findings.values_mut() {
        findings
            .sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| b.passage.cmp(&a.passage)));
    }
    Ok(findings)
}
