//! `whetstone pair`: training pairs, dev and test.

use super::DataArgs;
use crate::cli::Talk;
use crate::failure::Result;

/// Write training pairs, dev and test lists, split by document (last step of synth)
#[derive(clap::Args)]
#[command(after_help = "Example:
  whetstone pair --config configs/synth.toml --out data/mine")]
pub struct Args {
    #[command(flatten)]
    data: DataArgs,
}

pub fn run(args: &Args, talk: &Talk) -> Result<()> {
    let (config, out) = args.data.load()?;
    if args.data.force {
        whetstone_records::forget(&out, "pair")?;
    }
    let manifest = whetstone_synth::pair(&out, &config, &*talk.progress())?;
    talk.report(&out, &manifest)
}
