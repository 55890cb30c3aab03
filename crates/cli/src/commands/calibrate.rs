//! `whetstone calibrate`: what the dev set says about a model.

use super::{DeviceArgs, precision};
use crate::cli::Talk;
use crate::failure::Result;
use std::path::PathBuf;
use whetstone_model::{Placement, Precision};
use whetstone_rank::{CALIBRATE, CalibrateJob, by_name};
use whetstone_records::{DataSet, ModelDir, forget};

/// Learn from dev how to join a model with the first stages, and what its logits mean
#[derive(clap::Args)]
#[command(after_help = "Examples:
  whetstone calibrate --model models/mine --data data/mine
  whetstone calibrate --model models/mine --data data/mine --precision 0.8 --precision 0.95

Scores the candidates of dev.jsonl and writes whetstone.json into the model's folder. The file holds
three things: how to join the model's logits with the first stages' scores, the scaling that turns
logits into probabilities, and for each precision the logit above which that share of the passages is
right. The join is logit / 4 (a late interaction's z-score) plus half of each first stage's z-scores,
or a quarter of a single one's. Only where dev has 50 queries of people or more may it leave first
stages out. `whetstone rerank --fuse` and `--probability` use them. Weights and logits stay as they
are; other libraries ignore the file.")]
pub struct Args {
    /// A model's folder, such as `whetstone export` writes
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// A data set with dev.jsonl
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Find the threshold for this share of right passages; repeat the option for more
    #[arg(long = "precision", value_name = "SHARE", default_value = "0.9", value_parser = share)]
    precisions: Vec<f64>,
    /// A first stage's run over the dev queries; repeat the option for each [default:
    /// runs/dev/NAME.run of the data set, else the scores in dev.jsonl]
    #[arg(long = "first-stage", value_name = "[NAME=]RUN", value_parser = super::maybe_named_run)]
    first_stages: Vec<(Option<String>, PathBuf)>,
    #[command(flatten)]
    device: DeviceArgs,
    /// Precision of the large products: f32, bf16 (CPUs and GPUs that have it) or f16 (GPUs)
    #[arg(long, value_name = "PRECISION", default_value = "f32", value_parser = precision)]
    scoring_precision: Precision,
    /// Run again even where the result is up to date
    #[arg(long)]
    force: bool,
}

/// A share above 0 and up to 1.
fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if share > 0.0 && share <= 1.0 => Ok(share),
        _ => Err("expected a share above 0 and up to 1, such as 0.9".into()),
    }
}

pub fn run(args: &Args, talk: &Talk) -> Result<()> {
    let progress = talk.progress();
    let model = whetstone_hub::resolve(&args.model.to_string_lossy(), &*progress)?;
    if args.force {
        forget(&model, CALIBRATE)?;
    }
    let job = CalibrateJob {
        model: &ModelDir::new(&model),
        data: &DataSet::new(&args.data),
        first_stages: &by_name(&args.first_stages)?,
        precisions: &args.precisions,
    };
    let placement = Placement { device: args.device.device, precision: args.scoring_precision };
    let manifest = whetstone_rank::calibrate(&job, placement, &*progress)?;
    talk.report(&model, &manifest)
}
