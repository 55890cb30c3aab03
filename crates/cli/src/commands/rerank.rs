//! `whetstone rerank`: passages in the order of a model.

use super::PlacementArgs;
use crate::cli::Talk;
use crate::failure::{Problem, Result, during};
use crate::output;
use serde::Serialize;
use std::io::Read;
use std::path::{Path, PathBuf};
use whetstone_rank::{
    Joining, RERANK, RerankJob, Reranker, RerankerOptions, STAYS_F32, TextFiles, by_name, folder,
    read_results, scaling_of, stage_name,
};
use whetstone_records::{ModelDir, forget, read_text};

/// Order passages by how well they answer: one query's passages, or the candidates of a whole run
#[derive(clap::Args)]
#[command(after_help = "Examples:
  whetstone rerank --model models/mine --query \"how long is the warranty\" passages.txt
  grep -rh oil docs | whetstone rerank --model models/mine --query \"how to oil a chain\" --json
  whetstone rerank --model models/mine --corpus data/mine/corpus.jsonl \\
    --queries data/mine/queries.jsonl --candidates data/mine/candidates.run --fuse \\
    --out out/tuned.run

With --query, each line of each FILE (or of stdin) is a passage. Lines are counted from 0 over all
files; blank ones count and are skipped. Prints score, index and text, highest score first; with
--json [{\"index\": 2, \"score\": 1.73, \"text\": \"…\"}, …]. The score is the raw
logit, or the similarity of a late interaction; --probability adds \"probability\".")]
pub struct Args {
    /// A cross-encoder or a late interaction: a folder that `whetstone export` wrote, or an id on
    /// the Hugging Face hub
    #[arg(long, value_name = "DIR")]
    model: String,
    /// A query: order the passages of FILE… by it
    #[arg(long, value_name = "TEXT", required_unless_present = "candidates")]
    query: Option<String>,
    /// Files with a passage on each line [default: stdin]
    #[arg(value_name = "FILE", conflicts_with = "candidates")]
    files: Vec<PathBuf>,
    /// Texts of the passages: BEIR's corpus.jsonl
    #[arg(long, value_name = "FILE", requires = "candidates")]
    corpus: Option<PathBuf>,
    /// Texts of the queries: BEIR's queries.jsonl
    #[arg(long, value_name = "FILE", requires = "candidates")]
    queries: Option<PathBuf>,
    /// The run to reorder, in TREC's format
    #[arg(long, value_name = "RUN", conflicts_with = "query")]
    #[arg(requires_all = ["corpus", "queries", "out"])]
    candidates: Option<PathBuf>,
    /// Path of the reordered run
    #[arg(long, value_name = "RUN", requires = "candidates")]
    out: Option<PathBuf>,
    /// Join the model's scores with those of the first stages, as `whetstone calibrate` wrote it
    /// down
    #[arg(long, requires = "candidates")]
    fuse: bool,
    /// A first stage's run for --fuse; repeat the option for each [default: runs/NAME.run beside
    /// the candidates]
    #[arg(long = "first-stage", value_name = "[NAME=]RUN", value_parser = super::maybe_named_run)]
    #[arg(requires = "fuse")]
    first_stages: Vec<(Option<String>, PathBuf)>,
    /// Print the probability of relevance that `whetstone calibrate` learned, in place of the logit
    /// (beside it with --json)
    #[arg(long, conflicts_with = "candidates")]
    probability: bool,
    /// Label that is the score, if the model's head has several: its name in config.json, its
    /// number from 0, or the difference of two, "entailment - contradiction"
    #[arg(long, value_name = "LABEL")]
    head_label: Option<String>,
    #[command(flatten)]
    placement: PlacementArgs,
    /// Run again even where the result is up to date
    #[arg(long, requires = "candidates")]
    force: bool,
}

pub fn run(args: &Args, talk: &Talk) -> Result<()> {
    let progress = talk.progress();
    let model = whetstone_hub::resolve(&args.model, &*progress)?;
    let (Some(corpus), Some(queries), Some(candidates), Some(out)) =
        (&args.corpus, &args.queries, &args.candidates, &args.out)
    else {
        return one_query(args, &model, talk);
    };
    if args.force {
        forget(folder(out), &stage_name(RERANK, out))?;
    }
    let joining = match args.fuse {
        true => {
            let given = by_name(&args.first_stages)?;
            Some(Joining::of_model(&ModelDir::new(&model), candidates, &given)?)
        }
        false => None,
    };
    if let Some(results) = read_results(&ModelDir::new(&model))
        && results.recommendation.is_against_the_model()
    {
        output::warning(&format!("the last evaluation says: {}", results.recommendation.text));
    }
    let texts = TextFiles { corpus, queries };
    let head_label = args.head_label.as_deref();
    let joining = joining.as_ref();
    let job = RerankJob { model: &model, head_label, texts, candidates, joining };
    let manifest = whetstone_rank::rerank(&job, out, args.placement.placement(), &*progress)?;
    talk.report(folder(out), &manifest)
}

/// A passage in the answer to one query.
#[derive(Serialize)]
struct Ranked<'a> {
    index: usize,
    score: f32,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    probability: Option<f64>,
}

fn one_query(args: &Args, model: &Path, talk: &Talk) -> Result<()> {
    let query = args.query.as_deref().unwrap_or_default();
    if query.trim().is_empty() {
        return Err(Problem::new("the query is empty", "write the question after --query").into());
    }
    let text = passages(&args.files)?;
    let lines: Vec<(usize, &str)> =
        text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).collect();
    if lines.is_empty() {
        return Err(Problem::new(
            "there are no passages",
            "name files with a passage on each line, or pipe them in",
        )
        .into());
    }
    let scaling = if args.probability { Some(scaling_of(&ModelDir::new(model))?) } else { None };
    let passages: Vec<&str> = lines.iter().map(|(_, line)| *line).collect();
    let options = RerankerOptions {
        placement: args.placement.placement(),
        head_label: args.head_label.clone(),
        ..Default::default()
    };
    let reranker = Reranker::open_with(model, options)?;
    if reranker.placement() != args.placement.placement() {
        output::warning(STAYS_F32);
    }
    let ranked = reranker.rank(query, &passages)?.into_iter();
    let ranked: Vec<Ranked> = ranked
        .map(|whetstone_rank::Ranked { index: place, score }| {
            let (index, text) = lines[place];
            let probability = scaling.map(|scaling| scaling.probability(f64::from(score)));
            Ranked { index, score, text, probability }
        })
        .collect();
    if talk.json() {
        return output::json(&ranked);
    }
    let shown = |hit: &Ranked| hit.probability.unwrap_or(f64::from(hit.score));
    let lines =
        ranked.iter().map(|hit| format!("{:.4}\t{}\t{}\n", shown(hit), hit.index, hit.text));
    output::data(&lines.collect::<String>())
}

/// Returns the lines of all files, one file after the other, or stdin's.
fn passages(files: &[PathBuf]) -> Result<String> {
    let mut text = String::new();
    if files.is_empty() {
        let mut bytes = Vec::new();
        std::io::stdin()
            .read_to_end(&mut bytes)
            .map_err(during("cannot read passages from standard input"))?;
        text = String::from_utf8(bytes).map_err(|error| {
            let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
            Problem::new(
                format!("line {line} of standard input is not UTF-8"),
                "convert the passages to UTF-8, for example with iconv",
            )
        })?;
    }
    for file in files {
        text.push_str(&read_text(file)?);
        // Keeps the last line of one file apart from the first of the next.
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
    }
    Ok(text)
}
