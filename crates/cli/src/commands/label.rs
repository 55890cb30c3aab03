use super::eval::{first_stages, named_run};
use crate::cli::Talk;
use crate::failure::Problem;
use crate::label::{self, Item, Judgements, Session};
use crate::output;
use crate::rerank::refuse_missing;
use anyhow::{Result, bail};
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use whetstone_eval::{Pool, REAL_QUERIES, pool};
use whetstone_records::{Passage, PassageId, Query, QueryId, Run, select_jsonl};

/// Judge by hand what several runs found, in the terminal
#[derive(clap::Args)]
#[command(after_help = "Examples:
  whetstone label --data data/mine --out judgements.tsv
  whetstone label --data data/mine --run bm25=data/mine/runs/bm25.run --run tuned=out/tuned.run --out judgements.tsv
  whetstone eval --qrels judgements.tsv --run bm25=data/mine/runs/bm25.run --run tuned=out/tuned.run
Shows each query with the passages that stand in the first DEPTH of any run, in an order that tells nothing about ranks.
Keys: 0 no answer, 1 touches the subject, 2 answers in part, 3 answers; u undo, s skip, b back, q quit, ? help. Every
grade is on the disk before the next passage is shown; given again, the command goes on where it was. The file is a
qrels: BEIR's where its name ends in .tsv, else TREC's.")]
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
    /// A ranking in TREC's run format, and its name; may be given again
    #[arg(long = "run", value_name = "NAME=RUN", required_unless_present = "data", value_parser = named_run)]
    runs: Vec<(String, PathBuf)>,
    /// Where the judgements are kept; an existing file is continued
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// How many passages of each run are judged for each query
    #[arg(long, value_name = "N", default_value = "10")]
    depth: NonZeroUsize,
    /// Another number, another order
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

pub fn run(args: &Args, talk: &Talk) -> Result<()> {
    label::refuse_without_terminal()?;
    let mut session = Session::new(args.items()?, Judgements::open(&args.out)?);
    label::label(&mut session)?;
    let summary = Summary {
        judged: session.judged(),
        of: session.len(),
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

/// What a session leaves.
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
            output::talk(&format!("  {skipped} skipped: the same command asks for them again"));
        }
        let few =
            if *queries_with_answer < REAL_QUERIES { "; 50 make a verdict likely" } else { "" };
        output::talk(&format!("  {queries_with_answer} queries have an answer{few}"));
    }
}

impl Args {
    /// Everything that is to be judged, in the order in which it is asked.
    fn items(&self) -> Result<Vec<Item>> {
        let runs =
            self.run_files()?.iter().map(|path| Run::read(path)).collect::<Result<Vec<_>, _>>()?;
        let pools = pool(&runs.iter().collect::<Vec<_>>(), self.depth.get(), self.seed);
        let queries = texts_of_queries(&self.file(&self.queries, "queries.jsonl"), &pools)?;
        let passages = texts_of_passages(&self.file(&self.corpus, "corpus.jsonl"), &pools)?;
        let mut items = Vec::new();
        for (query_place, pool) in (1..).zip(&pools) {
            for (passage_place, passage) in (1..).zip(&pool.passages) {
                let (title, text) = passages[passage].clone();
                items.push(Item {
                    query: pool.query.clone(),
                    query_text: queries[&pool.query].clone(),
                    passage: passage.clone(),
                    title,
                    text,
                    query_place: (query_place, pools.len()),
                    passage_place: (passage_place, pool.passages.len()),
                });
            }
        }
        Ok(items)
    }

    fn file(&self, named: &Option<PathBuf>, name: &str) -> PathBuf {
        named.clone().unwrap_or_else(|| self.data.clone().unwrap_or_default().join(name))
    }

    /// The runs that are named, else those of the data set.
    fn run_files(&self) -> Result<Vec<PathBuf>> {
        if !self.runs.is_empty() {
            return Ok(self.runs.iter().map(|(_, path)| path.clone()).collect());
        }
        let data = self.data.clone().unwrap_or_default();
        let runs = first_stages(&data)?;
        if runs.is_empty() {
            let message = format!("`{}` holds no runs", data.join("runs").display());
            bail!(Problem::new(message, "name the runs to judge with --run NAME=RUN"));
        }
        Ok(runs.into_iter().map(|(_, path)| path).collect())
    }
}

fn texts_of_queries(path: &Path, pools: &[Pool]) -> Result<HashMap<QueryId, String>> {
    let wanted: HashSet<&QueryId> = pools.iter().map(|pool| &pool.query).collect();
    let queries = select_jsonl(path, |query: &Query| wanted.contains(&query.id))?;
    let texts: HashMap<_, _> = queries.into_iter().map(|query| (query.id, query.text)).collect();
    let missing: Vec<_> =
        pools.iter().map(|pool| &pool.query).filter(|query| !texts.contains_key(*query)).collect();
    refuse_missing("queries", path, &missing)?;
    Ok(texts)
}

/// Titles and texts.
fn texts_of_passages(path: &Path, pools: &[Pool]) -> Result<HashMap<PassageId, (String, String)>> {
    let wanted: HashSet<&PassageId> = pools.iter().flat_map(|pool| &pool.passages).collect();
    let passages = select_jsonl(path, |passage: &Passage| wanted.contains(&passage.id))?;
    let texts: HashMap<_, _> =
        passages.into_iter().map(|passage| (passage.id, (passage.title, passage.text))).collect();
    let missing = pools
        .iter()
        .flat_map(|pool| &pool.passages)
        .filter(|passage| !texts.contains_key(*passage));
    refuse_missing("passages", path, &missing.collect::<Vec<_>>())?;
    Ok(texts)
}
