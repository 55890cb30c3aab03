//! `whetstone runs`: past evaluations.

use crate::cli::Talk;
use crate::failure::{Problem, Result};
use crate::output;
use crate::table::aligned;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use std::path::{Path, PathBuf};
use whetstone_records::{Error as RecordsError, EvalDir, read_text};

/// List the evaluations below a folder, newest last
#[derive(clap::Args)]
#[command(after_help = "Examples:
  whetstone runs out
  whetstone runs out --json

An evaluation is a folder with a measures.json, as `whetstone eval --out` or `whetstone quickstart`
writes it. Times are UTC.")]
pub struct Args {
    /// Folder to search, with all its subfolders
    #[arg(value_name = "DIR", default_value = "out")]
    folder: PathBuf,
}

/// A past evaluation.
#[derive(Serialize)]
struct Past {
    /// When it was made, in UTC.
    made: String,
    #[serde(skip)]
    modified: Timestamp,
    folder: PathBuf,
    primary: String,
    baseline: Option<String>,
    system: Option<String>,
    verdict: Option<String>,
    /// Each run's mean of the primary measure.
    runs: Vec<(String, f64)>,
    queries: u64,
}

pub fn run(args: &Args, talk: &Talk) -> Result<()> {
    if !args.folder.is_dir() {
        return Err(Problem::new(
            format!("`{}` is no folder", args.folder.display()),
            "name a folder with evaluations below it",
        )
        .into());
    }
    let mut found = vec![];
    find(&args.folder, &mut found)?;
    found.sort_by(|a, b| (a.modified, &a.folder).cmp(&(b.modified, &b.folder)));
    if talk.json() {
        return output::json(&found);
    }
    if found.is_empty() {
        output::talk(&format!(
            "no evaluation below `{}`; `whetstone eval --out DIR` makes one",
            args.folder.display()
        ));
        return Ok(());
    }
    let header = ["made (UTC)", "folder", "queries", "measure", "baseline", "system", "verdict"];
    output::data(&format!("{}\n", aligned(header.map(Into::into).into(), found.iter().map(row))))
}

fn row(past: &Past) -> Vec<String> {
    let mean = |name: &Option<String>| {
        let (name, mean) = past.runs.iter().find(|(run, _)| Some(run) == name.as_ref())?;
        Some(format!("{name} {mean:.4}"))
    };
    // Without a comparison there is only the first run to show.
    let first = || past.runs.first().map(|(name, mean)| format!("{name} {mean:.4}"));
    vec![
        past.made.clone(),
        past.folder.display().to_string(),
        past.queries.to_string(),
        past.primary.clone(),
        mean(&past.baseline).unwrap_or_default(),
        mean(&past.system).or_else(first).unwrap_or_default(),
        past.verdict.clone().unwrap_or_default(),
    ]
}

/// Searches a folder and its subfolders. It follows no links, so that it ends.
fn find(folder: &Path, found: &mut Vec<Past>) -> Result<()> {
    let cannot_read = || RecordsError::io("read", folder);
    for entry in std::fs::read_dir(folder).map_err(cannot_read())? {
        let entry = entry.map_err(cannot_read())?;
        if entry.file_type().map_err(cannot_read())?.is_dir() {
            find(&entry.path(), found)?;
        } else if entry.file_name() == EvalDir::MEASURES {
            found.extend(past(folder, &entry.path())?);
        }
    }
    Ok(())
}

/// Reads a measures.json; returns none where it belongs to no evaluation.
fn past(folder: &Path, path: &Path) -> Result<Option<Past>> {
    let Ok(json) = serde_json::from_str::<Value>(&read_text(path)?) else { return Ok(None) };
    let (Some(runs), Some(primary)) = (json["runs"].as_object(), json["primary"].as_str()) else {
        return Ok(None);
    };
    let modified = path.metadata().and_then(|metadata| metadata.modified());
    let modified = modified.map_err(RecordsError::io("read", path))?;
    // A time outside the calendar sorts first.
    let made = Timestamp::try_from(modified).unwrap_or(Timestamp::MIN);
    let verdict = &json["verdict"];
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Ok(Some(Past {
        made: made.strftime("%Y-%m-%d %H:%M").to_string(),
        modified: made,
        folder: folder.into(),
        baseline: text(&json["baseline"]),
        system: text(&verdict["system"]),
        verdict: text(&verdict["decision"]),
        queries: runs.values().next().and_then(|run| run["queries"].as_u64()).unwrap_or_default(),
        runs: runs
            .iter()
            .map(|(name, run)| (name.clone(), run[primary].as_f64().unwrap_or_default()))
            .collect(),
        primary: primary.into(),
    }))
}
