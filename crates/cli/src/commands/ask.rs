use super::{DataArgs, forget};
use crate::cli::Talk;
use anyhow::Result;

/// Make queries for passages, with an LLM server or from the passages themselves (second step of synth)
#[derive(clap::Args)]
#[command(after_help = "Example:
  whetstone ask --config configs/synth.toml --out data/mine
The config's section [ask] says which generator makes the queries; an LLM makes better ones than `built-in`.")]
pub struct Args {
    #[command(flatten)]
    data: DataArgs,
}

pub fn run(args: &Args, talk: &Talk) -> Result<()> {
    let (config, out) = args.data.load()?;
    if args.data.force {
        forget(&out, "ask")?;
    }
    let manifest = whetstone_synth::ask(&out, &config.ask, config.seed, &*talk.progress())?;
    talk.report(&out, &manifest)
}
