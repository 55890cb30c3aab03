//! Finds passages that look like an answer but are not. The retrievers of `[[mine.from]]` rank the
//! whole corpus for every query. What the guards leave of their lists becomes the negatives.

mod files;
mod findings;
mod guard;
mod miner;
mod negatives;

pub(crate) use files::forget_stale_runs;
pub(crate) use findings::Found;

use crate::collection::{Collection, Part};
use crate::config::{MineConfig, Source, SynthConfig};
use crate::error::{Error, Result};
use crate::language;
use crate::split::Split;
use files::MinedFiles;
use findings::{Findings, find};
use guard::Guard;
use miner::Miner;
use negatives::{Chooser, Counts};
use rayon::prelude::*;
use std::ops::Range;
use std::path::{Path, PathBuf};
use whetstone_model::{BiEncoder, Engine, Placement, Precision};
use whetstone_records::{
    DataSet, Input, Manifest, Negative, Outcome, Progress, Stage, digests, sha256_bytes,
};
use whetstone_retrieve::{EmbeddingCache, Material, TextKind};

/// Queries whose findings are in memory at a time.
const QUERY_BLOCK: usize = 1024;

const INPUTS: [&str; 3] = [DataSet::CORPUS, DataSet::QUERIES, DataSet::ALL_QRELS];

/// The prefix of the roles of a model's files.
const MODEL_ROLE: &str = "model/";

/// The inputs of `mine`.
pub struct MineJob<'a> {
    /// Folder of the data set.
    pub out: &'a Path,
    pub config: &'a SynthConfig,
    /// The bi-encoder, for retrievers that need it.
    pub model: &'a Path,
    pub placement: Placement,
}

impl MineJob<'_> {
    fn needs_model(&self) -> bool {
        self.config.mine.from.iter().any(|from| from.retriever.settings().needs_model())
    }

    /// The precision of the models' vectors; f32 where no retriever has a model.
    fn precision(&self) -> Precision {
        let has_own = |from: &Source| from.retriever.clone().settings_mut().own_model().is_some();
        let embeds = self.needs_model() || self.config.mine.from.iter().any(has_own);
        if embeds { self.placement.precision } else { Precision::F32 }
    }

    fn inputs(&self) -> Result<Vec<Input>> {
        let data = DataSet::new(self.out);
        let files = INPUTS.map(|file| (file, data.path(file)));
        let mut inputs = digests(files.iter().map(|(role, path)| (*role, path.as_path())))?;
        for from in &self.config.mine.from {
            inputs.extend(from.retriever.settings().inputs()?);
        }
        if self.needs_model() {
            inputs.extend(model_inputs(self.model)?);
        }
        Ok(inputs)
    }
}

/// Returns row-major `[texts, hidden]`, each text after the prompt for its kind.
pub(crate) fn embed(
    encoder: &BiEncoder,
    kind: TextKind,
    texts: &[&str],
    progress: &dyn Progress,
) -> whetstone_retrieve::Result<Vec<f32>> {
    Ok(match kind {
        TextKind::Passage => encoder.encode(texts, progress)?,
        TextKind::Query => encoder.encode_queries(texts, progress)?,
    })
}

/// Returns the digests of a model's files by role.
pub(crate) fn model_inputs(model: &Path) -> Result<Vec<Input>> {
    let digest = |file: &str| Ok(Input::of_file(format!("{MODEL_ROLE}{file}"), &model.join(file))?);
    BiEncoder::files(model)?.iter().map(|file| digest(file)).collect()
}

/// Returns, of the inputs of a stage, those that the embeddings of a model depend on.
pub(crate) fn model_digest(inputs: &[Input]) -> String {
    let of_model = inputs.iter().filter(|input| input.role.starts_with(MODEL_ROLE));
    of_model.map(|input| input.digest.as_str()).collect()
}

