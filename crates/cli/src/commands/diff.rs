//! `whetstone diff`: two evaluations side by side.

use crate::cli::Talk;
use crate::failure::{CheckFailed, Problem, Result};
use crate::output;
use crate::table::{aligned, signed_span};
use std::path::{Path, PathBuf};
use whetstone_eval::{Change, CompareConfig, Diff, Measure, PastEvaluation, diff, stars};
use whetstone_records::EvalDir;

/// Compare two evaluations, run by run, on the queries that both measured
#[derive(clap::Args)]
#[command(after_help = "Examples:
  whetstone diff out/monday out/tuesday
  whetstone diff out/main out/branch --run tuned --gate      in CI: exit code 1 if a run got worse
  whetstone diff a/per_query.jsonl b/per_query.jsonl --measure map --json

A and B are folders of `whetstone eval --out`, or their measures.json or per_query.jsonl. Runs of the
same name are compared; where each has only one run, those two. A run became better or worse where
two things hold: the paired randomisation test's p, after Holm's correction over the runs, is at most
--alpha, and the bootstrap interval of B - A excludes 0.")]
pub struct Args {
    /// The earlier evaluation
    a: PathBuf,
    /// The later evaluation
    b: PathBuf,
    /// Compare only the runs of this name
    #[arg(long, value_name = "NAME")]
    run: Option<String>,
    /// The measure to compare
    #[arg(long, value_name = "MEASURE", default_value = "ndcg@10")]
    measure: Measure,
    /// Significance level of the test; the intervals have confidence 1 - LEVEL
    #[arg(long, value_name = "LEVEL", default_value_t = CompareConfig::default().alpha)]
    alpha: f64,
    /// Seed of the randomisation test and the bootstrap
    #[arg(long, value_name = "SEED", default_value_t = CompareConfig::default().seed)]
    seed: u64,
    /// Exit with code 1 if a run became worse
    #[arg(long)]
    gate: bool,
}

pub fn run(args: &Args, talk: &Talk) -> Result<()> {
    let config = CompareConfig { alpha: args.alpha, seed: args.seed, ..Default::default() };
    let (a, b) =
        (PastEvaluation::read(&per_query(&args.a)?)?, PastEvaluation::read(&per_query(&args.b)?)?);
    let diff = diff(&a, &b, args.run.as_deref(), args.measure, &config)?;
    if talk.json() {
        output::json(&diff)?;
    } else {
        output::data(&table(&diff))?;
        for (only, path) in [(diff.only_in_a, &args.a), (diff.only_in_b, &args.b)] {
            if only > 0 {
                output::warning(&format!(
                    "{only} queries are only in `{}` and were left out",
                    path.display()
                ));
            }
        }
    }
    let worse: Vec<&str> =
        diff.runs.iter().filter(|run| run.change == Change::Worse).map(|run| &*run.run).collect();
    if args.gate && !worse.is_empty() {
        return Err(CheckFailed(format!(
            "worse by {} than in `{}`: {}",
            diff.measure,
            args.a.display(),
            worse.join(", ")
        ))
        .into());
    }
    Ok(())
}

/// Returns the per-query file of an evaluation, named by its folder or by one of its files.
fn per_query(path: &Path) -> Result<PathBuf> {
    let file = match path.file_name() {
        _ if path.is_dir() => EvalDir::new(path).per_query(),
        Some(name) if name == EvalDir::MEASURES => path.with_file_name(EvalDir::PER_QUERY),
        _ => path.into(),
    };
    if !file.is_file() {
        let message =
            format!("`{}` is no evaluation: `{}` is not there", path.display(), file.display());
        return Err(Problem::new(message, "name a folder that `whetstone eval --out` made").into());
    }
    Ok(file)
}

fn table(diff: &Diff) -> String {
    let header = ["run", "A", "B", "B - A", "interval", "p (Holm)", "wins / ties / losses", "B is"];
    let rows = diff.runs.iter().map(|run| {
        let paired = &run.paired;
        vec![
            if run.run == run.other {
                run.run.clone()
            } else {
                format!("{} / {}", run.run, run.other)
            },
            format!("{:.4}", run.a_mean),
            format!("{:.4}", run.b_mean),
            format!("{:+.4}", paired.difference),
            signed_span(paired.interval),
            format!("{:.4}{:<3}", run.p_holm, stars(run.p_holm)),
            format!("{} / {} / {}", paired.wins, paired.ties, paired.losses),
            run.change.to_string(),
        ]
    });
    format!(
        "{} over {} queries\n\n{}\n",
        diff.measure,
        diff.queries,
        aligned(header.map(Into::into).into(), rows)
    )
}
