//! Compares two earlier evaluations, run by run.

use crate::compare::{CompareConfig, Paired, holm, paired};
use crate::error::{Error, Result};
use crate::measure::Measure;
use crate::per_query::mean;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};
use whetstone_records::{JsonlReader, QueryId};

/// An earlier evaluation, read from its `per_query.jsonl`.
pub struct PastEvaluation {
    path: PathBuf,
    queries: BTreeMap<QueryId, Runs>,
}

/// The measures of every run for one query.
type Runs = BTreeMap<String, HashMap<Measure, f64>>;

#[derive(Deserialize)]
struct Record {
    query_id: QueryId,
    runs: Runs,
}

impl PastEvaluation {
    /// Reads a `per_query.jsonl`.
    pub fn read(path: &Path) -> Result<Self> {
        let mut queries = BTreeMap::new();
        for record in JsonlReader::<Record>::open(path)? {
            let record = record?;
            queries.insert(record.query_id, record.runs);
        }
        if queries.is_empty() {
            return Err(whetstone_records::Error::Empty { path: path.into() }.into());
        }
        Ok(Self { path: path.into(), queries })
    }

    fn runs(&self) -> Vec<String> {
        self.queries.values().next().map(|runs| runs.keys().cloned().collect()).unwrap_or_default()
    }

    /// Returns the values of a run for some queries.
    fn values(&self, run: &str, measure: Measure, queries: &[&QueryId]) -> Result<Vec<f64>> {
        let value = |query: &&QueryId| self.queries[*query].get(run)?.get(&measure).copied();
        let missing = || Error::NotMeasured { name: run.into(), measure };
        queries.iter().map(|query| value(query).ok_or_else(missing)).collect()
    }
}

/// Two evaluations, run by run, over their common queries.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Diff {
    pub measure: Measure,
    pub queries: usize,
    pub only_in_a: usize,
    pub only_in_b: usize,
    pub runs: Vec<RunDiff>,
}

/// One run in both evaluations.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunDiff {
    /// Its name in A.
    pub run: String,
    /// Its name in B. It differs only if each evaluation has a single run.
    pub other: String,
    /// Mean over the common queries; `b_mean` likewise.
    pub a_mean: f64,
    pub b_mean: f64,
    /// Statistics of B − A.
    #[serde(flatten)]
    pub paired: Paired,
    pub p_holm: f64,
    pub change: Change,
}

/// How a run changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    Better,
    Worse,
    /// No query differs.
    Same,
    /// The difference may be chance.
    Unclear,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Change::Better => "better",
            Change::Worse => "worse",
            Change::Same => "the same",
            Change::Unclear => "not clearly different",
        })
    }
}

/// Compares by one measure the runs that two evaluations have in common, or the named one.
///
/// # Errors
/// The evaluations share no query or no run, or a run lacks the measure.
pub fn diff(
    a: &PastEvaluation,
    b: &PastEvaluation,
    run: Option<&str>,
    measure: Measure,
    config: &CompareConfig,
) -> Result<Diff> {
    config.check()?;
    let queries: Vec<&QueryId> =
        a.queries.keys().filter(|query| b.queries.contains_key(*query)).collect();
    let paths = || (a.path.clone(), b.path.clone());
    if queries.is_empty() {
        let (a, b) = paths();
        return Err(Error::NothingInCommon { what: "query", a, b });
    }
    let compared = |(run, other): (String, String)| {
        let (before, after) =
            (a.values(&run, measure, &queries)?, b.values(&other, measure, &queries)?);
        let differences: Vec<f64> =
            after.iter().zip(&before).map(|(after, before)| after - before).collect();
        let paired = paired(&differences, config);
        let (p_holm, change) = (paired.p, Change::Same);
        Ok(RunDiff {
            run,
            other,
            a_mean: mean(&before),
            b_mean: mean(&after),
            paired,
            p_holm,
            change,
        })
    };
    let mut runs: Vec<RunDiff> =
        pairs(a, b, run)?.into_iter().map(compared).collect::<Result<_>>()?;
    let p_holm = holm(&runs.iter().map(|run| run.paired.p).collect::<Vec<_>>());
    for (run, p_holm) in runs.iter_mut().zip(p_holm) {
        run.p_holm = p_holm;
        run.change = change(&run.paired, p_holm, config);
    }
    let only = |one: &PastEvaluation| one.queries.len() - queries.len();
    Ok(Diff { measure, queries: queries.len(), only_in_a: only(a), only_in_b: only(b), runs })
}

