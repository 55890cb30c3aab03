//! `whetstone synth`: a data set from documents.

use super::{DataArgs, PlacementArgs, corpus};
use crate::cli::Talk;
use crate::failure::{Problem, Result};
use crate::output;
use std::path::{Path, PathBuf};
use whetstone_model::Placement;
use whetstone_records::{Manifest, Progress};
use whetstone_synth::{AskJob, MineJob, PairJob, SynthConfig};

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
    /// Folder of .md, .markdown, .mdx, .txt, .html and .htm files, or a BEIR corpus.jsonl; the
    /// config may name it as `corpus`
    #[arg(long, value_name = "PATH")]
    corpus: Option<PathBuf>,
    #[command(flatten)]
    placement: PlacementArgs,
}

pub const STAGES: [&str; 4] = ["chunk", "ask", "mine", "pair"];
/// The stages of a data set that is gathered from others.
const GATHERED: [&str; 3] = ["gather", "mine", "pair"];

pub fn run(args: &Args, talk: &Talk) -> Result<()> {
    let (mut config, out) = args.data.load()?;
    let (stages, corpus) = source(args, &config)?;
    if args.data.force {
        stages.iter().try_for_each(|stage| whetstone_records::forget(&out, stage))?;
    }
    let progress = talk.progress();
    let model = whetstone_hub::resolve(&config.model, &*progress)?;
    // Now, and not after an hour of other stages.
    super::pair::teacher(&config, &*progress)?;
    super::mine::find_models(&mut config, &*progress)?;
    let job = Job {
        config: &config,
        corpus: &corpus,
        out: &out,
        model: &model,
        placement: args.placement.placement(),
    };
    let mut manifests = vec![];
    for stage in stages {
        let manifest = job.stage(stage, &*progress)?;
        if !talk.json() {
            talk.tell(&out, &manifest);
        }
        manifests.push(manifest);
    }
    if talk.json() { output::json(&manifests) } else { Ok(()) }
}

/// Returns the stages, and the corpus where there is one.
fn source(args: &Args, config: &SynthConfig) -> Result<(&'static [&'static str], PathBuf)> {
    if config.gather.folders.is_empty() {
        return Ok((&STAGES, corpus(args.corpus.as_deref(), config)?));
    }
    if args.corpus.is_some() || config.corpus.is_some() {
        return Err(Problem::new(
            "a corpus and folders to gather",
            "a data set is made from one corpus, or from the `folders` in [gather]",
        )
        .into());
    }
    Ok((&GATHERED, PathBuf::new()))
}

/// What the stages read and write.
pub struct Job<'a> {
    pub config: &'a SynthConfig,
    pub corpus: &'a Path,
    pub out: &'a Path,
    pub model: &'a Path,
    pub placement: Placement,
}

impl Job<'_> {
    /// Runs one of [`STAGES`] or [`GATHERED`].
    pub fn stage(&self, stage: &str, progress: &dyn Progress) -> Result<Manifest> {
        let Self { config, out, model, .. } = self;
        Ok(match stage {
            "gather" => whetstone_synth::gather(out, config, progress)?,
            "chunk" => whetstone_synth::chunk(self.corpus, out, model, config, progress)?,
            "ask" => {
                let job = AskJob { out, config, model: Some(*model), placement: self.placement };
                whetstone_synth::ask(&job, progress)?
            }
            "mine" => {
                let job = MineJob { out, config, model, placement: self.placement };
                whetstone_synth::mine(&job, progress)?
            }
            _ => {
                let teacher = super::pair::teacher(config, progress)?;
                let (teacher, placement) = (teacher.as_deref(), self.placement);
                whetstone_synth::pair(&PairJob { out, config, teacher, placement }, progress)?
            }
        })
    }
}
