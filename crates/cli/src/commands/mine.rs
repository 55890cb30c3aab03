//! `whetstone mine`: negatives for queries.

use super::{DataArgs, PlacementArgs};
use crate::cli::Talk;
use crate::failure::Result;
use whetstone_records::Progress;
use whetstone_synth::{MineJob, SynthConfig};

/// Find passages that look like answers and are not, with BM25, a bi-encoder and others (third
/// step of synth)
#[derive(clap::Args)]
#[command(after_help = "Example:
  whetstone mine --config configs/synth.toml --out data/mine")]
pub struct Args {
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    placement: PlacementArgs,
}

pub fn run(args: &Args, talk: &Talk) -> Result<()> {
    let (mut config, out) = args.data.load()?;
    if args.data.force {
        whetstone_records::forget(&out, "mine")?;
    }
    let progress = talk.progress();
    let model = whetstone_hub::resolve(&config.model, &*progress)?;
    find_models(&mut config, &*progress)?;
    let job = MineJob {
        out: &out,
        config: &config,
        model: &model,
        placement: args.placement.placement(),
    };
    let manifest = whetstone_synth::mine(&job, &*progress)?;
    talk.report(&out, &manifest)
}

/// Finds the models that retrievers run themselves.
pub fn find_models(config: &mut SynthConfig, progress: &dyn Progress) -> Result<()> {
    for from in &mut config.mine.from {
        if let Some(model) = from.retriever.settings_mut().own_model() {
            model.found(whetstone_hub::resolve(&model.name, progress)?);
        }
    }
    Ok(())
}
