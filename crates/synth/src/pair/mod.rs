//! Puts together what a trainer reads: training pairs, candidate lists for dev and test, qrels and
//! the first stage's runs. No document is in two splits, which is checked on the finished pairs.

mod fusion;
mod measured;
mod teacher;
mod train;
mod verify;

use crate::collection::Collection;
use crate::config::{PairConfig, SplitConfig, Teacher};
use crate::error::{Error, Result};
use crate::grade::{self, GRADES};
use crate::mine::{PAIR_SCORES, read_findings};
use crate::split::Split;
use measured::{Measured, Mined, measure, qrels_of, sample_queries};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use train::{Group, is_positive, sample_groups, training_groups};
use whetstone_records::{
    Manifest, Negative, Outcome, Progress, Qrels, QueryId, Stage, read_jsonl, sha256_file,
    write_jsonl,
};

const BEFORE_MINED: [&str; 3] = ["corpus.jsonl", "queries.jsonl", "qrels/all.tsv"];
const MINED: [&str; 3] = ["negatives.jsonl", "mined/bm25.run", "mined/dense.run"];

const OUTPUTS: [&str; 9] = [
    "train.jsonl",
    "dev.jsonl",
    "test.jsonl",
    "qrels/train.tsv",
    "qrels/dev.tsv",
    "qrels/test.tsv",
    "candidates.run",
    "runs/bm25.run",
    "runs/dense.run",
];

/// Writes the files for training and measuring; refuses a data set in which a document would be in
/// two splits.
pub fn pair(
    out: &Path,
    config: &PairConfig,
    split: &SplitConfig,
    seed: u64,
    progress: &dyn Progress,
) -> Result<Manifest> {
    config.check()?;
    split.check()?;
    let digest = |file: &str| {
        let path = out.join(file);
        if (MINED.contains(&file) || file == PAIR_SCORES) && !path.exists() {
            return Err(Error::NotMined { path });
        }
        Ok((file.to_owned(), sha256_file(&path)?))
    };
    let mut inputs =
        BEFORE_MINED.into_iter().chain(MINED).map(digest).collect::<Result<Vec<_>>>()?;
    if out.join(GRADES).exists() {
        inputs.push(digest(GRADES)?);
    }
    if config.teacher == Teacher::BiEncoder {
        inputs.push(digest(PAIR_SCORES)?);
    }
    let stage = Stage::new("pair", out, &(config, split, seed), inputs);
    if let Some(manifest) = stage.up_to_date() {
        return Ok(manifest);
    }
    progress.start("pair", None, "queries");
    let collection = Collection::read(out, split, seed)?;
    let data_set = DataSet::build(&collection, out, config, seed)?;
    data_set.write(out)?;
    let notes = data_set.notes();
    notes.iter().for_each(|note| progress.warn(note));
    progress.advance(collection.queries.len() as u64);
    progress.finish();
    Ok(stage.finish(
        &OUTPUTS,
        Outcome { counts: data_set.counts(&collection), notes, ..Outcome::default() },
    )?)
}

/// Everything that the stage writes.
struct DataSet {
    train: Vec<Group>,
    dev: Measured,
    test: Measured,
    /// Of train, dev and test.
    qrels: [Qrels; 3],
}

impl DataSet {
    fn build(collection: &Collection, out: &Path, config: &PairConfig, seed: u64) -> Result<Self> {
        let negatives: Vec<Negative> = read_jsonl(&out.join("negatives.jsonl"))?;
        let groups = training_groups(collection, negatives, &grade::read(out)?)?;
        let mut train = sample_groups(groups, config.max_pairs, seed);
        if config.teacher == Teacher::BiEncoder {
            teacher::teach(&mut train, &out.join(PAIR_SCORES), config)?;
        }
        let dev = sample_queries(collection, Split::Dev, config.max_dev_queries, seed);
        let test = sample_queries(collection, Split::Test, config.max_test_queries, seed);
        let ids = |queries: &[usize]| {
            queries.iter().map(|query| collection.queries[*query].id.clone()).collect()
        };
        let (dev_ids, test_ids): (Vec<QueryId>, Vec<QueryId>) = (ids(&dev), ids(&test));
        let wanted: BTreeSet<&str> = dev_ids.iter().chain(&test_ids).map(QueryId::as_str).collect();
        let mined = Mined {
            bm25: read_findings(&out.join("mined/bm25.run"), &wanted)?,
            dense: read_findings(&out.join("mined/dense.run"), &wanted)?,
        };
        let qrels = [
            qrels_of(collection, train.iter().map(|group| group[0].query_id.clone())),
            qrels_of(collection, dev_ids),
            qrels_of(collection, test_ids),
        ];
        verify::verify(collection, &train, &qrels[1], &qrels[2])?;
        if train.is_empty() {
            let queries = collection.queries_of(Split::Train).len();
            let documents =
                collection.document_split.iter().filter(|split| **split == Split::Train).count();
            return Err(Error::NothingToTrain { queries, documents });
        }
        let measure =
            |queries: &[usize]| measure(collection, queries, &mined, config.rrf_k, config.depth);
        Ok(Self { train, dev: measure(&dev)?, test: measure(&test)?, qrels })
    }

    fn write(&self, out: &Path) -> Result<()> {
        write_jsonl(&out.join("train.jsonl"), self.train.iter().flatten())?;
        write_jsonl(&out.join("dev.jsonl"), &self.dev.pairs)?;
        write_jsonl(&out.join("test.jsonl"), &self.test.pairs)?;
        for (split, qrels) in Split::ALL.iter().zip(&self.qrels) {
            qrels.write_beir(&out.join(format!("qrels/{}.tsv", split.name())))?;
        }
        self.test.candidates.write(&out.join("candidates.run"), "rrf")?;
        self.test.bm25.write(&out.join("runs/bm25.run"), "bm25")?;
        Ok(self.test.dense.write(&out.join("runs/dense.run"), "dense")?)
    }

    fn counts(&self, collection: &Collection) -> BTreeMap<String, u64> {
        let mut counts = collection.counts.clone();
        let train = self.train.iter().flatten();
        let positives = train.clone().filter(|pair| is_positive(pair)).count();
        counts.insert("train-pairs".into(), train.count() as u64);
        counts.insert("train-positives".into(), positives as u64);
        counts.insert("train-queries-used".into(), self.train.len() as u64);
        for (name, measured) in [("dev", &self.dev), ("test", &self.test)] {
            counts.insert(format!("{name}-pairs"), measured.pairs.len() as u64);
            counts.insert(format!("{name}-queries-used"), measured.candidates.len() as u64);
            counts.insert(format!("{name}-positives"), measured.positives);
            counts.insert(format!("{name}-positives-in-candidates"), measured.positives_found);
        }
        counts
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.dev.candidates.is_empty() {
            notes.push("no dev queries: training cannot choose its best checkpoint".to_owned());
        }
        if self.test.candidates.is_empty() {
            notes.push("no test queries: there is nothing to measure the result on".to_owned());
        }
        notes
    }
}

#[cfg(test)]
mod tests;
