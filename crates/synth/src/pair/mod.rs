//! Makes the files of a trainer: training pairs, candidate lists for dev and test, qrels and the
//! first stage's runs. A check on the finished pairs refuses a document in two splits.

mod mask;
mod measured;
mod teacher;
mod train;
mod verify;

use crate::collection::Collection;
use crate::config::SynthConfig;
use crate::error::{Error, Result};
use crate::grade;
use crate::language;
use crate::mine::forget_stale_runs;
use crate::split::Split;
use mask::Masked;
use measured::{Measured, Mined, measure, qrels_of, sample_queries};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use train::{Group, is_positive, sample_groups, training_groups};
use whetstone_model::{Placement, Precision};
use whetstone_records::{
    DataSet, Input, Manifest, Negative, Outcome, Progress, Qrels, Query, QueryId, Stage,
    read_jsonl, write_jsonl,
};

/// How many questions that are not measured are named.
const NAMED: usize = 5;

/// What the files of every data set are called; each retriever has a run beside them.
const OUTPUTS: [&str; 7] = [
    DataSet::TRAIN,
    DataSet::DEV,
    DataSet::TEST,
    DataSet::TRAIN_QRELS,
    DataSet::DEV_QRELS,
    DataSet::TEST_QRELS,
    DataSet::CANDIDATES,
];

/// The inputs of `pair`.
pub struct PairJob<'a> {
    /// Folder of the data set.
    pub out: &'a Path,
    pub config: &'a SynthConfig,
    /// The folder of `teacher-model`.
    pub teacher: Option<&'a Path>,
    pub placement: Placement,
}

/// Writes the files for training and measuring. Refuses a data set that would put a document into
/// two splits.
pub fn pair(job: &PairJob, progress: &dyn Progress) -> Result<Manifest> {
    let PairJob { out, config, .. } = *job;
    config.check()?;
    let names: Vec<&str> = config.mine.names().collect();
    let runs = names.iter().flat_map(|name| [DataSet::run_name(name), DataSet::dev_run_name(name)]);
    let outputs: Vec<String> = OUTPUTS.map(str::to_owned).into_iter().chain(runs).collect();
    // The outputs count too: a version that writes one more pairs again.
    let settings = (&config.pair, &config.split, config.seed, &names, &outputs);
    let precision = teacher::precision(job);
    let stage = Stage::new("pair", out, &settings, inputs(job)?).with_setting(&precision);
    if let Some(manifest) = stage.begin()? {
        return Ok(manifest);
    }
    let collection = Collection::read(out, &config.split, config.seed)?;
    let train = Train::build(&collection, job, progress)?;
    progress.start("pair", None, "queries");
    let pairs = Pairs::build(&collection, train, out, config)?;
    pairs.write(out)?;
    let mut notes = pairs.notes();
    notes.extend(unmeasured(&collection));
    notes.iter().for_each(|note| progress.warn(note));
    if precision != Precision::F32 {
        notes.push(format!("the teacher scored on device {}", job.placement));
    }
    progress.advance(collection.queries.len() as u64);
    progress.finish();
    forget_stale_runs(out, "pair", &outputs)?;
    let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
    let counts = pairs.counts(&collection);
    Ok(stage.finish(&outputs, Outcome { counts, notes, ..Outcome::default() })?)
}

/// Names the human questions whose answers are for training in one document and for measuring in
/// another.
fn unmeasured(collection: &Collection) -> Option<String> {
    let questions = collection.unmeasured_questions();
    let named: Vec<String> =
        questions.iter().take(NAMED).map(|question| format!("`{question}`")).collect();
    let more = if questions.len() > NAMED { ", …" } else { "" };
    (!questions.is_empty()).then(|| {
        format!(
            "{} questions of people are not measured, as their answers stand in documents of several splits: {}{more}",
            questions.len(),
            named.join(", ")
        )
    })
}

/// Digests everything that the stage reads.
fn inputs(job: &PairJob) -> Result<Vec<Input>> {
    let data = DataSet::new(job.out);
    let digest = |file: &str| Ok(Input::of_file(file, &data.path(file))?);
    let before_mined = [DataSet::CORPUS, DataSet::QUERIES, DataSet::ALL_QRELS];
    let mut inputs = before_mined.map(digest).into_iter().collect::<Result<Vec<_>>>()?;
    let mut mined = vec![DataSet::NEGATIVES.to_owned()];
    mined.extend(job.config.mine.names().map(DataSet::mined_run_name));
    for file in mined {
        let path = data.path(&file);
        if !path.exists() {
            return Err(Error::NotMined { path });
        }
        inputs.push(digest(&file)?);
    }
    if data.grades().exists() {
        inputs.push(digest(DataSet::GRADES)?);
    }
    inputs.extend(teacher::inputs(job)?);
    Ok(inputs)
}

/// Whether the data set has questions of people for the test and no query of any other kind.
fn only_measures(collection: &Collection, test: &[usize]) -> bool {
    let measures = |query: &Query| query.metadata.is_for_test();
    !test.is_empty() && collection.queries.iter().all(measures)
}

/// The training pairs.
struct Train {
    groups: Vec<Group>,
    masked: Masked,
}

