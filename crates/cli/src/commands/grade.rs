//! `whetstone grade`: an LLM's grades of training pairs.

use super::DataArgs;
use crate::cli::Talk;
use crate::failure::Result;

/// Have an LLM grade the training pairs, for soft labels and to drop negatives that do answer
/// (optional, between mine and pair)
#[derive(clap::Args)]
#[command(after_help = "Example:
  whetstone grade --config configs/synth.toml --out data/mine
  whetstone pair --config configs/synth.toml --out data/mine

Every positive and every mined negative of a training query gets a grade from 0 to 3. Each takes one
call to the LLM of [judge], at the endpoint and within the caps of [llm]. `pair` then reads
OUT/grades.jsonl: labels are grade / 3, `teacher` is the grade, and negatives of grade 2 and 3 and
positives of grade 0 are left out. Delete the file to undo this.")]
pub struct Args {
    #[command(flatten)]
    data: DataArgs,
}

pub fn run(args: &Args, talk: &Talk) -> Result<()> {
    let (config, out) = args.data.load()?;
    if args.data.force {
        whetstone_records::forget(&out, "grade")?;
    }
    let manifest = whetstone_synth::grade(&out, &config, &*talk.progress())?;
    talk.report(&out, &manifest)
}
