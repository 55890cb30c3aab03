//! `whetstone chunk`: documents cut into passages.

use super::{DataArgs, corpus};
use crate::cli::Talk;
use crate::failure::Result;
use std::path::PathBuf;

/// Cut documents into passages (first step of synth)
#[derive(clap::Args)]
#[command(after_help = "Example:
  whetstone chunk --config configs/synth.toml --corpus my-docs --out data/mine")]
pub struct Args {
    #[command(flatten)]
    data: DataArgs,
    /// Folder of .md, .markdown, .mdx, .txt, .html and .htm files, or a BEIR corpus.jsonl; the
    /// config may name it as `corpus`
    #[arg(long, value_name = "PATH")]
    corpus: Option<PathBuf>,
}

pub fn run(args: &Args, talk: &Talk) -> Result<()> {
    let (config, out) = args.data.load()?;
    let corpus = corpus(args.corpus.as_deref(), &config)?;
    if args.data.force {
        whetstone_records::forget(&out, "chunk")?;
    }
    let progress = talk.progress();
    let model = whetstone_hub::resolve(&config.model, &*progress)?;
    let manifest = whetstone_synth::chunk(&corpus, &out, &model, &config, &*progress)?;
    talk.report(&out, &manifest)
}
