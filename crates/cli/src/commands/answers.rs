//! `whetstone answers`: the answers of an LLM before and after reranking.

use crate::cli::Talk;
use crate::failure::Result;
use crate::output;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use whetstone_llm::Comparison;
use whetstone_rank::{ANSWERS, AnswersJob};
use whetstone_records::{DataSet, forget};
use whetstone_synth::SynthConfig;

/// Compare the answers that an LLM gives from the passages of two runs
#[derive(clap::Args)]
#[command(after_help = "Example:
  whetstone answers --config configs/synth.toml --data data/mine \\
    --before data/mine/candidates.run --after out/tuned.run --out out/answers

For each query, the LLM of [llm] answers from the first --top passages of either run. A judge ([judge]
llm, else the same LLM) says which answer is better. It is asked twice, with the answers in either
place; a judge that changes its mind makes a tie. Queries whose first passages are the same in both
runs cost nothing. Every answer is journalled before it is used, and the caps of [llm] hold. Run it
again to ask only what is missing.")]
pub struct Args {
    /// Config with `[llm]`; configs/synth.toml lists every key with its default
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// A data set: its corpus.jsonl and queries.jsonl
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The run before reranking
    #[arg(long, value_name = "RUN")]
    before: PathBuf,
    /// The run after it
    #[arg(long, value_name = "RUN")]
    after: PathBuf,
    /// Folder for answers.jsonl, answers.json and the journal
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// How many passages the LLM reads
    #[arg(long, value_name = "N", default_value = "3")]
    top: NonZeroUsize,
    /// Ask a sample of this many queries; 0 for all
    #[arg(long, value_name = "N", default_value_t = 50)]
    max_queries: usize,
    /// Run again even where the result is up to date; the journal still saves calls
    #[arg(long)]
    force: bool,
}

pub fn run(args: &Args, talk: &Talk) -> Result<()> {
    if args.force {
        forget(&args.out, ANSWERS)?;
    }
    let config = SynthConfig::load(&args.config)?;
    let job = AnswersJob {
        comparison: Comparison { llm: &config.llm, judge: &config.judge, answers: &config.answers },
        seed: config.seed,
        data: &DataSet::new(&args.data),
        before: &args.before,
        after: &args.after,
        out: &args.out,
        top: args.top.get(),
        max_queries: args.max_queries,
    };
    let (manifest, result) = job.run(&*talk.progress())?;
    if talk.json() {
        return output::json(&result);
    }
    talk.tell(&args.out, &manifest);
    output::data(&format!("{result}\n"))
}
