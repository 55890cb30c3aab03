use super::forget;
use crate::cli::Talk;
use crate::failure::Problem;
use crate::rerank::folder;
use anyhow::{Result, bail};
use serde::Serialize;
use std::path::PathBuf;
use whetstone_eval::{RRF_K, rrf};
use whetstone_records::{Run, Stage, digests};

/// Join runs by reciprocal rank fusion: the model's order and the first stages'
#[derive(clap::Args)]
#[command(after_help = "Examples:
  whetstone fuse data/mine/runs/bm25.run data/mine/runs/dense.run out/tuned.run --out out/fused.run

A passage scores the sum of 1 / (60 + rank) over the runs that have it: the scores themselves need not
have the same scale, and nothing is learned from dev.")]
pub struct Args {
    /// The runs, in TREC's format, two or more
    #[arg(value_name = "RUN", required = true, num_args = 2..)]
    runs: Vec<PathBuf>,
    /// Where the fused run is written
    #[arg(long, value_name = "RUN")]
    out: PathBuf,
    /// Do it again even where it is up to date
    #[arg(long)]
    force: bool,
}

#[derive(Serialize)]
struct Config {
    k: f64,
}

pub fn run(args: &Args, talk: &Talk) -> Result<()> {
    let out = &args.out;
    if let Some(run) = args.runs.iter().find(|run| out.exists() && run.canonicalize().ok() == out.canonicalize().ok()) {
        let message = format!("`{}` is to be read and to be written over", run.display());
        bail!(Problem::new(message, "give --out another name"));
    }
    let name = format!("fuse-{}", out.file_stem().unwrap_or_default().to_string_lossy());
    if args.force {
        forget(folder(out), &name)?;
    }
    let roles: Vec<String> = (1..=args.runs.len()).map(|number| format!("run-{number}")).collect();
    let inputs = digests(roles.iter().map(String::as_str).zip(args.runs.iter().map(PathBuf::as_path)))?;
    let stage = Stage::new(name.leak(), folder(out), &Config { k: RRF_K }, inputs);
    if let Some(manifest) = stage.up_to_date() {
        return talk.report(folder(out), &manifest);
    }
    let runs = args.runs.iter().map(|run| Run::read(run)).collect::<Result<Vec<_>, _>>()?;
    let fused = rrf(&runs.iter().collect::<Vec<_>>(), RRF_K);
    fused.write(out, "rrf")?;
    let counts = [("queries".to_owned(), fused.len() as u64), ("runs".to_owned(), runs.len() as u64)];
    let file = out.file_name().unwrap_or_default().to_string_lossy();
    talk.report(folder(out), &stage.finish(&[&file], counts.into(), vec![])?)
}
