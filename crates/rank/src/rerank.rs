//! Reorders the candidates of every query by a model's score.

use crate::error::Result;
use crate::fuse::{JOINED_NAME, Joining, refuse_writing_over};
use crate::run_file::{file_name, folder, stage_name};
use crate::texts::{TextFiles, Texts};
use std::collections::HashMap;
use std::path::Path;
use whetstone_eval::Join;
use whetstone_model::{Engine, Placement, Scorer};
use whetstone_records::{
    Hit, Manifest, ModelDir, Outcome, PassageId, Progress, Run, Stage, digests,
};

/// The command's name, which is also the stage's.
pub const RERANK: &str = "rerank";

/// The warning about a model that a CPU does not compute in the precision that was asked for.
pub const STAYS_F32: &str = "no kernels of the CPU serve this model: its products stay f32";

/// What the scores of a run are, by the run's name: a cross-encoder's logits, or the maximum
/// similarities of a late interaction.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Scores {
    Logits,
    Similarities,
}

impl Scores {
    pub fn of(scorer: &Scorer) -> Self {
        match scorer {
            Scorer::CrossEncoder(_) => Self::Logits,
            Scorer::LateInteraction(_) => Self::Similarities,
        }
    }

    /// Of the run with this name; None if it is not of a model.
    pub fn named(run: &str) -> Option<Self> {
        [Self::Logits, Self::Similarities].into_iter().find(|scores| scores.name() == run)
    }

    /// The name of a run of such scores.
    pub fn name(self) -> &'static str {
        match self {
            Self::Logits => "whetstone",
            Self::Similarities => "whetstone-late",
        }
    }

    /// What they are divided by in a join, unless the user says other; None where z stands for them.
    pub fn temperature(self) -> Option<f64> {
        match self {
            Self::Logits => Some(Join::TEMPERATURE),
            Self::Similarities => None,
        }
    }
}

/// The inputs of reranking.
#[derive(Clone, Copy, Debug)]
pub struct RerankJob<'a> {
    pub model: &'a Path,
    /// The label that is the score, if the model's head has several.
    pub head_label: Option<&'a str>,
    pub texts: TextFiles<'a>,
    /// The run to reorder.
    pub candidates: &'a Path,
    /// How to join the logits with the first stages' scores; none for the logits alone.
    pub joining: Option<&'a Joining>,
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
        let first: Vec<_> = self.joining.iter().flat_map(|joining| joining.inputs()).collect();
        let first = first.iter().map(|(role, path)| (role.as_str(), *path));
        let inputs = digests(model.chain(texts).chain(first))?;
        let (name, folder) = (stage_name(RERANK, out), folder(out));
        Ok(match self.head_label {
            None => Stage::new(name, folder, &self.joining, inputs),
            Some(label) => Stage::new(name, folder, &(self.joining, label), inputs),
        })
    }
}

/// Writes the candidates in the order of the model's scores as the TREC run `out`.
pub fn rerank(
    job: &RerankJob,
    out: &Path,
    placement: Placement,
    progress: &dyn Progress,
) -> Result<Manifest> {
    let first = job.joining.iter().flat_map(|joining| joining.inputs()).map(|(_, path)| path);
    let texts = [job.candidates, job.texts.corpus, job.texts.queries];
    refuse_writing_over(texts.into_iter().chain(first), out)?;
    let stage = job.stage(out)?.with_setting(&placement.precision);
    if let Some(manifest) = stage.begin_beside_others()? {
        return Ok(manifest);
    }
    let candidates = Run::read(job.candidates)?;
    let texts = Texts::of_candidates(job.texts, [&candidates])?;
    let scorer = Scorer::load(job.model, job.head_label, None, &Engine::placed(placement)?)?;
    let asked = placement;
    let placement = scorer.placement(asked);
    if placement != asked {
        progress.warn(STAYS_F32);
    }
    let lengths: Vec<usize> = candidates.iter().map(|(_, hits)| hits.len()).collect();
    let reranked = order(&candidates, &texts, |pairs| {
        progress.start("rerank", Some(pairs.len() as u64), "pairs");
        let scores = scorer.score_lists(pairs, &lengths, progress)?;
        progress.finish();
        Ok(scores)
    })?;
    match job.joining {
        Some(joining) => joining.apply(&reranked)?.write(out, JOINED_NAME)?,
        None => reranked.write(out, Scores::of(&scorer).name())?,
    }
    let pairs: u64 = candidates.iter().map(|(_, hits)| hits.len() as u64).sum();
    let counts = [("queries", candidates.len() as u64), ("pairs", pairs)];
    let joined = job.joining.map(|joining| format!("joined scores: {}", joining.join));
    let outcome = Outcome {
        counts: counts.map(|(name, count)| (name.to_owned(), count)).into(),
        notes: joined.into_iter().chain([format!("scored on device {placement}")]).collect(),
        scored_pairs: Some(pairs),
        ..Outcome::default()
    };
    Ok(stage.finish(&[&file_name(out)], outcome)?)
}

/// The candidates with the logits of their pairs as their scores.
pub(crate) fn order(
    candidates: &Run,
    texts: &Texts,
    score: impl FnOnce(&[(&str, &str)]) -> Result<Vec<f32>>,
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
    let hits = ids.into_iter().zip(score(&pairs)?);
    Ok(hits
        .map(|((query, passage), score)| (query.clone(), Hit { passage: passage.clone(), score }))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::write;
    use whetstone_model::{DeviceName, Precision};
    use whetstone_records::Silent;

    #[test]
    fn another_precision_is_another_stage_with_scores_close_by() {
        let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracles/tiny-model");
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let (corpus, queries, candidates) =
            (path("corpus.jsonl"), path("queries.jsonl"), path("bm25.run"));
        let text = |id: &str, text: &str| format!("{{\"_id\":\"{id}\",\"text\":\"{text}\"}}\n");
        let passages = [("a", "snow fell all night"), ("b", "the valve opens at 60 degrees")];
        write(&corpus, passages.map(|(id, passage)| text(id, passage)).concat()).unwrap();
        write(&queries, text("q", "when does the valve open")).unwrap();
        write(&candidates, "q Q0 a 1 2.0 bm25\nq Q0 b 2 1.0 bm25\n").unwrap();
        let texts = TextFiles { corpus: &corpus, queries: &queries };
        let (candidates, model) = (&*candidates, &*model);
        let job = RerankJob { model, head_label: None, texts, candidates, joining: None };
        let out = path("out.run");
        let run = |precision| {
            rerank(&job, &out, Placement { device: DeviceName::Cpu, precision }, &Silent)
        };
        let scores = || {
            let mut hits = Run::read(&out).unwrap().get("q").unwrap().to_vec();
            hits.sort_by(|a, b| a.passage.cmp(&b.passage));
            hits.into_iter().map(|hit| hit.score).collect::<Vec<_>>()
        };
        let first = run(Precision::F32).unwrap();
        assert_eq!(first.notes, ["scored on device cpu"]);
        assert!(run(Precision::F32).unwrap().up_to_date);
        let exact = scores();
        if !Precision::Bf16.is_supported() {
            assert!(run(Precision::Bf16).is_err());
            return;
        }
        let rounded = run(Precision::Bf16).unwrap();
        assert!(!rounded.up_to_date && run(Precision::Bf16).unwrap().up_to_date);
        assert_eq!(rounded.notes, ["scored on device cpu in bf16"]);
        let apart = exact.iter().zip(scores()).map(|(exact, rounded)| (exact - rounded).abs());
        let apart = apart.fold(0.0, f32::max);
        assert!(apart > 0.0 && apart < 0.05, "{apart}");
    }
}
