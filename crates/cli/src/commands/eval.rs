//! `whetstone eval`: runs measured, compared and judged.

use crate::cli::Talk;
use crate::failure::{CheckFailed, Problem, Result};
use crate::output;
use crate::table::tables;
use std::path::PathBuf;
use whetstone_eval::{AssessConfig, CompareConfig, Measure};
use whetstone_rank::{EVAL, EvalRequest, first_stages};
use whetstone_records::{DataSet, ModelDir, forget};

/// Measure runs against relevance judgements, compare them, and say SHIP or DON'T SHIP
#[derive(clap::Args)]
#[command(after_help = "Examples:
  whetstone eval --qrels test.qrels --run bm25=bm25.run --run tuned=tuned.run
  whetstone eval --data data/mine --run tuned=out/tuned.run --model models/mine --out out/eval
  whetstone eval --data data/mine --run tuned=out/tuned.run --gate    in CI: exit code 1 unless SHIP

Every mean is over all queries of the qrels with a relevant passage; a query that a run leaves out
counts as 0. Ties are broken as trec_eval breaks them. Stars show the paired randomisation test, after
Holm's correction over the systems: 0.05 (*), 0.01 (**), 0.001 (***). `oracle` is the best order of
the candidates. `detectable` is the smallest true difference that so many queries show with a
probability of 80 %.

The verdict is about the mean difference of the primary measure between a system and the baseline.
The first line that applies decides:
  NOT ENOUGH QUERIES  there are fewer than --min-queries queries
  DON'T SHIP          the bootstrap interval of the difference is wholly below --worthwhile-gain
  SHIP                p after Holm's correction is at most --alpha, the interval is wholly above 0
  NOT ENOUGH QUERIES  otherwise, with about how many would decide
There is no verdict where the runs don't rank the same candidates, or where --data shows leakage from
training into the test.

Where a run is a model's logits, as `whetstone rerank` writes them, it also recommends an order to
ship: the first stages without the model, the model alone, their ranks fused, or joined scores. With
--model and --out, the recommendation is kept in results.json of the model's folder.

Measures: ndcg@K, ndcg-exp@K (gain 2^grade - 1), mrr@K, p@K, recall@K, hit@K, judged@K, map.")]
pub struct Args {
    /// Relevance judgements: BEIR's qrels/test.tsv or TREC's four columns [default: qrels/test.tsv
    /// of --data]
    #[arg(long, value_name = "FILE", required_unless_present = "data")]
    qrels: Option<PathBuf>,
    /// A ranking in TREC's run format and its name in the table; repeat the option for more
    #[arg(long = "run", value_name = "NAME=RUN", value_parser = named_run)]
    #[arg(required_unless_present = "data")]
    runs: Vec<(String, PathBuf)>,
    /// Data set of the queries: its texts for the report, its candidates and first stages
    /// (runs/*.run) as runs
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Model dir of the system: the report says how many pairs it cuts
    #[arg(long, value_name = "DIR", requires = "data")]
    model: Option<PathBuf>,
    /// The candidates that the systems ordered [default: candidates.run of --data, if it exists]
    #[arg(long, value_name = "RUN")]
    candidates: Option<PathBuf>,
    /// The run to compare the others with [default: the candidates of --data, else the first run]
    #[arg(long, value_name = "NAME")]
    baseline: Option<String>,
    /// The run to judge [default: with --data the one that is added, else the best one that is not
    /// the baseline]
    #[arg(long, value_name = "NAME")]
    system: Option<String>,
    /// Measures, separated by commas (default: ndcg@10,mrr@10,p@1,recall@10,map,judged@10)
    #[arg(long, value_name = "MEASURES", value_delimiter = ',')]
    measures: Vec<Measure>,
    /// The measure that decides the verdict: choose it before you look
    #[arg(long, value_name = "MEASURE", default_value = "ndcg@10")]
    primary: Measure,
    /// The smallest gain of the primary measure that is worth a more costly system
    #[arg(long, value_name = "GAIN", default_value_t = CompareConfig::default().worthwhile_gain)]
    worthwhile_gain: f64,
    /// With fewer queries, the verdict is neither SHIP nor DON'T SHIP
    #[arg(long, value_name = "COUNT", default_value_t = CompareConfig::default().min_queries)]
    min_queries: usize,
    /// Significance level of the test; the intervals have confidence 1 - LEVEL
    #[arg(long, value_name = "LEVEL", default_value_t = CompareConfig::default().alpha)]
    alpha: f64,
    /// Seed of the randomisation test and the bootstrap
    #[arg(long, value_name = "SEED", default_value_t = CompareConfig::default().seed)]
    seed: u64,
    /// Folder for the report: report.html, report.md, measures.json and per_query.jsonl
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Exit with code 1 unless the verdict is SHIP
    #[arg(long)]
    gate: bool,
    /// Run again even where the result is up to date
    #[arg(long, requires = "out")]
    force: bool,
}

