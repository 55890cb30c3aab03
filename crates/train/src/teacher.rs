//! A reranker as the teacher of another: its scores of all training pairs.

use crate::data::Pairs;
use crate::error::Result;
use std::path::{Path, PathBuf};
use whetstone_model::{Architecture, Engine, KeptScores};
use whetstone_records::{ModelDir, Progress, RunDir};

/// Returns the role and the path of every file that a teacher's scores depend on.
pub(crate) fn inputs(model: &Path) -> Result<Vec<(String, PathBuf)>> {
    let parts = ModelDir::new(model).parts()?;
    Ok(parts.into_iter().map(|(role, path)| (format!("teacher {role}"), path)).collect())
}

/// Returns the teacher's score of every pair. It reads pairs as long as the student, or as long as
/// it can. Its scores are kept in the run's folder, since every epoch needs them.
pub(crate) fn scores(
    model: &Path,
    run: &RunDir,
    pairs: &Pairs,
    (max_seq_tokens, engine): (usize, &Engine),
    progress: &dyn Progress,
) -> Result<Vec<f32>> {
    let longest = Architecture::read(model)?.spec.longest_input;
    let limit = Some(max_seq_tokens.min(longest));
    let teacher = KeptScores::open(run.teacher(), model, limit, engine)?;
    progress.start("teach", Some(pairs.len() as u64), "pairs");
    let mut scores = Vec::with_capacity(pairs.len());
    for (number, first) in (0..pairs.len()).step_by(KeptScores::PART).enumerate() {
        let pairs = pairs.of(first..(first + KeptScores::PART).min(pairs.len()))?;
        let texts: Vec<(&str, &str)> =
            pairs.iter().map(|pair| (&*pair.query, &*pair.passage)).collect();
        scores.extend(teacher.part(number, &texts, progress)?);
    }
    progress.finish();
    Ok(scores)
}
