//! `whetstone gather`: several BEIR folders as one data set.

use super::DataArgs;
use crate::cli::Talk;
use crate::failure::Result;

/// Put several BEIR folders into one data set (in place of the first two steps of synth)
#[derive(clap::Args)]
#[command(after_help = "Example:
  whetstone gather --config configs/base-data.toml --out data/base

The folders are listed as `folders` in [gather]. Their names go before all ids, and `mine` compares
a query only with passages of its own folder. `whetstone synth` with such a config runs gather, mine
and pair.")]
pub struct Args {
    #[command(flatten)]
    data: DataArgs,
}

pub fn run(args: &Args, talk: &Talk) -> Result<()> {
    let (config, out) = args.data.load()?;
    if args.data.force {
        whetstone_records::forget(&out, "gather")?;
    }
    let manifest = whetstone_synth::gather(&out, &config, &*talk.progress())?;
    talk.report(&out, &manifest)
}