impl Train {
    fn build(collection: &Collection, job: &PairJob, progress: &dyn Progress) -> Result<Self> {
        let (data, config) = (DataSet::new(job.out), job.config);
        let negatives: Vec<Negative> = read_jsonl(&data.negatives())?;
        let groups = training_groups(collection, negatives, &grade::read(job.out)?)?;
        let mut groups = sample_groups(groups, config.pair.max_pairs, config.seed);
        // The teacher reads what is masked afterwards: what it says is right of the whole passage.
        teacher::teach(&mut groups, job, progress)?;
        let language =
            language::of_passages(language::stated(config.language, &data)?, &collection.passages);
        let masked = mask::mask(&mut groups, collection, &config.pair, language, config.seed);
        Ok(Self { groups, masked })
    }
}

/// Everything that the stage writes.
struct Pairs {
    train: Vec<Group>,
    masked: Masked,
    dev: Measured,
    test: Measured,
    /// Of train, dev and test.
    qrels: [Qrels; 3],
    /// The names of the retrievers.
    names: Vec<String>,
}

impl Pairs {
    fn build(
        collection: &Collection,
        Train { groups: train, masked }: Train,
        out: &Path,
        config: &SynthConfig,
    ) -> Result<Self> {
        let (pair, seed) = (&config.pair, config.seed);
        let dev = sample_queries(collection, Split::Dev, pair.max_dev_queries, seed);
        let test = sample_queries(collection, Split::Test, pair.max_test_queries, seed);
        let ids = |queries: &[usize]| {
            queries.iter().map(|query| collection.queries[*query].id.clone()).collect()
        };
        let (dev_ids, test_ids): (Vec<QueryId>, Vec<QueryId>) = (ids(&dev), ids(&test));
        let wanted: BTreeSet<&str> = dev_ids.iter().chain(&test_ids).map(QueryId::as_str).collect();
        let mined = Mined::read(out, config, &wanted)?;
        let qrels = [
            qrels_of(collection, train.iter().map(|group| group[0].query_id.clone())),
            qrels_of(collection, dev_ids),
            qrels_of(collection, test_ids),
        ];
        verify::verify(collection, &train, &qrels[1], &qrels[2])?;
        if train.is_empty() && !only_measures(collection, &test) {
            let queries = collection.queries_of(Split::Train).len();
            let documents =
                collection.document_split.iter().filter(|split| **split == Split::Train).count();
            return Err(Error::NothingToTrain { queries, documents });
        }
        Ok(Self {
            train,
            masked,
            dev: measure(collection, &dev, &mined, pair.depth)?,
            test: measure(collection, &test, &mined, pair.depth)?,
            qrels,
            names: mined.names().map(str::to_owned).collect(),
        })
    }

    fn write(&self, out: &Path) -> Result<()> {
        let data = DataSet::new(out);
        write_jsonl(&data.train(), self.train.iter().flatten())?;
        write_jsonl(&data.dev(), &self.dev.pairs)?;
        write_jsonl(&data.test(), &self.test.pairs)?;
        for (split, qrels) in Split::ALL.iter().zip(&self.qrels) {
            qrels.write_beir(&data.path(split.qrels()))?;
        }
        self.test.candidates.write(&data.candidates(), "rrf")?;
        for (name, run) in self.names.iter().zip(&self.test.runs) {
            run.write(&data.path(DataSet::run_name(name)), name)?;
        }
        for (name, run) in self.names.iter().zip(&self.dev.runs) {
            run.write(&data.path(DataSet::dev_run_name(name)), name)?;
        }
        Ok(())
    }

    fn measured(&self) -> [(&'static str, &Measured); 2] {
        [("dev", &self.dev), ("test", &self.test)]
    }

    fn counts(&self, collection: &Collection) -> BTreeMap<String, u64> {
        let mut counts = collection.counts.clone();
        let train = self.train.iter().flatten();
        let positives = train.clone().filter(|pair| is_positive(pair)).count();
        counts.insert("train-pairs".into(), train.count() as u64);
        counts.insert("train-positives".into(), positives as u64);
        counts.insert("train-queries-used".into(), self.train.len() as u64);
        let Masked { words, sentences } = self.masked;
        for (name, count) in [("masked", words), ("cut", sentences)] {
            if count > 0 {
                counts.insert(format!("train-queries-{name}"), count);
            }
        }
        for (split, measured) in self.measured() {
            counts.insert(format!("{split}-pairs"), measured.pairs.len() as u64);
            counts.insert(format!("{split}-queries-used"), measured.candidates.len() as u64);
            counts.insert(format!("{split}-positives"), measured.positives);
            counts.insert(format!("{split}-positives-in-candidates"), measured.positives_found);
            for (name, unranked) in self.names.iter().zip(&measured.unranked) {
                if *unranked > 0 {
                    counts.insert(format!("{split}-candidates-not-ranked-by-{name}"), *unranked);
                }
            }
        }
        counts
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.train.is_empty() {
            notes.push("no queries to train on: this data set only measures".to_owned());
        } else if self.dev.candidates.is_empty() {
            notes.push("no dev queries: training cannot choose its best checkpoint".to_owned());
        }
        if self.test.candidates.is_empty() {
            notes.push("no test queries: there is nothing to measure the result on".to_owned());
        }
        for (name, unranked) in self.names.iter().zip(&self.test.unranked) {
            if *unranked > 0 {
                let (run, all) = (DataSet::run_name(name), self.test.pairs.len());
                notes.push(format!(
                    "`{name}` does not rank {unranked} of {all} test candidates: \
                     in {run} they come last"
                ));
            }
        }
        notes
    }
}

#[cfg(test)]
mod tests;
