//! `whetstone pair`: training pairs, dev and test.

use super::{DataArgs, PlacementArgs};
use crate::cli::Talk;
use crate::failure::Result;
use std::path::PathBuf;
use whetstone_records::Progress;
use whetstone_synth::{PairJob, SynthConfig};

/// Write training pairs, dev and test lists, split by document (last step of synth)
#[derive(clap::Args)]
#[command(after_help = "Example:
  whetstone pair --config configs/synth.toml --out data/mine")]
pub struct Args {
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    placement: PlacementArgs,
}

pub fn run(args: &Args, talk: &Talk) -> Result<()> {
    let (config, out) = args.data.load()?;
    if args.data.force {
        whetstone_records::forget(&out, "pair")?;
    }
    let progress = talk.progress();
    let teacher = teacher(&config, &*progress)?;
    let job = PairJob {
        out: &out,
        config: &config,
        teacher: teacher.as_deref(),
        placement: args.placement.placement(),
    };
    let manifest = whetstone_synth::pair(&job, &*progress)?;
    talk.report(&out, &manifest)
}

/// Returns the folder of the cross-encoder that teaches, where one does.
pub fn teacher(config: &SynthConfig, progress: &dyn Progress) -> Result<Option<PathBuf>> {
    let model = config.pair.teacher_model.as_deref();
    Ok(model.map(|model| whetstone_hub::resolve(model, progress)).transpose()?)
}
