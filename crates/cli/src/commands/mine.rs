//! `whetstone mine`: negatives for queries.

use super::{DataArgs, DeviceArgs};
use crate::cli::Talk;
use crate::failure::Result;
use whetstone_synth::MineJob;

/// Find passages that look like answers and are not, with BM25 and a bi-encoder (third step of
/// synth)
#[derive(clap::Args)]
#[command(after_help = "Example:
  whetstone mine --config configs/synth.toml --out data/mine")]
pub struct Args {
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    device: DeviceArgs,
}

pub fn run(args: &Args, talk: &Talk) -> Result<()> {
    let (config, out) = args.data.load()?;
    if args.data.force {
        whetstone_records::forget(&out, "mine")?;
    }
    let progress = talk.progress();
    let model = whetstone_hub::resolve(&config.model, &*progress)?;
    let job = MineJob { out: &out, config: &config, model: &model, device: args.device.device };
    let manifest = whetstone_synth::mine(&job, &*progress)?;
    talk.report(&out, &manifest)
}
