//! `whetstone fuse`: one order made of several runs.

use crate::cli::Talk;
use crate::failure::{Problem, Result};
use std::path::{Path, PathBuf};
use whetstone_rank::{FUSE, Joining, RunPaths, folder, fuse, fuse_scores, stage_name};
use whetstone_records::forget;

/// Join runs: their ranks, or a model's logits with the first stages' scores
#[derive(clap::Args)]
#[command(after_help = "Examples:
  whetstone fuse data/mine/runs/bm25.run data/mine/runs/dense.run out/tuned.run --out out/fused.run
  whetstone fuse data/mine/runs/bm25.run data/mine/runs/dense.run --logits out/tuned.run \\
    --way scores --out out/joined.run

With --way ranks, a passage scores the sum of 1 / (60 + rank) over the runs that have it, and the
scores themselves need not have the same scale. With --way scores, a passage of --logits scores
logit / temperature + weight * (sum of z over the RUNs), where z is a run's score of it less the mean
over the query's candidates, divided by their standard deviation. A late interaction's similarity
counts as z too, unless there is a --temperature. A passage that a run lacks counts as the lowest it
has. `whetstone rerank --fuse` does the same with what `whetstone calibrate` learned.")]
pub struct Args {
    /// The runs, in TREC's format; with --way scores, those of the first stages
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,
    /// What to join
    #[arg(long, value_enum, default_value_t = Way::Ranks)]
    way: Way,
    /// The model's run, its logits as scores, for --way scores
    #[arg(long, value_name = "RUN", required_if_eq("way", "scores"))]
    logits: Option<PathBuf>,
    /// What the logits are divided by, for --way scores [default: 4; z stands for a late
    /// interaction's maximum similarities]
    #[arg(long, value_name = "NUMBER", value_parser = above_0)]
    temperature: Option<f64>,
    /// The weight of each first stage, for --way scores [default: 0.5, and 0.25 for a single one]
    #[arg(long, value_name = "NUMBER", value_parser = above_0)]
    weight: Option<f64>,
    /// Path of the fused run
    #[arg(long, value_name = "RUN")]
    out: PathBuf,
    /// Run again even where the result is up to date
    #[arg(long)]
    force: bool,
}

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum Way {
    /// Reciprocal rank fusion
    Ranks,
    /// Logits and z-scores in one sum
    Scores,
}

fn above_0(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number.is_finite() => Ok(number),
        _ => Err("expected a number above 0".into()),
    }
}

pub fn run(args: &Args, talk: &Talk) -> Result<()> {
    let folder = folder(&args.out);
    if args.force {
        forget(folder, &stage_name(FUSE, &args.out))?;
    }
    let of_scores =
        [("--weight", args.weight.is_some()), ("--temperature", args.temperature.is_some())];
    if let Some((flag, _)) = of_scores.iter().find(|(_, given)| *given && args.way != Way::Scores) {
        return Err(Problem::new(
            format!("{flag} goes with --way scores"),
            "add --way scores and --logits",
        )
        .into());
    }
    let manifest = match &args.logits {
        Some(logits) if args.way == Way::Scores => {
            fuse_scores(&args.joining(logits)?, logits, &args.out)?
        }
        Some(_) => {
            return Err(Problem::new(
                "--logits goes with --way scores",
                "add --way scores, or give the model's run among the others",
            )
            .into());
        }
        None if args.runs.len() < 2 => {
            return Err(Problem::new("there is only one run to fuse", "give two or more").into());
        }
        None => fuse(&args.runs, &args.out)?,
    };
    talk.report(folder, &manifest)
}

impl Args {
    /// The runs are numbered, as two of them may have one name.
    fn joining(&self, logits: &Path) -> Result<Joining> {
        let named = (1..).zip(&self.runs).map(|(number, run)| (format!("run-{number}"), run));
        let first_stages: RunPaths = named.map(|(name, run)| (name, run.clone())).collect();
        let mut joining = Joining::fixed(logits, first_stages)?;
        let join = &mut joining.join;
        join.temperature = self.temperature.or(join.temperature);
        if let Some(weight) = self.weight {
            join.weights.values_mut().for_each(|one| *one = weight);
        }
        Ok(joining)
    }
}
