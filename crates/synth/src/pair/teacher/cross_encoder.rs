//! A cross-encoder as teacher. It may be a large one, so its scores are kept as they come.

use super::super::train::Group;
use super::PairJob;
use crate::error::{Error, Result};
use whetstone_model::{Engine, KeptScores};
use whetstone_records::{DataSet, Progress};

/// Returns the logits of every group's pairs, of their whole texts up to the model's own limit.
pub fn score(groups: &[Group], job: &PairJob, progress: &dyn Progress) -> Result<Vec<Vec<f32>>> {
    let model = job.teacher.ok_or(Error::NoTeacher)?;
    let folder = DataSet::new(job.out).teacher_scores();
    let kept = KeptScores::open(folder, model, None, &Engine::placed(job.placement)?)?;
    let pairs: Vec<(&str, &str)> =
        groups.iter().flatten().map(|pair| (pair.query.as_str(), pair.passage.as_str())).collect();
    progress.start("teacher", Some(pairs.len() as u64), "pairs");
    let mut scores = Vec::with_capacity(pairs.len());
    for (number, pairs) in pairs.chunks(KeptScores::PART).enumerate() {
        scores.extend(kept.part(number, pairs, progress)?);
    }
    kept.remove_from(pairs.len().div_ceil(KeptScores::PART))?;
    progress.finish();
    let mut scores = scores.into_iter();
    Ok(groups.iter().map(|group| scores.by_ref().take(group.len()).collect()).collect())
}
