//! Finds passages that look like an answer and are none. Two miners, BM25 and the bi-encoder, rank
//! the whole corpus for every query; what is left of their lists after the guards are the negatives
//! of a training query.

mod bm25;
mod dense;
mod embeddings;
mod findings;
mod guard;
mod miner;
mod negatives;
mod search;
mod top;

pub(crate) use bm25::{Bm25, Bm25Parameters};
pub(crate) use dense::Dense;
pub(crate) use embeddings::EmbeddingCache;
pub use findings::{Finding, read_findings};
pub(crate) use miner::Miner;
pub use search::bm25_run;

use crate::collection::Collection;
use crate::config::{MineConfig, SplitConfig};
use crate::error::{Error, Result};
use crate::split::Split;
use findings::{Findings, FindingsWriter, find};
use guard::Guard;
use negatives::{Chooser, Counts};
use rayon::prelude::*;
use std::io::Write;
use std::ops::Range;
use std::path::Path;
use whetstone_model::{BiEncoder, Engine};
use whetstone_records::{AtomicFile, Manifest, Negative, Outcome, Progress, Stage, sha256_file};

/// Queries whose findings are in memory at one time.
const QUERY_BLOCK: usize = 1024;

/// The bi-encoder's scores of every positive and negative of a training query.
pub(crate) const PAIR_SCORES: &str = "mined/pairs.run";

const OUTPUTS: [&str; 4] = ["mined/bm25.run", "mined/dense.run", "negatives.jsonl", PAIR_SCORES];

/// The files of a model that decide its embeddings.
pub(crate) const MODEL_FILES: [&str; 3] = ["config.json", "tokenizer.json", "model.safetensors"];

/// Ranks the corpus for every query by both miners (`mined/*.run`) and chooses the negatives of
/// training queries (`negatives.jsonl`, with the bi-encoder's scores in `mined/pairs.run`).
/// Embeddings are kept in `mined/embeddings`, so that a stopped run goes on where it was.
pub fn mine(
    out: &Path,
    model_dir: &Path,
    config: &MineConfig,
    split: &SplitConfig,
    seed: u64,
    engine: &Engine,
    progress: &dyn Progress,
) -> Result<Manifest> {
    config.check()?;
    split.check()?;
    let mut inputs = Vec::new();
    for file in ["corpus.jsonl", "queries.jsonl", "qrels/all.tsv"] {
        inputs.push((file.to_owned(), sha256_file(&out.join(file))?));
    }
    for file in MODEL_FILES {
        inputs.push((format!("model/{file}"), sha256_file(&model_dir.join(file))?));
    }
    let model = inputs[3..].iter().map(|(_, digest)| digest.as_str()).collect::<String>();
    // The outputs too: a version that writes one more mines again.
    let stage = Stage::new("mine", out, &(config, split, seed, OUTPUTS), inputs);
    if let Some(manifest) = stage.up_to_date() {
        return Ok(manifest);
    }
    let collection = Collection::read(out, split, seed)?;
    let encoder = BiEncoder::load(model_dir, engine)?;
    let cache = EmbeddingCache {
        folder: out.join("mined/embeddings"),
        model,
        hidden: encoder.hidden(),
        encode: &|texts| Ok(encoder.encode(texts, progress)?),
        progress,
    };
    let counts = mine_collection(&collection, out, config, seed, &cache)?;
    Ok(stage.finish(&OUTPUTS, Outcome { counts, ..Outcome::default() })?)
}

/// The stage without the model: `cache` says where embeddings come from, and where progress is
/// told.
fn mine_collection(
    collection: &Collection,
    out: &Path,
    config: &MineConfig,
    seed: u64,
    cache: &EmbeddingCache,
) -> Result<Counts> {
    let (bm25, dense) = build_miners(collection, config, cache)?;
    let guard = Guard::new(collection, config.same_document);
    let has_text =
        |passage: &u32| !collection.passages[*passage as usize].full_text().trim().is_empty();
    let trainable =
        (0..collection.passages.len() as u32).filter(|passage| collection.is_trainable(*passage));
    let trainable: Vec<u32> = trainable.filter(has_text).collect();
    let chooser = Chooser {
        collection,
        guard: &guard,
        miners: [&bm25, &dense],
        config,
        seed,
        trainable: &trainable,
    };
    write_mined(&chooser, out, cache.progress)
}

