//! Gathers several BEIR folders into one data set, for a model that has seen questions of many
//! kinds. Their names go before all ids. Queries stay with the passages of their own folder.

mod folder;
#[cfg(test)]
mod tests;

use crate::config::{ChunkConfig, SynthConfig};
use crate::error::{Error, Result};
use folder::{Folder, Gathered};
use std::collections::BTreeMap;
use std::path::Path;
use whetstone_records::{
    DataSet, GivenSplit, Manifest, Outcome, Passage, Progress, Qrels, Query, Stage, write_jsonl,
};

const OUTPUTS: [&str; 3] = [DataSet::CORPUS, DataSet::QUERIES, DataSet::ALL_QRELS];

/// Writes `OUT/corpus.jsonl`, `OUT/queries.jsonl` and `OUT/qrels/all.tsv` from the folders of
/// `[gather]`, for `mine` and `pair`.
///
/// # Errors
/// Folders that are no BEIR folders or share a name, and damaged records.
pub fn gather(out: &Path, config: &SynthConfig, progress: &dyn Progress) -> Result<Manifest> {
    config.gather.check()?;
    let folders = Folder::all(&config.gather.folders, out)?;
    let inputs = folders.iter().map(Folder::inputs).collect::<Result<Vec<_>>>()?;
    let names: Vec<&str> = folders.iter().map(Folder::name).collect();
    let settings = (&names, &config.gather.train_on, config.gather.max_queries, config.seed);
    // Nothing is cut here. A limit that the config states is kept for training.
    let stated = config.chunk.max_seq_tokens;
    let max_seq_tokens = (stated != ChunkConfig::default().max_seq_tokens).then_some(stated);
    let settings = (settings, max_seq_tokens);
    let stage = Stage::new("gather", out, &settings, inputs.into_iter().flatten());
    if let Some(manifest) = stage.begin()? {
        return Ok(manifest);
    }
    progress.start("gather", Some(folders.len() as u64), "folders");
    let mut all = All::default();
    for folder in &folders {
        all.add(folder, folder.read(&config.gather, config.seed)?);
        progress.advance(1);
    }
    progress.finish();
    if all.queries.is_empty() {
        return Err(Error::NothingGathered);
    }
    all.notes.iter().for_each(|note| progress.warn(note));
    let data = DataSet::new(out);
    write_jsonl(&data.corpus(), &all.passages)?;
    write_jsonl(&data.queries(), &all.queries)?;
    all.qrels.write_beir(&data.all_qrels())?;
    let All { counts, notes, .. } = all;
    Ok(stage.finish(&OUTPUTS, Outcome { counts, notes, max_seq_tokens, ..Outcome::default() })?)
}

/// The records of all folders.
#[derive(Default)]
struct All {
    passages: Vec<Passage>,
    queries: Vec<Query>,
    qrels: Qrels,
    counts: BTreeMap<String, u64>,
    notes: Vec<String>,
}

impl All {
    fn add(&mut self, folder: &Folder, gathered: Gathered) {
        let trains = |query: &Query| match query.metadata.given_split {
            Some(split) => split == GivenSplit::Train,
            None => !query.metadata.is_for_test(),
        };
        let train = gathered.queries.iter().filter(|query| trains(query)).count();
        if train == 0 {
            let (name, files) = (folder.name(), folder.qrels_names());
            self.notes.push(format!(
                "`{name}` has no queries to train on: its judgements are {files} (`train-on` in \
                 [gather])"
            ));
        }
        let counts = [
            ("passages", gathered.passages.len()),
            ("passages-without-text", gathered.without_text),
            ("queries", gathered.queries.len()),
            ("queries-to-train-on", train),
            ("queries-without-answer", gathered.without_answer),
            ("judgements-of-unknown-ids", gathered.unknown),
        ];
        for (name, count) in counts {
            *self.counts.entry(name.into()).or_default() += count as u64;
        }
        self.passages.extend(gathered.passages);
        self.queries.extend(gathered.queries);
        for (query, grades) in gathered.qrels.iter() {
            for (passage, grade) in grades {
                self.qrels.insert(query.clone(), passage.clone(), *grade);
            }
        }
    }
}
