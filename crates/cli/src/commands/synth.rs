//! `whetstone synth`: a data set from documents.

use super::{DataArgs, DeviceArgs, corpus};
use crate::cli::Talk;
use crate::failure::Result;
use crate::output;
use std::path::{Path, PathBuf};
use whetstone_model::DeviceName;
use whetstone_records::{Manifest, Progress};
use whetstone_synth::{AskJob, MineJob, SynthConfig};

/// Make a data set from documents: chunk, ask, mine, pair
#[derive(clap::Args)]
#[command(after_help = "Examples:
  whetstone synth --config configs/synth.toml --corpus my-docs --out data/mine
  whetstone synth --config configs/synth.toml --corpus beir/corpus.jsonl --out data/beir --json

The folder is a BEIR data set (corpus.jsonl, queries.jsonl, qrels/) with train.jsonl, dev.jsonl,
test.jsonl and candidates.run. Steps that are up to date are skipped. --json prints the four manifests
as an array.")]
pub struct Args {
    #[command(flatten)]
    data: DataArgs,
    /// Folder of .md, .txt and .html files, or a BEIR corpus.jsonl; the config may name it as
    /// `corpus`
    #[arg(long, value_name = "PATH")]
    corpus: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArgs,
}

pub const STAGES: [&str; 4] = ["chunk", "ask", "mine", "pair"];

pub fn run(args: &Args, talk: &Talk) -> Result<()> {
    let (config, out) = args.data.load()?;
    let corpus = corpus(args.corpus.as_deref(), &config)?;
    if args.data.force {
        STAGES.iter().try_for_each(|stage| whetstone_records::forget(&out, stage))?;
    }
    let progress = talk.progress();
    let model = whetstone_hub::resolve(&config.model, &*progress)?;
    let job = Job {
        config: &config,
        corpus: &corpus,
        out: &out,
        model: &model,
        device: args.device.device,
    };
    let mut manifests = vec![];
    for stage in STAGES {
        let manifest = job.stage(stage, &*progress)?;
        if !talk.json() {
            talk.tell(&out, &manifest);
        }
        manifests.push(manifest);
    }
    if talk.json() { output::json(&manifests) } else { Ok(()) }
}

/// What the four stages read and write.
pub struct Job<'a> {
    pub config: &'a SynthConfig,
    pub corpus: &'a Path,
    pub out: &'a Path,
    pub model: &'a Path,
    pub device: DeviceName,
}

impl Job<'_> {
    /// Runs one of [`STAGES`].
    pub fn stage(&self, stage: &str, progress: &dyn Progress) -> Result<Manifest> {
        let Self { config, out, model, .. } = self;
        Ok(match stage {
            "chunk" => whetstone_synth::chunk(self.corpus, out, model, config, progress)?,
            "ask" => {
                let job = AskJob { out, config, model: Some(*model), device: self.device };
                whetstone_synth::ask(&job, progress)?
            }
            "mine" => {
                let job = MineJob { out, config, model, device: self.device };
                whetstone_synth::mine(&job, progress)?
            }
            _ => whetstone_synth::pair(out, config, progress)?,
        })
    }
}
