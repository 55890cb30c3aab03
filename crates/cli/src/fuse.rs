//! Joins runs by reciprocal rank fusion.

use crate::failure::Problem;
use crate::rerank::{folder, stage_name};
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};
use whetstone_eval::{RRF_K, rrf};
use whetstone_records::{Manifest, Outcome, Run, Stage, digests};

/// The command, which names the stage.
pub const FUSE: &str = "fuse";

/// Writes the fusion of `runs` as the TREC run `out`; refuses to write over one of them.
pub fn fuse(runs: &[PathBuf], out: &Path) -> Result<Manifest> {
    // Only what is there can be written over.
    if let Ok(written) = out.canonicalize()
        && let Some(run) =
            runs.iter().find(|run| run.canonicalize().is_ok_and(|run| run == written))
    {
        let message = format!("`{}` is to be read and to be written over", run.display());
        bail!(Problem::new(message, "give --out another name"));
    }
    let roles: Vec<String> = (1..=runs.len()).map(|number| format!("run-{number}")).collect();
    let inputs = digests(roles.iter().map(String::as_str).zip(runs.iter().map(PathBuf::as_path)))?;
    let stage = Stage::new(stage_name(FUSE, out), folder(out), &RRF_K, inputs);
    if let Some(manifest) = stage.up_to_date() {
        return Ok(manifest);
    }
    let runs = runs.iter().map(|run| Run::read(run)).collect::<Result<Vec<_>, _>>()?;
    let fused = rrf(&runs.iter().collect::<Vec<_>>(), RRF_K);
    fused.write(out, "rrf")?;
    let counts =
        [("queries".to_owned(), fused.len() as u64), ("runs".to_owned(), runs.len() as u64)];
    let name = out.file_name().unwrap_or_default().to_string_lossy();
    Ok(stage.finish(&[&name], Outcome { counts: counts.into(), ..Outcome::default() })?)
}
