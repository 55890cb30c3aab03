//! `whetstone forgetting`: what training cost on other questions.

use super::PlacementArgs;
use crate::cli::Talk;
use crate::failure::Result;
use crate::output;
use crate::table::measured;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use whetstone_eval::Measure;
use whetstone_rank::{ForgettingJob, GeneralSample};
use whetstone_records::DataSet;

/// Measure how much a model forgot: its results on general questions before and after training
#[derive(clap::Args)]
#[command(after_help = "Example:
  whetstone forgetting --before cross-encoder/ms-marco-MiniLM-L6-v2 --after models/mine \\
    --general data/scifact --out out/general

The general set is a BEIR folder: corpus.jsonl, queries.jsonl, qrels/test.tsv. BM25 finds the
candidates of each query, and both models order them. A paired test says how nDCG@10 changed:
GAINED, KEPT (a loss of more than 0.01 is ruled out), FORGOT, or NOT ENOUGH QUERIES. A pair takes some
tens of milliseconds on a CPU; --depth and --max-queries limit their number.")]
pub struct Args {
    /// The model that training started from: a cross-encoder's folder, or its id on the hub
    #[arg(long, value_name = "DIR")]
    before: String,
    /// The trained model
    #[arg(long, value_name = "DIR")]
    after: String,
    /// BEIR folder of general questions
    #[arg(long, value_name = "DIR")]
    general: PathBuf,
    /// Folder for the candidates, both runs and forgetting.json
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Candidates of each query
    #[arg(long, value_name = "N", default_value = "50")]
    depth: NonZeroUsize,
    /// Ask a sample of this many queries; 0 for all
    #[arg(long, value_name = "N", default_value_t = 200)]
    max_queries: usize,
    /// Seed of the sample
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    placement: PlacementArgs,
    /// Run again even where the result is up to date
    #[arg(long)]
    force: bool,
}

pub fn run(args: &Args, talk: &Talk) -> Result<()> {
    let progress = talk.progress();
    let sample =
        GeneralSample { depth: args.depth.get(), max_queries: args.max_queries, seed: args.seed };
    let job = ForgettingJob {
        before: whetstone_hub::resolve(&args.before, &*progress)?,
        after: whetstone_hub::resolve(&args.after, &*progress)?,
        general: DataSet::new(&args.general),
        out: args.out.clone(),
        placement: args.placement.placement(),
        sample,
    };
    if args.force {
        job.forget()?;
    }
    let result = job.run(&*progress, |manifest| talk.tell(&args.out, manifest))?;
    if talk.json() {
        return output::json(&result);
    }
    let table = measured(&result.report, &Measure::defaults());
    output::data(&format!("{table}\n\n{result}\n"))
}
