//! Checks whether a query brings its own passage back (Dai et al., Promptagator, 2022).

use super::AskJob;
use super::harvest::Harvest;
use super::plan::Plan;
use crate::config::RoundTrip;
use crate::error::{Error, Result};
use crate::mine::{embed, model_digest, model_inputs};
use std::collections::HashMap;
use whetstone_model::{BiEncoder, Engine};
use whetstone_records::{DataSet, Passage, Progress};
use whetstone_retrieve::{Bm25, Dense, EmbeddingCache, Retriever, TextKind};

/// Queries to search for at a time.
const BLOCK: usize = 1024;

/// Notes the rank and the score of every query's own passage. A query without a rank did not find
/// it.
pub fn search(harvest: &mut Harvest, plan: &Plan, progress: &dyn Progress) -> Result<()> {
    let job = plan.job;
    // In the order of `mine`, which then reuses their embeddings.
    let mut passages: Vec<&Passage> = plan.passages.iter().collect();
    passages.sort_by(|a, b| a.id.cmp(&b.id));
    let texts: Vec<String> = passages.iter().map(|passage| passage.full_text()).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let queries: Vec<String> = harvest.kept.iter().map(|kept| kept.query.text.clone()).collect();
    let queries: Vec<&str> = queries.iter().map(String::as_str).collect();
    let places: HashMap<&str, u32> =
        passages.iter().map(|passage| passage.id.as_str()).zip(0..).collect();
    let own: Vec<u32> = harvest.kept.iter().map(|kept| places[kept.passage.id.as_str()]).collect();
    let retriever: Box<dyn Retriever> = match job.config.filter.round_trip {
        RoundTrip::Off => return Ok(()),
        RoundTrip::Bm25 => {
            let parameters = job.config.mine.bm25();
            Box::new(Bm25::build(&texts, &queries, parameters, plan.lexicon.language))
        }
        RoundTrip::Dense => Box::new(dense(&texts, &queries, job, progress)?),
    };
    progress.start("round trip", Some(queries.len() as u64), "queries");
    for start in (0..queries.len()).step_by(BLOCK) {
        let block = start..(start + BLOCK).min(queries.len());
        let rankings = retriever.search(block.clone(), job.config.filter.round_trip_depth);
        for (query, ranking) in block.clone().zip(rankings) {
            let rank = ranking.iter().position(|hit| hit.passage == own[query]);
            let quality = harvest.kept[query].quality();
            quality.round_trip_rank = rank.map(|rank| rank as u32 + 1);
            quality.round_trip_fraction =
                rank.map(|rank| ranking[rank].score / ranking[0].score.max(f32::MIN_POSITIVE));
        }
        progress.advance(block.len() as u64);
    }
    progress.finish();
    Ok(())
}

/// The bi-encoder over the whole corpus. It stores the embeddings of passages where `mine` looks
/// for them.
fn dense(
    passages: &[&str],
    queries: &[&str],
    job: &AskJob,
    progress: &dyn Progress,
) -> Result<Dense> {
    let model = job.model.ok_or(Error::NoModel)?;
    let engine = Engine::placed(job.placement)?;
    let encoder = BiEncoder::load(model, &engine)?;
    let cache = EmbeddingCache {
        folder: DataSet::new(job.out).embeddings(),
        model: model_digest(&model_inputs(model)?) + &engine.mark(),
        hidden: encoder.hidden(),
        encode: &|kind, texts| embed(&encoder, kind, texts, progress),
        progress,
    };
    let passages = cache.embed("passages", TextKind::Passage, passages)?;
    // Not under the name of the final queries, of which there are fewer.
    let queries = cache.embed("proposals", TextKind::Query, queries)?;
    Ok(Dense::new(cache.hidden, queries, passages))
}
