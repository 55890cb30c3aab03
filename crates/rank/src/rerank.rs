//! Reorders the candidates of every query by the cross-encoder's score.

use crate::error::Result;
use crate::fuse::FUSED_NAME;
use crate::run_file::{file_name, folder, stage_name};
use crate::texts::{TextFiles, Texts};
use std::collections::HashMap;
use std::path::Path;
use whetstone_eval::Fusion;
use whetstone_model::{CrossEncoder, DeviceName, Engine};
use whetstone_records::{
    Hit, Manifest, ModelDir, Outcome, PassageId, Progress, Run, Stage, digests,
};

/// The command's name, which is also the stage's.
pub const RERANK: &str = "rerank";

/// The inputs of reranking.
#[derive(Clone, Copy, Debug)]
pub struct RerankJob<'a> {
    pub model: &'a Path,
    /// The label that is the score, if the model's head has several.
    pub head_label: Option<&'a str>,
    pub texts: TextFiles<'a>,
    /// The run to reorder.
    pub candidates: &'a Path,
    /// The fusion of the model's scores with the candidates'; none for the logits alone.
    pub fusion: Option<Fusion>,
}

impl RerankJob<'_> {
    /// The stage of this run. Its manifest has the name of `out` and lies beside it.
    fn stage(&self, out: &Path) -> Result<Stage> {
        let model = ModelDir::new(self.model).parts()?;
        let model = model.iter().map(|(role, path)| (role.as_str(), path.as_path()));
        let texts = [
            ("corpus", self.texts.corpus),
            ("queries", self.texts.queries),
            ("candidates", self.candidates),
        ];
        let inputs = digests(model.chain(texts))?;
        let (name, folder) = (stage_name(RERANK, out), folder(out));
        Ok(match self.head_label {
            None => Stage::new(name, folder, &self.fusion, inputs),
            Some(label) => Stage::new(name, folder, &(self.fusion, label), inputs),
        })
    }
}

/// Writes the candidates in the order of the cross-encoder's logits as the TREC run `out`.
pub fn rerank(
    job: &RerankJob,
    out: &Path,
    device: DeviceName,
    progress: &dyn Progress,
) -> Result<Manifest> {
    let stage = job.stage(out)?;
    if let Some(manifest) = stage.begin_beside_others()? {
        return Ok(manifest);
    }
    let candidates = Run::read(job.candidates)?;
    let texts = Texts::of_candidates(job.texts, [&candidates])?;
    let encoder =
        CrossEncoder::load_label(job.model, job.head_label, None, &Engine::open(device)?)?;
    let reranked = order(&candidates, &texts, &encoder, progress)?;
    match job.fusion {
        Some(fusion) => fusion.fuse(&candidates, &reranked).write(out, FUSED_NAME)?,
        None => reranked.write(out, "whetstone")?,
    }
    let pairs: u64 = candidates.iter().map(|(_, hits)| hits.len() as u64).sum();
    let counts = [("queries", candidates.len() as u64), ("pairs", pairs)];
    let joined =
        job.fusion.map(|fusion| format!("joined with the scores of the candidates: {fusion}"));
    let outcome = Outcome {
        counts: counts.map(|(name, count)| (name.to_owned(), count)).into(),
        notes: joined.into_iter().chain([format!("scored on device {device}")]).collect(),
        scored_pairs: Some(pairs),
        ..Outcome::default()
    };
    Ok(stage.finish(&[&file_name(out)], outcome)?)
}

/// The candidates with the model's logits as their scores.
fn order(
    candidates: &Run,
    texts: &Texts,
    encoder: &CrossEncoder,
    progress: &dyn Progress,
) -> Result<Run> {
    let passages: HashMap<&PassageId, String> =
        texts.passages.iter().map(|(id, passage)| (id, passage.full_text())).collect();
    let ids: Vec<_> = candidates
        .iter()
        .flat_map(|(query, hits)| hits.iter().map(move |hit| (query, &hit.passage)))
        .collect();
    let pairs: Vec<(&str, &str)> = ids
        .iter()
        .map(|(query, passage)| (&*texts.queries[*query].text, &*passages[passage]))
        .collect();
    progress.start("rerank", Some(pairs.len() as u64), "pairs");
    let scores = encoder.score(&pairs, progress)?;
    progress.finish();
    let hits = ids.into_iter().zip(scores);
    Ok(hits
        .map(|((query, passage), score)| (query.clone(), Hit { passage: passage.clone(), score }))
        .collect())
}
