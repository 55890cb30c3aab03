//! Reorders the candidates of every query by the cross-encoder's score.

use crate::failure::Problem;
use anyhow::{Context, Result};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use whetstone_eval::Fusion;
use whetstone_model::{CrossEncoder, DeviceName, Engine};
use whetstone_records::{
    Hit, Manifest, Outcome, Passage, PassageId, Progress, Query, QueryId, Run, Stage, digests,
    select_jsonl,
};

/// The command, which names the stage.
pub const RERANK: &str = "rerank";

/// What a run of reranking reads.
pub struct Inputs<'a> {
    pub model: &'a Path,
    /// BEIR's corpus.jsonl.
    pub corpus: &'a Path,
    /// BEIR's queries.jsonl.
    pub queries: &'a Path,
    /// The run to reorder.
    pub candidates: &'a Path,
    /// How the model's scores are joined with the candidates'; none for the logits alone.
    pub fusion: Option<Fusion>,
}

impl Inputs<'_> {
    /// The stage of this run; its manifest lies beside `out`, named after it.
    fn stage(&self, out: &Path) -> Result<Stage> {
        let model = |name: &str| self.model.join(name);
        let (weights, config, tokenizer) =
            (model("model.safetensors"), model("config.json"), model("tokenizer.json"));
        let read = [
            ("weights", weights.as_path()),
            ("config", &config),
            ("tokenizer", &tokenizer),
            ("corpus", self.corpus),
            ("queries", self.queries),
            ("candidates", self.candidates),
        ];
        Ok(Stage::new(stage_name(RERANK, out), folder(out), &self.fusion, digests(read)?))
    }
}

/// The name of the stage by which a command writes the run `out`: several runs share a folder.
pub fn stage_name(command: &str, out: &Path) -> String {
    format!("{command}-{}", out.file_stem().unwrap_or_default().to_string_lossy())
}

/// The folder that a run file lies in.
pub fn folder(out: &Path) -> &Path {
    out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes the candidates in the order of the cross-encoder's logits as the TREC run `out`.
pub fn rerank(
    inputs: &Inputs,
    out: &Path,
    device: DeviceName,
    progress: &dyn Progress,
) -> Result<Manifest> {
    let stage = inputs.stage(out)?;
    if let Some(manifest) = stage.up_to_date() {
        return Ok(manifest);
    }
    let candidates = Run::read(inputs.candidates)?;
    let queries = query_texts(inputs.queries, &candidates)?;
    let passages = passage_texts(inputs.corpus, &candidates)?;
    let encoder = CrossEncoder::load(inputs.model, None, &Engine::open(device)?)?;

    let hits = candidates
        .iter()
        .flat_map(|(query, hits)| hits.iter().map(move |hit| (query, &hit.passage)));
    let pairs: Vec<(&str, &str)> = hits
        .map(|(query, passage)| (queries[query].as_str(), passages[passage].as_str()))
        .collect();
    progress.start("rerank", Some(pairs.len() as u64), "pairs");
    let scores = encoder.score(&pairs, progress)?;
    progress.finish();

    let hits = candidates
        .iter()
        .flat_map(|(query, hits)| hits.iter().map(move |hit| (query, &hit.passage)));
    let scored = hits
        .zip(scores)
        .map(|((query, passage), score)| (query.clone(), Hit { passage: passage.clone(), score }));
    let reranked: Run = scored.collect();
    match inputs.fusion {
        Some(fusion) => fusion.fuse(&candidates, &reranked).write(out, "whetstone-fused")?,
        None => reranked.write(out, "whetstone")?,
    }
    let counts = [("queries", candidates.len()), ("pairs", pairs.len())];
    let counts: BTreeMap<_, _> = counts.map(|(name, count)| (name.to_owned(), count as u64)).into();
    let name = out.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let notes =
        inputs.fusion.map(|fusion| format!("joined with the scores of the candidates: {fusion}"));
    let notes = notes.into_iter().chain([format!("scored on device {device}")]).collect();
    Ok(stage.finish(
        &[&name],
        Outcome { counts, notes, scored_pairs: Some(pairs.len() as u64), ..Outcome::default() },
    )?)
}

/// The texts of the candidates' queries.
pub fn query_texts(path: &Path, candidates: &Run) -> Result<HashMap<QueryId, String>> {
    let queries = select_jsonl(path, |query: &Query| candidates.get(query.id.as_str()).is_some())?;
    let texts: HashMap<_, _> = queries.into_iter().map(|query| (query.id, query.text)).collect();
    let missing: Vec<_> =
        candidates.iter().map(|(query, _)| query).filter(|id| !texts.contains_key(*id)).collect();
    refuse_missing("queries", path, &missing)
        .context("the candidates do not belong to these queries")?;
    Ok(texts)
}

/// The texts of the candidates' passages; the others of the corpus are passed over.
pub fn passage_texts(path: &Path, candidates: &Run) -> Result<HashMap<PassageId, String>> {
    let mut missing: BTreeSet<&PassageId> =
        candidates.iter().flat_map(|(_, hits)| hits.iter().map(|hit| &hit.passage)).collect();
    let passages = select_jsonl(path, |passage: &Passage| missing.remove(&passage.id))?;
    let texts =
        passages.into_iter().map(|passage| (passage.id.clone(), passage.full_text())).collect();
    let missing: Vec<_> = missing.into_iter().collect();
    refuse_missing("passages", path, &missing)
        .context("the candidates do not belong to this corpus")?;
    Ok(texts)
}

/// Refuses ids that a file does not have, with the first of them.
pub fn refuse_missing(what: &str, path: &Path, missing: &[impl std::fmt::Display]) -> Result<()> {
    let Some(first) = missing.first() else { return Ok(()) };
    let message =
        format!("{} {what} are not in `{}`, the first is `{first}`", missing.len(), path.display());
    Err(Problem::new(message, "corpus, queries and candidates must be of one data set").into())
}
