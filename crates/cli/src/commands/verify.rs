//! `whetstone verify`: whether other programs compute a model's logits.

use super::PlacementArgs;
use crate::cli::Talk;
use crate::failure::{CheckFailed, Problem, Result};
use crate::output;
use serde::Serialize;
use std::path::PathBuf;
use whetstone_rank::{Agreement, Quality, Server, Verification};
#[cfg(feature = "onnxruntime")]
use whetstone_rank::{OnnxRuntime, QualityJob};
#[cfg(feature = "onnxruntime")]
use whetstone_records::{DataSet, ModelDir};

/// Score a model's golden.json again, and say how far the logits are apart
#[derive(clap::Args)]
#[command(after_help = "Examples:
  whetstone verify models/mine
  whetstone verify models/mine --url http://127.0.0.1:8080
  whetstone verify models/mine --onnx --onnxruntime venv/lib/libonnxruntime.so.1.32.0
  whetstone verify models/mine --onnx --data data/mine

golden.json has 20 pairs with the logits of the exported weights, in f32 on a CPU. `verify` scores
them with Whetstone; with --url on a server that speaks text-embeddings-inference's POST /rerank;
with --onnx in ONNX Runtime, once for each ONNX file of the folder. Exit code 1 if a logit differs
by more than the tolerance: 1e-4 for f32, 0.05 for an ONNX file in 16 bits, 1 in 8 bits; 0.05 on
CUDA, which rounds f32, and 0.25 with --precision bf16.
--data says what that costs in nDCG@10 on the test queries of a data set.")]
pub struct Args {
    /// A model folder with golden.json, as `whetstone export` writes it
    #[arg(value_name = "DIR")]
    model: PathBuf,
    /// Also ask this server, which serves the same model
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The environment variable with the server's key
    #[arg(long, value_name = "NAME", requires = "url")]
    api_key_env: Option<String>,
    /// Also score with ONNX Runtime; needs a build with `--features onnxruntime`
    #[arg(long)]
    onnx: bool,
    /// The library of ONNX Runtime [default: what the environment variable ORT_DYLIB_PATH names]
    #[arg(long, value_name = "FILE", requires = "onnx")]
    onnxruntime: Option<PathBuf>,
    /// A data set: order its candidates of test queries with each ONNX file, and measure nDCG@10
    #[arg(long, value_name = "DIR", requires = "onnx")]
    data: Option<PathBuf>,
    /// The largest difference of a logit that passes, for every program alike
    #[arg(long, value_name = "LOGIT", value_parser = tolerance)]
    tolerance: Option<f64>,
    #[command(flatten)]
    placement: PlacementArgs,
}

/// What was found out.
#[derive(Serialize)]
struct Found {
    agreements: Vec<Agreement>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    quality: Vec<Quality>,
}

fn tolerance(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value >= 0.0 => Ok(value),
        _ => Err("expected a difference of logits from 0 up, such as 1e-4".into()),
    }
}

pub fn run(args: &Args, talk: &Talk) -> Result<()> {
    let verification = Verification::of(&args.model, args.tolerance)?;
    let mut agreements = vec![verification.engine(args.placement.placement())?];
    let mut quality = vec![];
    if args.onnx {
        let found = onnx(args, &verification, talk)?;
        agreements.extend(found.agreements);
        quality = found.quality;
    }
    if let Some(url) = &args.url {
        let server = Server::new(url, api_key(args.api_key_env.as_deref())?);
        agreements.push(verification.server(&server)?);
    }
    let found = Found { agreements, quality };
    if talk.json() {
        output::json(&found)?;
    } else {
        let losses = found.quality.iter().map(loss);
        let lines = found.agreements.iter().map(line).chain(losses);
        output::data(&lines.collect::<String>())?;
    }
    match found.agreements.iter().find(|agreement| !agreement.agrees) {
        None => Ok(()),
        Some(apart) => Err(CheckFailed(complaint(apart)).into()),
    }
}

fn line(agreement: &Agreement) -> String {
    let Agreement { scorer, pairs, largest_difference, tolerance, agrees, .. } = agreement;
    let verdict = if *agrees { "agrees" } else { "DIFFERS" };
    format!(
        "{scorer}: {verdict}, {pairs} pairs, largest difference {largest_difference:.1e}, allowed \
         {tolerance:.1e}\n"
    )
}

fn loss(quality: &Quality) -> String {
    let Quality { scorer, queries, measure, mean, difference, interval } = quality;
    let compared = match (difference, interval) {
        (Some(difference), Some(interval)) => format!(
            ", {difference:+.4} (95 % interval {:+.4} to {:+.4})",
            interval.low, interval.high
        ),
        _ => String::new(),
    };
    format!("{scorer}: {measure} {mean:.4} on {queries} queries{compared}\n")
}

fn complaint(apart: &Agreement) -> String {
    let worst = &apart.worst;
    format!(
        "{} gives {} where golden.json has {}: query `{}`, passage `{}`",
        apart.scorer,
        worst.found,
        worst.golden.logit,
        beginning(&worst.golden.query),
        beginning(&worst.golden.passage)
    )
}

/// The first words of a text, for a message.
fn beginning(text: &str) -> String {
    const CHARS: usize = 60;
    let mut short: String = text.chars().take(CHARS).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

fn api_key(variable: Option<&str>) -> Result<Option<String>> {
    let Some(variable) = variable else { return Ok(None) };
    match std::env::var(variable) {
        Ok(key) if !key.trim().is_empty() => Ok(Some(key.trim().to_owned())),
        _ => Err(Problem::new(
            format!("the environment variable `{variable}` is not set"),
            "put the server's key into it, or leave --api-key-env out",
        )
        .into()),
    }
}

#[cfg(feature = "onnxruntime")]
fn onnx(args: &Args, verification: &Verification, talk: &Talk) -> Result<Found> {
    let named = std::env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty());
    let library = args.onnxruntime.clone().or(named.map(PathBuf::from)).ok_or_else(|| {
        Problem::new(
            "no library of ONNX Runtime",
            "name it with --onnxruntime; `pip install onnxruntime` puts it into \
             site-packages/onnxruntime/capi/libonnxruntime.so.VERSION",
        )
    })?;
    let runtime = OnnxRuntime::load(&library)?;
    let agreements = verification.onnx(&runtime)?;
    let Some(data) = &args.data else { return Ok(Found { agreements, quality: vec![] }) };
    let (model, data) = (&ModelDir::new(&args.model), &DataSet::new(data));
    let job = QualityJob { model, data, placement: args.placement.placement() };
    Ok(Found { agreements, quality: job.run(&runtime, &*talk.progress())? })
}

#[cfg(not(feature = "onnxruntime"))]
fn onnx(_: &Args, _: &Verification, _: &Talk) -> Result<Found> {
    Err(Problem::new(
        "this build has no support for ONNX Runtime",
        "build with `cargo build --release --features onnxruntime`, which downloads nothing more",
    )
    .into())
}
