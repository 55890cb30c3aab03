//! `whetstone export`: a checkpoint as a model folder.

use crate::cli::Talk;
use crate::failure::Result;
use std::path::PathBuf;

/// Write a model folder that transformers, sentence-transformers and text-embeddings-inference load
#[derive(clap::Args)]
#[command(after_help = "Examples:
  whetstone export --checkpoint checkpoints/mine --out models/mine      the best step by dev nDCG@10
  whetstone export --checkpoint checkpoints/mine/step-000500 --out models/step-500")]
pub struct Args {
    /// A training run, or one of its step folders
    #[arg(long, value_name = "DIR")]
    checkpoint: PathBuf,
    /// Folder for the model
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Run again even where the result is up to date
    #[arg(long)]
    force: bool,
}

pub fn run(args: &Args, talk: &Talk) -> Result<()> {
    if args.force {
        whetstone_records::forget(&args.out, "export")?;
    }
    let manifest = whetstone_export::export(&args.checkpoint, &args.out)?;
    talk.report(&args.out, &manifest)
}
