use crate::cli::Talk;
use crate::output;
use anyhow::Result;
use comfy_table::{CellAlignment, Table, presets};
use std::path::PathBuf;
use whetstone_eval::{Measure, Report};

/// Measure runs against relevance judgements
#[derive(clap::Args)]
#[command(after_help = "Examples:
  whetstone eval --qrels data/mine/qrels/test.tsv --run bm25=data/mine/runs/bm25.run --run tuned=out/tuned.run
  whetstone eval --qrels test.qrels --run mine=mine.run --json
Every mean is over all queries of the qrels with a relevant passage; a query that a run leaves out counts as 0.
Ties are broken as trec_eval breaks them.")]
pub struct Args {
    /// Relevance judgements: BEIR's qrels/test.tsv or TREC's four columns
    #[arg(long, value_name = "FILE")]
    qrels: PathBuf,
    /// A ranking in TREC's run format, and the name it gets in the table; may be given again
    #[arg(long = "run", value_name = "NAME=RUN", required = true, value_parser = named_run)]
    runs: Vec<(String, PathBuf)>,
}

fn named_run(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => Ok((name.into(), path.into())),
        _ => Err("expected NAME=RUN, such as bm25=bm25.run".into()),
    }
}

pub fn run(args: &Args, talk: &Talk) -> Result<()> {
    let report = whetstone_eval::evaluate(&args.qrels, &args.runs, &Measure::defaults())?;
    if talk.json() {
        return output::json(&report);
    }
    output::data(&table(&report))?;
    for run in report.runs.iter().filter(|run| !run.evaluation.missing.is_empty()) {
        let (missing, queries) = (run.evaluation.missing.len(), run.evaluation.queries.len());
        output::warning(&format!("run `{}` has no ranking for {missing} of {queries} queries", run.name));
    }
    Ok(())
}

/// A row for each run, a column for each measure; readable as it is and as Markdown.
pub fn table(report: &Report) -> String {
    let Some(first) = report.runs.first() else { return String::new() };
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    let measures = first.evaluation.measures.iter().map(Measure::to_string);
    table.set_header(["run".to_owned(), "queries".to_owned()].into_iter().chain(measures));
    for run in &report.runs {
        let queries = run.evaluation.queries.len().to_string();
        let means = run.evaluation.means.iter().map(|mean| format!("{mean:.4}"));
        table.add_row([run.name.clone(), queries].into_iter().chain(means));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{table}\n")
}