/// A run with its name, as in `bm25=bm25.run`.
pub fn named_run(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => {
            Ok((name.into(), path.into()))
        }
        _ => Err("expected NAME=RUN, such as bm25=bm25.run".into()),
    }
}

/// The name of the candidates among the runs: the order before reranking.
const CANDIDATES: &str = "candidates";

pub fn run(args: &Args, talk: &Talk) -> Result<()> {
    let request = args.request()?;
    if args.gate && request.runs.len() < 2 {
        return Err(Problem::new(
            "there is nothing to compare: only one run",
            "give a baseline and a system with --run",
        )
        .into());
    }
    let evaluated = request.evaluate()?;
    let assessment = &evaluated.assessment;
    if talk.json() {
        output::json(assessment)?;
    } else {
        output::data(&tables(assessment))?;
        // With a folder, these are the notes of the stage.
        let untold = assessment.warnings.iter().filter(|_| args.out.is_none());
        untold.for_each(|warning| output::warning(warning));
    }
    if let Some(out) = &args.out {
        if args.force {
            forget(out, EVAL)?;
        }
        let manifest = evaluated.write(out, &*talk.progress())?;
        if !talk.json() {
            talk.tell(out, &manifest);
            talk.tell_report(out);
        }
    }
    match &assessment.verdict {
        Some(decision) if args.gate && !decision.ruling.ships() => Err(CheckFailed(format!(
            "the gate stays closed for `{}`: {}",
            decision.system, decision.ruling
        ))
        .into()),
        _ => Ok(()),
    }
}

impl Args {
    fn request(&self) -> Result<EvalRequest> {
        let mut runs = self.runs.clone();
        let candidates = self.candidates.clone().or_else(|| self.in_data(DataSet::CANDIDATES));
        let mut baseline = self.baseline.clone();
        if let Some(data) = &self.data {
            let of_data = first_stages(&DataSet::new(data))?
                .into_iter()
                .chain(self.in_data(DataSet::CANDIDATES).map(|path| (CANDIDATES.into(), path)));
            let of_data: Vec<_> = of_data
                .filter(|(name, _)| self.runs.iter().all(|(other, _)| other != name))
                .collect();
            if baseline.is_none() && of_data.iter().any(|(name, _)| name == CANDIDATES) {
                baseline = Some(CANDIDATES.into());
            }
            runs.splice(0..0, of_data);
        }
        let system = self.system.clone().or_else(|| self.only_run());
        let qrels =
            self.qrels.clone().or_else(|| Some(DataSet::new(self.data.as_ref()?).test_qrels()));
        let measures =
            if self.measures.is_empty() { Measure::defaults() } else { self.measures.clone() };
        let compare = CompareConfig {
            seed: self.seed,
            alpha: self.alpha,
            worthwhile_gain: self.worthwhile_gain,
            min_queries: self.min_queries,
            ..Default::default()
        };
        let config = AssessConfig { measures, primary: self.primary, baseline, system, compare };
        let data = self.data.as_ref().map(DataSet::new);
        let model = self.model.as_ref().map(ModelDir::new);
        Ok(EvalRequest {
            qrels: qrels.unwrap_or_default(),
            runs,
            candidates,
            data,
            model,
            logits: None,
            config,
        })
    }

    /// The run to judge where one is added to those of a data set.
    fn only_run(&self) -> Option<String> {
        let [(name, _)] = &self.runs[..] else { return None };
        (self.data.is_some() && self.baseline.as_ref() != Some(name)).then(|| name.clone())
    }

    /// A file of the data set, if it exists.
    fn in_data(&self, name: &str) -> Option<PathBuf> {
        self.data.as_ref().map(|data| data.join(name)).filter(|path| path.is_file())
    }
}
