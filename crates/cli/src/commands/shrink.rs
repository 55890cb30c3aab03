//! `whetstone shrink`: a smaller model that learns from the larger one.

use super::DeviceArgs;
use crate::cli::Talk;
use crate::failure::{Problem, Result};
use crate::output;
use std::path::{Path, PathBuf};
use whetstone_export::{ExportJob, SHRINK, ShrinkJob, export, shrink};
use whetstone_model::Engine;
use whetstone_rank::write_card;
use whetstone_records::{Manifest, ModelDir, RunDir, forget};
use whetstone_train::{TrainConfig, forget_run, train};

/// Make a model smaller: fewer layers, only the words of your corpus; then let it learn from the
/// larger one
#[derive(clap::Args)]
#[command(after_help = "Examples:
  whetstone shrink --model models/mine --layers 3 --data data/mine \\
    --checkpoint checkpoints/mine-3 --out models/mine-3
  whetstone shrink --model models/mine --vocabulary data/mine/corpus.jsonl --out models/mine-small

A model that loses layers must learn anew to score: with --data, it trains on the pairs of train.jsonl
towards the logits of --model, and its best step by dev nDCG@10 becomes --out. Without --data, --out is
the cut model itself, for a training of your own. The layers that stay are spread evenly, the first and
the last among them.

A vocabulary loses tokens without any training: a text whose tokens all stay has the same logits to
the last bit. Words that are not in the files are split into shorter pieces, down to single
characters. WordPiece and Unigram vocabularies can lose tokens, byte pairs cannot.

Run the same command again to resume.")]
pub struct Args {
    /// The larger model's folder, such as `whetstone export` writes, or its id on the hub
    #[arg(long, value_name = "DIR")]
    model: String,
    /// How many layers stay [default: all]
    #[arg(long, value_name = "N", required_unless_present = "vocabulary")]
    layers: Option<usize>,
    /// A corpus.jsonl or queries.jsonl whose words stay; repeat the option for more [default: all
    /// words stay]
    #[arg(long, value_name = "FILE")]
    vocabulary: Vec<PathBuf>,
    /// Data set on whose pairs the smaller model learns from the larger one
    #[arg(long, value_name = "DIR", requires = "checkpoint")]
    data: Option<PathBuf>,
    /// Folder for the training run
    #[arg(long, value_name = "DIR", requires = "data")]
    checkpoint: Option<PathBuf>,
    /// Config of the training (TOML), whose `loss` is mse or margin-mse [default: mse, 3 epochs]
    #[arg(long, value_name = "FILE", requires = "data")]
    config: Option<PathBuf>,
    /// Folder for the smaller model
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    device: DeviceArgs,
    /// Run again even where the result is up to date
    #[arg(long)]
    force: bool,
}

pub fn run(args: &Args, talk: &Talk) -> Result<()> {
    let model = whetstone_hub::resolve(&args.model, &*talk.progress())?;
    let (Some(data), Some(checkpoint)) = (&args.data, &args.checkpoint) else {
        let manifest = cut(args, &model, &args.out)?;
        return talk.report(&args.out, &manifest);
    };
    // Before any work is done.
    let config = match &args.config {
        None => TrainConfig::distillation(),
        Some(path) => with_teacher_loss(TrainConfig::load(path)?, path)?,
    };
    let learning = Learning { args, talk, model: &model, data, run: RunDir::new(checkpoint) };
    let manifests = learning.run(config)?;
    if talk.json() { output::json(&manifests) } else { Ok(()) }
}

/// Refuses a config whose loss learns nothing from a teacher.
fn with_teacher_loss(config: TrainConfig, path: &Path) -> Result<TrainConfig> {
    match config.loss.needs_teacher() {
        true => Ok(config),
        false => Err(Problem::new(
            format!("the `loss` of `{}` learns nothing from the larger model", path.display()),
            "set `loss = \"mse\"` or `loss = \"margin-mse\"`",
        )
        .into()),
    }
}

/// Writes the cut model and its card.
fn cut(args: &Args, model: &Path, out: &Path) -> Result<Manifest> {
    if args.force {
        forget(out, SHRINK)?;
    }
    let job = ShrinkJob { model, layers: args.layers, vocabulary: &args.vocabulary };
    let manifest = shrink(&job, out)?;
    write_card(&ModelDir::new(out))?;
    Ok(manifest)
}

/// A smaller model that learns from the larger one: three stages.
struct Learning<'a> {
    args: &'a Args,
    talk: &'a Talk,
    model: &'a Path,
    data: &'a Path,
    run: RunDir,
}

impl Learning<'_> {
    fn run(&self, config: TrainConfig) -> Result<Vec<Manifest>> {
        let (run, out, student) = (self.run.root(), &self.args.out, self.run.student());
        let shrunk = self.told(&student, cut(self.args, self.model, &student)?);
        if self.args.force {
            forget_run(run)?;
            forget(out, "export")?;
        }
        let config = config.with_teacher(&student, self.model, self.data)?;
        let engines = [Engine::open(self.args.device.device)?];
        let progress = self.talk.progress();
        let trained = train(self.data, run, &student, &config, &engines, &*progress)?;
        let trained = self.told(run, trained);
        let exported = self.told(out, export(&ExportJob::of(run), out)?);
        write_card(&ModelDir::new(out))?;
        Ok(vec![shrunk, trained, exported])
    }

    fn told(&self, out: &Path, manifest: Manifest) -> Manifest {
        if !self.talk.json() {
            self.talk.tell(out, &manifest);
        }
        manifest
    }
}
