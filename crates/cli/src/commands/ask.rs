//! `whetstone ask`: queries for passages.

use super::{DataArgs, DeviceArgs};
use crate::cli::Talk;
use crate::failure::Result;
use crate::output;
use comfy_table::{ContentArrangement, Table, presets};
use std::path::PathBuf;
use whetstone_llm::Estimate;
use whetstone_synth::{AskJob, GeneratorName, Preview, RoundTrip, SynthConfig};

/// Make queries for passages, with an LLM server or from the passages themselves (second step of
/// synth)
#[derive(clap::Args)]
#[command(after_help = "Examples:
  whetstone ask --config configs/synth.toml --out data/mine
  whetstone ask --config configs/synth.toml --out data/mine --dry-run     the cost; sends nothing
  whetstone ask --config configs/synth.toml --out data/mine --preview 5   five passages, their queries
  whetstone ask --config configs/synth.toml --out data/mine --batch-out requests.jsonl
  whetstone ask --config configs/synth.toml --out data/mine --batch-in results.jsonl

Section [ask] of the config names the generator. An LLM makes better queries than `built-in`. Every
answer of an LLM is kept in OUT/ask.journal.jsonl and never paid twice. OUT/synth.html shows the
result.")]
pub struct Args {
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    device: DeviceArgs,
    /// Estimate requests, tokens, cost and time, then stop
    #[arg(long, group = "mode")]
    dry_run: bool,
    /// Ask about a few passages and show them beside their questions; the answers are kept
    #[arg(long, group = "mode", value_name = "COUNT")]
    preview: Option<usize>,
    /// Write the requests as a file for OpenAI's batch API instead of sending them
    #[arg(long, group = "mode", value_name = "FILE")]
    batch_out: Option<PathBuf>,
    /// Import the results of a batch into the journal; the next run uses them
    #[arg(long, group = "mode", value_name = "FILE")]
    batch_in: Option<PathBuf>,
}

pub fn run(args: &Args, talk: &Talk) -> Result<()> {
    let (config, out) = args.data.load()?;
    let progress = talk.progress();
    let model = needs_model(&config)
        .then(|| whetstone_hub::resolve(&config.model, &*progress))
        .transpose()?;
    let job = AskJob {
        out: &out,
        config: &config,
        model: model.as_deref(),
        placement: args.device.device.into(),
    };
    if args.dry_run {
        let estimate = whetstone_synth::estimate(&job)?;
        return if talk.json() { output::json(&estimate) } else { output::data(&told(&estimate)) };
    }
    if let Some(count) = args.preview {
        let previews = whetstone_synth::preview(&job, count, &*progress)?;
        return if talk.json() {
            output::json(&previews)
        } else {
            output::data(&side_by_side(&previews))
        };
    }
    if let Some(path) = &args.batch_out {
        let files = whetstone_synth::batch_out(&job, path)?;
        let names: Vec<String> =
            files.files.iter().map(|path| format!("`{}`", path.display())).collect();
        let text = format!(
            "{} requests in {}; {} are in the journal\n",
            files.requests,
            names.join(", "),
            files.from_journal
        );
        return if talk.json() { output::json(&files) } else { output::data(&text) };
    }
    if let Some(path) = &args.batch_in {
        let results = whetstone_synth::batch_in(&job, path)?;
        let first = results.first_failure.as_ref();
        let first = first.map(|reason| format!("; the first: {reason}")).unwrap_or_default();
        let text = format!(
            "{} answers taken in ({} to other requests than the config's), {} known before, {} failed{first}\n",
            results.answers, results.of_other_requests, results.known, results.failed
        );
        return if talk.json() { output::json(&results) } else { output::data(&text) };
    }
    if args.data.force {
        whetstone_records::forget(&out, "ask")?;
    }
    let manifest = whetstone_synth::ask(&job, &*progress)?;
    talk.report(&out, &manifest)
}

/// Whether the run needs a local model, to count tokens or for the round trip.
pub fn needs_model(config: &SynthConfig) -> bool {
    config.ask.generator == GeneratorName::Openai || config.filter.round_trip == RoundTrip::Dense
}

/// What docs/experiments/joining-scores.md measured.
const ADVICE: &str = "300 queries brought most of what 900 brought, and one each for 300 passages as \
                      much as three each for 100: try `max-passages = 300` first";

/// The estimate as a table of two columns.
fn told(estimate: &Estimate) -> String {
    let mut rows = vec![("passages", estimate.asked.to_string())];
    if !estimate.llm.is_empty() {
        rows.push(("answered by the journal", estimate.from_journal.to_string()));
        rows.extend(figures(estimate));
        rows.push(("how many", ADVICE.to_owned()));
    }
    if let Some(judge) = &estimate.judge {
        rows.push(("", String::new()));
        rows.push((
            "queries to judge",
            format!("about {}, by `{}`; grades in the journal come off", judge.asked, judge.llm),
        ));
        rows.extend(figures(judge));
    }
    for cap in &estimate.caps {
        rows.push(("stops early", format!("at {cap}")));
    }
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    rows.into_iter()
        .map(|(name, value)| format!("{name:width$}  {value}").trim_end().to_owned() + "\n")
        .collect()
}

/// Requests, tokens, money and time.
fn figures(estimate: &Estimate) -> Vec<(&'static str, String)> {
    let Estimate { currency, .. } = estimate;
    let error = estimate.token_error_fraction * 100.0;
    let cost = match (estimate.cost, estimate.cost_most) {
        (Some(cost), Some(most)) => format!("{cost:.4} {currency}, at most {most:.4} {currency}"),
        _ => format!("unknown: [llm.prices] has no price for `{}`", estimate.llm),
    };
    let time = match estimate.wall_s {
        Some(seconds) => duration(seconds),
        None => "unknown: no limit per minute is set, and no answer has been timed".to_owned(),
    };
    vec![
        ("requests", estimate.requests.to_string()),
        (
            "tokens in",
            format!("{} ± {error:.0} %, by {}", estimate.tokens_in, estimate.counted_with),
        ),
        ("tokens out", format!("{}, at most {}", estimate.tokens_out, estimate.tokens_out_most)),
        ("cost", cost),
        ("time", time),
    ]
}

fn duration(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// Passages on the left, and the fate of their queries on the right.
fn side_by_side(previews: &[Preview]) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(table.width().unwrap_or(120));
    table.set_header(["passage", "queries"]);
    for preview in previews {
        let left = format!("{}\n{}\n\n{}", preview.passage, preview.title, preview.text);
        let mut right: Vec<String> =
            preview.kept.iter().map(|(text, style)| format!("+ {text}  [{style}]")).collect();
        let dropped = preview.dropped.iter();
        right.extend(dropped.map(|(text, reason)| {
            format!("- {text}  [{}]", reason.trim_start_matches("dropped-"))
        }));
        right.extend(preview.flaws.iter().map(|flaw| format!("! {flaw}")));
        table.add_row([left, right.join("\n")]);
    }
    format!("{table}\n")
}
