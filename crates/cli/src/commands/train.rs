use super::{DeviceArgs, forget_run};
use crate::cli::Talk;
use crate::models;
use anyhow::Result;
use std::path::PathBuf;
use whetstone_train::TrainConfig;

/// Fine-tune a cross-encoder on a data set
#[derive(clap::Args)]
#[command(after_help = "Example:
  whetstone train --config configs/train.toml --data data/mine --out checkpoints/mine
A run that was stopped goes on from its last checkpoint when the same command is given again.")]
pub struct Args {
    /// Config of the training (TOML); configs/reference.toml lists every key with its default
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Folder with train.jsonl and dev.jsonl, as `whetstone synth` writes it
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Folder for the checkpoints, the log and a copy of the config
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    device: DeviceArgs,
    /// Train again from the start even where it is up to date
    #[arg(long)]
    force: bool,
}

pub fn run(args: &Args, talk: &Talk) -> Result<()> {
    let config = TrainConfig::load(&args.config)?;
    if args.force {
        forget_run(&args.out)?;
    }
    let progress = talk.progress();
    let device = whetstone_model::open_device(args.device.device)?;
    let model = models::resolve(&config.model, &*progress)?;
    let manifest = whetstone_train::train(&args.data, &args.out, &model, &config, &device, &*progress)?;
    talk.report(&args.out, &manifest)
}
