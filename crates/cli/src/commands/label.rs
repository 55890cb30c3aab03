//! `whetstone label`: judgements by hand, in the terminal.

use super::eval::named_run;
use crate::cli::Talk;
use crate::failure::Result;
use crate::labeller::{label, refuse_without_terminal};
use crate::output;
use serde::Serialize;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use whetstone_eval::REAL_QUERIES;
use whetstone_rank::{Error, Item, Judgements, Session, TextFiles, first_stages, pooled};
use whetstone_records::{DataSet, Run};

/// Judge by hand what several runs found, in the terminal
#[derive(clap::Args)]
#[command(after_help = "Examples:
  whetstone label --data data/mine --out judgements.tsv
  whetstone label --data data/mine --run bm25=data/mine/runs/bm25.run --run tuned=out/tuned.run \\
    --out judgements.tsv
  whetstone eval --qrels judgements.tsv --run bm25=data/mine/runs/bm25.run --run tuned=out/tuned.run

Shows each query with the passages that stand in the first DEPTH of any run, in an order that tells
nothing about ranks. Keys: 0 no answer, 1 touches the subject, 2 answers in part, 3 answers; u undo,
s skip, b back, q quit, ? help. Every grade is on the disk before the next passage is shown. Run it
again to resume. The file is a qrels: BEIR's where its name ends in .tsv, else TREC's.")]
pub struct Args {
    /// A data set: its corpus.jsonl, queries.jsonl and, where no --run is given, all runs in its
    /// folder runs
    #[arg(long, value_name = "DIR", required_unless_present_all = ["corpus", "queries"])]
    data: Option<PathBuf>,
    /// Texts of the passages: BEIR's corpus.jsonl
    #[arg(long, value_name = "FILE")]
    corpus: Option<PathBuf>,
    /// Texts of the queries: BEIR's queries.jsonl
    #[arg(long, value_name = "FILE")]
    queries: Option<PathBuf>,
    /// A ranking in TREC's run format, and its name; repeat the option for more
    #[arg(long = "run", value_name = "NAME=RUN", value_parser = named_run)]
    #[arg(required_unless_present = "data")]
    runs: Vec<(String, PathBuf)>,
    /// File of the judgements; an existing file is continued
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Passages of each run to judge for each query
    #[arg(long, value_name = "N", default_value = "10")]
    depth: NonZeroUsize,
    /// Seed of the order
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

pub fn run(args: &Args, talk: &Talk) -> Result<()> {
    refuse_without_terminal()?;
    let mut session = Session::new(args.items()?, Judgements::open(&args.out)?);
    if let Some(data) = &args.data {
        session.language = DataSet::new(data).language()?.unwrap_or_default();
    }
    label(&mut session)?;
    let summary = Summary {
        judged: session.judged(),
        of: session.total(),
        skipped: session.skipped(),
        queries_with_answer: session.queries_with_answer(),
    };
    if talk.json() {
        return output::json(&summary);
    }
    if !talk.quiet() {
        summary.tell(&args.out);
    }
    Ok(())
}

/// The result of a session.
#[derive(Serialize)]
struct Summary {
    judged: usize,
    of: usize,
    skipped: usize,
    queries_with_answer: usize,
}

impl Summary {
    fn tell(&self, out: &Path) {
        let Self { judged, of, skipped, queries_with_answer } = self;
        output::talk(&format!("{judged} of {of} passages judged, in `{}`", out.display()));
        if *skipped > 0 {
            output::talk(&format!("  {skipped} skipped: run the same command to see them again"));
        }
        let few =
            if *queries_with_answer < REAL_QUERIES { "; 50 make a verdict likely" } else { "" };
        output::talk(&format!("  {queries_with_answer} queries have an answer{few}"));
    }
}

impl Args {
    /// Everything to judge, in the order of asking.
    fn items(&self) -> Result<Vec<Item>> {
        let data = self.data.as_ref().map(DataSet::new);
        let runs = self.run_files(data.as_ref())?;
        let runs = runs.iter().map(|path| Run::read(path)).collect::<Result<Vec<_>, _>>()?;
        let file = |named: &Option<PathBuf>, of: fn(&DataSet) -> PathBuf| {
            named.clone().or_else(|| data.as_ref().map(of)).unwrap_or_default()
        };
        let corpus = file(&self.corpus, DataSet::corpus);
        let queries = file(&self.queries, DataSet::queries);
        let texts = TextFiles { corpus: &corpus, queries: &queries };
        Ok(pooled(&runs, texts, self.depth.get(), self.seed)?)
    }

    /// The runs that the user named, else those of the data set.
    fn run_files(&self, data: Option<&DataSet>) -> Result<Vec<PathBuf>> {
        let (Some(data), []) = (data, &self.runs[..]) else {
            return Ok(self.runs.iter().map(|(_, path)| path.clone()).collect());
        };
        let runs = first_stages(data)?;
        if runs.is_empty() {
            return Err(Error::NoRuns { folder: data.runs() }.into());
        }
        Ok(runs.into_iter().map(|(_, path)| path).collect())
    }
}
