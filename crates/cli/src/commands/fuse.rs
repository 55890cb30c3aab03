//! `whetstone fuse`: several runs joined into one.

use crate::cli::Talk;
use crate::failure::Result;
use std::path::PathBuf;
use whetstone_rank::{FUSE, folder, fuse, stage_name};
use whetstone_records::forget;

/// Join runs by reciprocal rank fusion: the model's order and the first stages'
#[derive(clap::Args)]
#[command(after_help = "Example:
  whetstone fuse data/mine/runs/bm25.run data/mine/runs/dense.run out/tuned.run --out out/fused.run

A passage scores the sum of 1 / (60 + rank) over the runs that have it. The scores themselves need not
have the same scale, and nothing is learned from dev.")]
pub struct Args {
    /// The runs, in TREC's format, two or more
    #[arg(value_name = "RUN", required = true, num_args = 2..)]
    runs: Vec<PathBuf>,
    /// Path of the fused run
    #[arg(long, value_name = "RUN")]
    out: PathBuf,
    /// Run again even where the result is up to date
    #[arg(long)]
    force: bool,
}

pub fn run(args: &Args, talk: &Talk) -> Result<()> {
    let folder = folder(&args.out);
    if args.force {
        forget(folder, &stage_name(FUSE, &args.out))?;
    }
    talk.report(folder, &fuse(&args.runs, &args.out)?)
}
