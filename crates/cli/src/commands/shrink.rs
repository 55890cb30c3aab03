//! `whetstone shrink`: a smaller model that learns from the larger one.

use super::DeviceArgs;
use crate::cli::Talk;
use crate::device_memory;
use crate::failure::{Problem, Result};
use crate::output;
use std::path::{Path, PathBuf};
use whetstone_export::{EXPORT, ExportJob, SHRINK, ShrinkJob, export, kept_layers, shrink};
use whetstone_model::{Engine, LateInteraction};
use whetstone_rank::write_card;
use whetstone_records::{AtomicFolder, DataSet, Manifest, ModelDir, RunDir, forget};
use whetstone_train::{ModelKind, TrainConfig, forget_run, train};

/// Make a model smaller: fewer layers, only the words of your corpus; then let it learn from the
/// larger one
#[derive(clap::Args)]
#[command(after_help = "Examples:
  whetstone shrink --model models/mine --layers 3 --data data/mine \\
    --checkpoint checkpoints/mine-3 --out models/mine-3
  whetstone shrink --model models/mine --vocabulary data/mine/corpus.jsonl --out models/mine-small

A model that loses layers must learn anew to score: with --data, it trains on the pairs of
train.jsonl towards the scores of --model, and of a cross-encoder towards what comes out of its
layers too; the best step by dev nDCG@10 becomes --out. Without --data, --out is the cut model
itself, for a training of your own. The layers that stay are spread evenly, the first and the last
among them.

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
    #[arg(long, value_name = "DIR", requires = "checkpoint", requires = "layers")]
    data: Option<PathBuf>,
    /// Folder for the training run
    #[arg(long, value_name = "DIR", requires = "data")]
    checkpoint: Option<PathBuf>,
    /// Config of the training (TOML), whose `loss` is mse or margin-mse, of a late interaction
    /// margin-mse [default: such a loss, 3 epochs]
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
    let (Some(data), Some(checkpoint), Some(layers)) = (&args.data, &args.checkpoint, args.layers)
    else {
        let job = ShrinkJob { model: &model, layers: args.layers, vocabulary: &args.vocabulary };
        return talk.report(&args.out, &smaller(&job, &args.out, args.force)?);
    };
    // Before any work is done.
    let pairs = DataSet::new(data).train();
    if !pairs.is_file() {
        return Err(Problem::new(
            format!("`{}` does not exist", pairs.display()),
            "name a data set that `whetstone pair` wrote with --data",
        )
        .into());
    }
    if checkpoint == data || checkpoint == &args.out {
        return Err(Problem::new(
            format!("--checkpoint `{}` is another folder's name too", checkpoint.display()),
            "give the training a folder of its own",
        )
        .into());
    }
    let last = if args.vocabulary.is_empty() { EXPORT } else { SHRINK };
    AtomicFolder::check(&args.out, last)?;
    let kind = match LateInteraction::is_in(&model)? {
        true => ModelKind::LateInteraction,
        false => ModelKind::CrossEncoder,
    };
    let config = match &args.config {
        None => TrainConfig::distillation(kind),
        Some(path) => with_teacher_loss(TrainConfig { kind, ..TrainConfig::load(path)? }, path)?,
    };
    let run = RunDir::new(checkpoint);
    let learning = Learning { args, talk, model: &model, layers, data, run };
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

/// Writes a smaller model and its card.
fn smaller(job: &ShrinkJob, out: &Path, force: bool) -> Result<Manifest> {
    if force {
        forget(out, SHRINK)?;
    }
    let manifest = shrink(job, out)?;
    write_card(&ModelDir::new(out))?;
    Ok(manifest)
}

/// A model with fewer layers that learns from the larger one.
struct Learning<'a> {
    args: &'a Args,
    talk: &'a Talk,
    model: &'a Path,
    layers: usize,
    data: &'a Path,
    run: RunDir,
}

impl Learning<'_> {
    /// Cuts, trains, exports, and only then takes words away: student and teacher must read the
    /// same tokens.
    fn run(&self, config: TrainConfig) -> Result<Vec<Manifest>> {
        let Args { out, vocabulary, force, .. } = self.args;
        let student = self.run.student();
        let job = ShrinkJob { model: self.model, layers: Some(self.layers), vocabulary: &[] };
        let mut manifests = vec![self.told(&student, smaller(&job, &student, *force)?)];
        manifests.push(self.told(self.run.root(), self.train(config, &student)?));
        if vocabulary.is_empty() {
            manifests.push(self.told(out, self.export(out)?));
            return Ok(manifests);
        }
        let learned = self.run.learned();
        manifests.push(self.told(&learned, self.export(&learned)?));
        let job = ShrinkJob { model: &learned, layers: None, vocabulary };
        manifests.push(self.told(out, smaller(&job, out, *force)?));
        Ok(manifests)
    }

    fn train(&self, config: TrainConfig, student: &Path) -> Result<Manifest> {
        let run = self.run.root();
        if self.args.force {
            forget_run(run)?;
        }
        let kept = kept_layers(self.model, self.layers)?;
        let config = config.with_teacher((student, kept), self.model, self.data)?;
        let engines = [Engine::open(self.args.device.device)?];
        device_memory::training_asks(student, self.data, &config, &engines[0]);
        Ok(train(self.data, run, student, &config, &engines, &*self.talk.progress())?)
    }

    fn export(&self, out: &Path) -> Result<Manifest> {
        if self.args.force {
            forget(out, EXPORT)?;
        }
        let manifest = export(&ExportJob::of(self.run.root()), out)?;
        write_card(&ModelDir::new(out))?;
        Ok(manifest)
    }

    fn told(&self, out: &Path, manifest: Manifest) -> Manifest {
        if !self.talk.json() {
            self.talk.tell(out, &manifest);
        }
        manifest
    }
}