/// Ranks the corpus for every query by every retriever (`mined/NAME.run`) and chooses the negatives
/// of training queries (`negatives.jsonl`). The retrievers' scores of positives and negatives go to
/// `mined/pairs`. A query only meets passages of its own collection. Embeddings are kept in
/// `mined/embeddings`, so that a stopped run need not make them again.
pub fn mine(job: &MineJob, progress: &dyn Progress) -> Result<Manifest> {
    let MineJob { out, config, model, placement } = *job;
    config.mine.check()?;
    config.split.check()?;
    let outputs = files::outputs(&config.mine);
    // The outputs count too: a version that writes one more mines again.
    let language = language::stated(config.language, &DataSet::new(out))?;
    let settings = (&config.mine, &config.split, config.seed, &outputs, language);
    let inputs = job.inputs()?;
    let model_digest = model_digest(&inputs);
    let stage = Stage::new("mine", out, &settings, inputs).with_setting(&job.precision());
    if let Some(manifest) = stage.begin()? {
        return Ok(manifest);
    }
    let collection = Collection::read(out, &config.split, config.seed)?;
    let mut outcome = if job.needs_model() {
        let engine = Engine::placed(placement)?;
        let encoder = BiEncoder::load(model, &engine)?;
        let cache = EmbeddingCache {
            folder: DataSet::new(out).embeddings(),
            model: model_digest + &engine.mark(),
            hidden: encoder.hidden(),
            encode: &|kind, texts| embed(&encoder, kind, texts, progress),
            progress,
        };
        mine_collection(&collection, job, Some(&cache), progress)?
    } else {
        mine_collection(&collection, job, None, progress)?
    };
    if job.precision() != Precision::F32 {
        outcome.notes.push(format!("embedded on device {placement}"));
    }
    forget_stale_runs(out, "mine", &outputs)?;
    let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
    Ok(stage.finish(&outputs, outcome)?)
}

/// The stage without the model: `embeddings` supplies the vectors.
fn mine_collection(
    collection: &Collection,
    job: &MineJob,
    embeddings: Option<&EmbeddingCache>,
    progress: &dyn Progress,
) -> Result<Outcome> {
    refuse_run_over_parts(collection, &job.config.mine)?;
    let stated = language::stated(job.config.language, &DataSet::new(job.out))?;
    let guard = Guard::new(collection, job.config.mine.same_document);
    let mut files = MinedFiles::create(job.out, &job.config.mine)?;
    let mut counts = collection.counts.clone();
    for part in &collection.parts {
        let embeddings = embeddings.map(|cache| of_part(cache, part));
        let (passages, queries) = part.slices(collection);
        let mut material = Material::new(passages, queries, embeddings.as_ref());
        material.language = language::of_passages(stated, passages);
        material.placement = job.placement;
        material.kept = Some(folder_of_part(DataSet::new(job.out).embeddings(), part));
        material.progress = progress;
        let miners = Miner::build_all(&job.config.mine, &material, part)?;
        drop(material);
        let chooser = Chooser {
            collection,
            guard: &guard,
            miners: &miners,
            config: &job.config.mine,
            seed: job.config.seed,
            trainable: &trainable(collection, part),
        };
        progress.start("mine", Some(part.queries.len() as u64), "queries");
        write_mined(&chooser, part, &mut files, &mut counts, progress)?;
        progress.finish();
    }
    files.commit()?;
    let notes = notes(&job.config.mine, &counts, collection.queries.len());
    notes.iter().for_each(|note| progress.warn(note));
    Ok(Outcome { counts, notes, ..Outcome::default() })
}

/// A run ranks the passages of all collections, and which of them belong together it cannot say.
fn refuse_run_over_parts(collection: &Collection, config: &MineConfig) -> Result<()> {
    let is_run = |from: &&Source| from.retriever.settings().reads_run();
    match config.from.iter().find(is_run) {
        Some(from) if collection.parts.len() > 1 => {
            Err(Error::RunOverCollections { retriever: from.name().into() })
        }
        _ => Ok(()),
    }
}

/// A folder of its own for each collection, so that another one that comes or goes moves none.
fn folder_of_part(folder: PathBuf, part: &Part) -> PathBuf {
    match &part.name {
        // A name from a file is no name for a folder.
        Some(name) => folder.join(&sha256_bytes(name.as_bytes())[..16]),
        None => folder,
    }
}