/// Returns the pairs of runs to compare, one of A with one of B.
fn pairs(
    a: &PastEvaluation,
    b: &PastEvaluation,
    run: Option<&str>,
) -> Result<Vec<(String, String)>> {
    let (in_a, in_b) = (a.runs(), b.runs());
    if let Some(name) = run {
        return match [&in_a, &in_b].iter().find(|runs| !runs.iter().any(|run| run == name)) {
            Some(runs) => Err(Error::UnknownRun { name: name.into(), runs: runs.to_vec() }),
            None => Ok(vec![(name.into(), name.into())]),
        };
    }
    if let ([one], [other]) = (&in_a[..], &in_b[..]) {
        return Ok(vec![(one.clone(), other.clone())]);
    }
    let common: Vec<(String, String)> = in_a
        .iter()
        .filter(|run| in_b.contains(run))
        .map(|run| (run.clone(), run.clone()))
        .collect();
    match common.is_empty() {
        true => Err(Error::NothingInCommon { what: "run", a: a.path.clone(), b: b.path.clone() }),
        false => Ok(common),
    }
}

fn change(paired: &Paired, p_holm: f64, config: &CompareConfig) -> Change {
    let is_shown = p_holm <= config.alpha;
    if paired.wins + paired.losses == 0 {
        Change::Same
    } else if is_shown && paired.interval.low > 0.0 {
        Change::Better
    } else if is_shown && paired.interval.high < 0.0 {
        Change::Worse
    } else {
        Change::Unclear
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the value of a query.
    type ValueOf = fn(usize) -> f64;

    /// An evaluation of queries `first..last` with a value for each run.
    fn past(
        folder: &Path,
        range: std::ops::Range<usize>,
        runs: &[(&str, ValueOf)],
    ) -> PastEvaluation {
        let path = folder.join(format!("{}-{}.jsonl", range.start, runs.len()));
        let line = |query: usize| {
            let run = |(name, value): &(&str, fn(usize) -> f64)| {
                format!("\"{name}\":{{\"map\":{}}}", value(query))
            };
            let runs: Vec<_> = runs.iter().map(run).collect();
            format!("{{\"query_id\":\"q{query:03}\",\"runs\":{{{}}}}}\n", runs.join(","))
        };
        std::fs::write(&path, range.map(line).collect::<String>()).unwrap();
        PastEvaluation::read(&path).unwrap()
    }

    fn compare(a: &PastEvaluation, b: &PastEvaluation, run: Option<&str>) -> Result<Diff> {
        diff(a, b, run, Measure::Map, &CompareConfig::default())
    }

    #[test]
    fn runs_of_one_name_are_compared_on_the_queries_that_both_have() {
        let folder = tempfile::tempdir().unwrap();
        let a = past(
            folder.path(),
            0..100,
            &[("bm25", |_| 0.5), ("tuned", |_| 0.6), ("gone", |_| 0.1)],
        );
        let b = past(
            folder.path(),
            20..110,
            &[("bm25", |_| 0.5), ("tuned", |query| 0.3 + (query % 3) as f64 / 10.0)],
        );
        let diff = compare(&a, &b, None).unwrap();
        assert_eq!((diff.queries, diff.only_in_a, diff.only_in_b), (80, 20, 10));
        let changes: Vec<_> = diff.runs.iter().map(|run| (run.run.as_str(), run.change)).collect();
        assert_eq!(changes, [("bm25", Change::Same), ("tuned", Change::Worse)]);
        assert_eq!(compare(&b, &a, Some("tuned")).unwrap().runs[0].change, Change::Better);
        assert!(diff.runs[1].p_holm <= 2.0 * diff.runs[1].paired.p);
    }

    #[test]
    fn a_difference_that_may_be_chance_is_called_so() {
        let folder = tempfile::tempdir().unwrap();
        let a = past(folder.path(), 0..60, &[("x", |query| (query % 2) as f64)]);
        let b = past(folder.path(), 1..60, &[("y", |query| (query / 2 % 2) as f64)]);
        let diff = compare(&a, &b, None).unwrap();
        assert_eq!(
            (diff.runs[0].change, diff.runs[0].other.as_str()),
            (Change::Unclear, "y"),
            "one run each is enough"
        );
    }

    #[test]
    fn what_has_nothing_in_common_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let a = past(folder.path(), 0..10, &[("x", |_| 0.5), ("z", |_| 0.5)]);
        let b = past(folder.path(), 50..60, &[("x", |_| 0.5)]);
        assert!(matches!(compare(&a, &b, None), Err(Error::NothingInCommon { what: "query", .. })));
        let b = past(folder.path(), 5..15, &[("y", |_| 0.5)]);
        assert!(matches!(compare(&a, &b, None), Err(Error::NothingInCommon { what: "run", .. })));
        assert!(matches!(compare(&a, &b, Some("x")), Err(Error::UnknownRun { .. })));
        let missing = diff(&a, &a, None, "p@1".parse().unwrap(), &CompareConfig::default());
        assert_eq!(missing.unwrap_err().to_string(), "run `x` was not measured by p@1");
    }
}