fn build_miners(
    collection: &Collection,
    config: &MineConfig,
    cache: &EmbeddingCache,
) -> Result<(Bm25, Dense)> {
    let texts: Vec<String> =
        collection.passages.iter().map(|passage| passage.full_text()).collect();
    let passages: Vec<&str> = texts.iter().map(String::as_str).collect();
    let queries: Vec<&str> = collection.queries.iter().map(|query| query.text.as_str()).collect();
    let passage_embeddings = cache.embed("passages", &passages)?;
    let query_embeddings = cache.embed("queries", &queries)?;
    let bm25 =
        Bm25::build(&passages, &queries, Bm25Parameters { k1: config.bm25_k1, b: config.bm25_b });
    Ok((bm25, Dense::new(cache.hidden, query_embeddings, passage_embeddings)))
}

/// Goes through the queries by blocks and writes the files, in memory for one block.
fn write_mined(chooser: &Chooser, out: &Path, progress: &dyn Progress) -> Result<Counts> {
    let collection = chooser.collection;
    let [bm25_path, dense_path, negatives_path, pairs_path] =
        OUTPUTS.map(|output| out.join(output));
    let mut runs = [
        FindingsWriter::create(&bm25_path, chooser.miners[0].name())?,
        FindingsWriter::create(&dense_path, chooser.miners[1].name())?,
    ];
    let mut negatives = AtomicFile::create(&negatives_path)?;
    let mut pair_scores = FindingsWriter::create(&pairs_path, chooser.miners[1].name())?;
    let mut counts = collection.counts.clone();
    progress.start("mine", Some(collection.queries.len() as u64), "queries");
    for start in (0..collection.queries.len()).step_by(QUERY_BLOCK) {
        let queries = start..(start + QUERY_BLOCK).min(collection.queries.len());
        let findings = find(&chooser.miners, queries.clone(), chooser.config.rank_max);
        for (query, findings) in queries.clone().zip(&findings) {
            for (run, ranking) in runs.iter_mut().zip(findings) {
                run.write(&collection.queries[query].id, ranking, &collection.passages)?;
            }
        }
        for (query, chosen) in choose_block(chooser, queries.clone(), &findings, &mut counts) {
            let ranking = chooser.dense_scores(query, &chosen);
            pair_scores.write(&collection.queries[query].id, &ranking, &collection.passages)?;
            for negative in chosen {
                let line = serde_json::to_string(&negative).expect("a negative is plain data");
                writeln!(negatives, "{line}").map_err(Error::io("write", &negatives_path))?;
            }
        }
        progress.advance(queries.len() as u64);
    }
    progress.finish();
    runs.into_iter().try_for_each(FindingsWriter::commit)?;
    pair_scores.commit()?;
    negatives.commit()?;
    Ok(counts)
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

/// Mines with a stand-in for the bi-encoder, for the tests of what comes after.
#[cfg(test)]
pub fn mine_with_embeddings(
    collection: &Collection,
    out: &Path,
    config: &MineConfig,
    seed: u64,
    hidden: usize,
    embed: &dyn Fn(&[&str]) -> Vec<f32>,
) -> Counts {
    let cache = EmbeddingCache {
        folder: out.join("mined/embeddings"),
        model: "stand-in".into(),
        hidden,
        encode: &|texts| Ok(embed(texts)),
        progress: &whetstone_records::Silent,
    };
    mine_collection(collection, out, config, seed, &cache).expect("the fixture is sound")
}

#[cfg(test)]
mod tests;