fn of_part<'a>(cache: &EmbeddingCache<'a>, part: &Part) -> EmbeddingCache<'a> {
    let folder = folder_of_part(cache.folder.clone(), part);
    let EmbeddingCache { hidden, encode, progress, .. } = *cache;
    EmbeddingCache { folder, model: cache.model.clone(), hidden, encode, progress }
}

/// The passages that may be random negatives.
fn trainable(collection: &Collection, part: &Part) -> Vec<u32> {
    let has_text =
        |passage: &u32| !collection.passages[*passage as usize].full_text().trim().is_empty();
    let trainable = part.passages.clone().filter(|passage| collection.is_trainable(*passage));
    trainable.filter(has_text).collect()
}

/// Goes through the queries of a part block by block and writes the files. Memory holds one block.
fn write_mined(
    chooser: &Chooser,
    part: &Part,
    files: &mut MinedFiles,
    counts: &mut Counts,
    progress: &dyn Progress,
) -> Result<()> {
    let Chooser { collection, miners, .. } = chooser;
    for start in part.queries.clone().step_by(QUERY_BLOCK) {
        let queries = start..(start + QUERY_BLOCK).min(part.queries.end);
        let findings = find(miners, queries.clone());
        for (query, findings) in queries.clone().zip(&findings) {
            files.write_findings(collection, query, findings)?;
            count_nothing_found(miners, findings, counts);
        }
        for (query, negatives) in choose_block(chooser, queries.clone(), &findings, counts) {
            files.write_negatives(chooser, query, &negatives)?;
        }
        progress.advance(queries.len() as u64);
    }
    Ok(())
}

fn nothing_found(name: &str) -> String {
    format!("{name}-queries-without-passages")
}

fn count_nothing_found(miners: &[Miner], findings: &Findings, counts: &mut Counts) {
    for (miner, list) in miners.iter().zip(findings) {
        if list.iter().all(|ranked| ranked.rank.is_none()) {
            *counts.entry(nothing_found(miner.name())).or_default() += 1;
        }
    }
}

fn notes(config: &MineConfig, counts: &Counts, queries: usize) -> Vec<String> {
    let note = |name: &str| {
        let without = counts.get(&nothing_found(name))?;
        Some(format!("`{name}` found nothing for {without} of {queries} queries"))
    };
    config.names().filter_map(note).collect()
}

/// The negatives of each training query of a block.
fn choose_block(
    chooser: &Chooser,
    queries: Range<usize>,
    findings: &[Findings],
    counts: &mut Counts,
) -> Vec<(usize, Vec<Negative>)> {
    let of_query = |(query, findings): (usize, &Findings)| {
        let mut counts = Counts::new();
        let is_train = chooser.collection.query_split[query] == Some(Split::Train);
        is_train.then(|| (query, chooser.choose(query, findings, &mut counts), counts))
    };
    let chosen: Vec<_> = queries.into_par_iter().zip(findings).filter_map(of_query).collect();
    let of_query = |(query, negatives, counted): (usize, Vec<Negative>, Counts)| {
        for (name, count) in counted {
            *counts.entry(name).or_default() += count;
        }
        (query, negatives)
    };
    chosen.into_iter().map(of_query).collect()
}

/// Makes up vectors for texts.
#[cfg(test)]
type StandIn<'a> = &'a dyn Fn(&[&str]) -> Vec<f32>;

/// Mines with a stand-in for the bi-encoder, for the tests of what comes after.
#[cfg(test)]
pub fn mine_with_embeddings(
    collection: &Collection,
    out: &Path,
    config: &SynthConfig,
    (hidden, embed): (usize, StandIn),
) -> Result<Outcome> {
    let cache = EmbeddingCache {
        folder: DataSet::new(out).embeddings(),
        model: "stand-in".into(),
        hidden,
        encode: &|_, texts| Ok(embed(texts)),
        progress: &whetstone_records::Silent,
    };
    let job = MineJob { out, config, model: Path::new(""), placement: Placement::default() };
    mine_collection(collection, &job, Some(&cache), &whetstone_records::Silent)
}

#[cfg(test)]
mod tests;
