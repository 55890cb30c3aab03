//! Joins runs by reciprocal rank fusion.

use crate::error::{Error, Result};
use crate::notes::notes_of;
use crate::run_file::{file_name, folder, stage_name};
use std::path::{Path, PathBuf};
use whetstone_eval::{RRF_K, rrf};
use whetstone_records::{Manifest, ModelDir, Outcome, Run, Stage, digests};

/// The command's name, which is also the stage's.
pub const FUSE: &str = "fuse";
/// The name of a run of fused scores.
pub(crate) const FUSED_NAME: &str = "whetstone-fused";

/// Writes the fusion of `runs` as the TREC run `out`. Refuses to overwrite one of them.
pub fn fuse(runs: &[PathBuf], out: &Path) -> Result<Manifest> {
    // Only an existing file can be overwritten.
    if let Ok(written) = out.canonicalize()
        && let Some(run) =
            runs.iter().find(|run| run.canonicalize().is_ok_and(|run| run == written))
    {
        return Err(Error::WritesOver { path: run.clone() });
    }
    let roles: Vec<String> = (1..=runs.len()).map(|number| format!("run-{number}")).collect();
    let inputs = digests(roles.iter().map(String::as_str).zip(runs.iter().map(PathBuf::as_path)))?;
    let stage = Stage::new(stage_name(FUSE, out), folder(out), &RRF_K, inputs);
    if let Some(manifest) = stage.begin_beside_others()? {
        return Ok(manifest);
    }
    let runs: Vec<Run> = runs.iter().map(|run| Run::read(run)).collect::<Result<_, _>>()?;
    let fused = rrf(&runs.iter().collect::<Vec<_>>(), RRF_K);
    fused.write(out, "rrf")?;
    let counts =
        [("queries".to_owned(), fused.len() as u64), ("runs".to_owned(), runs.len() as u64)];
    Ok(stage.finish(&[&file_name(out)], Outcome { counts: counts.into(), ..Outcome::default() })?)
}

/// Writes `reranked`, a run in the order of `model`, combined with its candidates' scores by the
/// fusion in the model's notes.
pub fn fuse_as_calibrated(
    model: &ModelDir,
    candidates: &Path,
    reranked: &Path,
    out: &Path,
) -> Result<()> {
    let fusion = notes_of(model)?.fusion.fusion;
    let fused = fusion.fuse(&Run::read(candidates)?, &Run::read(reranked)?);
    Ok(fused.write(out, FUSED_NAME)?)
}
