use crate::cli::Talk;
use crate::evaluation::aligned;
use crate::failure::Problem;
use crate::output;
use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;
use whetstone_records::read_text;

/// List the evaluations below a folder, the newest last
#[derive(clap::Args)]
#[command(after_help = "Examples:
  whetstone runs out
  whetstone runs out --json
Every folder with a measures.json of `whetstone eval --out` or `whetstone quickstart` is one. Times are UTC.")]
pub struct Args {
    /// Folder to look through, with all below it
    #[arg(value_name = "DIR", default_value = "out")]
    folder: PathBuf,
}

/// One evaluation of the past.
#[derive(Serialize)]
struct Past {
    /// When it was made, in UTC.
    made: String,
    #[serde(skip)]
    seconds: u64,
    folder: PathBuf,
    primary: String,
    baseline: Option<String>,
    system: Option<String>,
    verdict: Option<String>,
    /// The runs' means by the primary measure.
    runs: Vec<(String, f64)>,
    queries: u64,
}

pub fn run(args: &Args, talk: &Talk) -> Result<()> {
    if !args.folder.is_dir() {
        bail!(Problem::new(
            format!("`{}` is no folder", args.folder.display()),
            "name a folder with evaluations below it"
        ));
    }
    let mut found = vec![];
    find(&args.folder, &mut found)?;
    found.sort_by(|a, b| (a.seconds, &a.folder).cmp(&(b.seconds, &b.folder)));
    if talk.json() {
        return output::json(&found);
    }
    if found.is_empty() {
        output::talk(&format!("no evaluation below `{}`; `whetstone eval --out DIR` makes one", args.folder.display()));
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
    // Without a comparison there is only the first run to speak of.
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

/// Looks through a folder and all below it. Links are not followed, so that there is an end.
fn find(folder: &Path, found: &mut Vec<Past>) -> Result<()> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read `{}`", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            find(&entry.path(), found)?;
        } else if entry.file_name() == "measures.json" {
            found.extend(past(folder, &entry.path())?);
        }
    }
    Ok(())
}

/// Reads a measures.json; none where it is not of an evaluation.
fn past(folder: &Path, path: &Path) -> Result<Option<Past>> {
    let Ok(json) = serde_json::from_str::<Value>(&read_text(path)?) else { return Ok(None) };
    let (Some(runs), Some(primary)) = (json["runs"].as_object(), json["primary"].as_str()) else { return Ok(None) };
    let made = path.metadata()?.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let verdict = &json["verdict"];
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Ok(Some(Past {
        made: utc(made),
        seconds: made,
        folder: folder.into(),
        baseline: text(&json["baseline"]),
        system: text(&verdict["system"]),
        verdict: text(&verdict["decision"]),
        queries: runs.values().next().and_then(|run| run["queries"].as_u64()).unwrap_or_default(),
        runs: runs.iter().map(|(name, run)| (name.clone(), run[primary].as_f64().unwrap_or_default())).collect(),
        primary: primary.into(),
    }))
}

/// A time as `2026-03-01 09:30`.
fn utc(seconds: u64) -> String {
    let (days, minutes) = ((seconds / 86_400) as i64, seconds % 86_400 / 60);
    // Days to a date of the Gregorian calendar, by eras of 400 years that begin in March.
    let day = days + 719_468;
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let (day, month) = (of_year - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = year + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}", minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_date() {
        // date -u -d @N '+%F %R'
        let table = [
            (0, "1970-01-01 00:00"),
            (951_782_399, "2000-02-28 23:59"),
            (951_782_400, "2000-02-29 00:00"),
            (1_709_251_140, "2024-02-29 23:59"),
            (1_709_251_200, "2024-03-01 00:00"),
            (4_102_444_799, "2099-12-31 23:59"),
        ];
        for (seconds, expected) in table {
            assert_eq!(utc(seconds), expected);
        }
    }
}
