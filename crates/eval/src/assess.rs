//! Assesses an evaluation as a whole: measures, comparisons, guards and the decision.

use crate::bootstrap::{Interval, bootstrap_interval};
use crate::candidates::check_same_candidates;
use crate::compare::{CompareConfig, Comparison, compare};
use crate::decision::Decision;
use crate::error::{Error, Result};
use crate::measure::Measure;
use crate::oracle::oracle;
use crate::per_query::per_query;
use crate::recommendation::Recommendation;
use crate::report::{Inputs, Means, Report, RunReport};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use std::collections::HashSet;
use whetstone_records::Run;

/// What to measure, and what the verdict depends on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AssessConfig {
    /// Need not include the primary.
    pub measures: Vec<Measure>,
    /// The measure of the verdict. Choose it before looking at results.
    pub primary: Measure,
    /// The run that the others are compared with; by default the first.
    pub baseline: Option<String>,
    /// The run that the verdict is about; by default the best of the others, which Holm's
    /// correction allows for.
    pub system: Option<String>,
    #[serde(flatten)]
    pub compare: CompareConfig,
}

impl Default for AssessConfig {
    fn default() -> Self {
        let measures = Measure::defaults();
        Self {
            primary: measures[0],
            measures,
            baseline: None,
            system: None,
            compare: CompareConfig::default(),
        }
    }
}

impl AssessConfig {
    /// Returns the measures in order, with the primary in front if it is not among them.
    fn all_measures(&self) -> Vec<Measure> {
        let mut seen = HashSet::new();
        let missing = Some(self.primary).filter(|primary| !self.measures.contains(primary));
        missing
            .into_iter()
            .chain(self.measures.iter().copied())
            .filter(|measure| seen.insert(*measure))
            .collect()
    }
}

/// What is known about the data beyond the numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Caveats {
    /// Reasons to withhold a verdict, such as leakage between training and test.
    pub refusals: Vec<String>,
    /// What every reader must know, for example that all queries are synthetic.
    pub labels: Vec<String>,
}

/// Systems side by side on one candidate list, with a verdict. `measures.json` holds this.
#[derive(Clone, Debug, Serialize)]
pub struct Assessment {
    #[serde(flatten)]
    pub report: Report,
    /// The best possible order of the candidates; None if the runs share no candidate list.
    #[serde(serialize_with = "means")]
    pub oracle: Option<RunReport>,
    pub primary: Measure,
    /// The run that the others were compared with; None if there is only one.
    pub baseline: Option<String>,
    /// Interval of each run's mean of the primary measure, in the order of the runs.
    #[serde(serialize_with = "intervals_by_name")]
    pub intervals: Vec<(String, Interval)>,
    /// Every system by every measure.
    pub comparisons: Vec<Comparison>,
    pub verdict: Option<Decision>,
    /// Which order to ship; None if the runs do not tell a model's from its first stages'.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recommendation: Option<Recommendation>,
    /// What every reader must know before the numbers.
    pub warnings: Vec<String>,
    #[serde(skip)]
    pub config: CompareConfig,
}

fn means<S: Serializer>(run: &Option<RunReport>, serializer: S) -> Result<S::Ok, S::Error> {
    run.as_ref().map(|run| Means(&run.evaluation)).serialize(serializer)
}

fn intervals_by_name<S: Serializer>(
    intervals: &[(String, Interval)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(intervals.len()))?;
    for (name, interval) in intervals {
        map.serialize_entry(name, interval)?;
    }
    map.end()
}

impl Assessment {
    /// Returns the run with that name.
    pub fn run(&self, name: &str) -> Option<&RunReport> {
        self.report.runs.iter().find(|run| run.name == name)
    }

    /// Returns the comparison of a system by a measure.
    pub fn comparison(&self, system: &str, measure: Measure) -> Option<&Comparison> {
        self.comparisons.iter().find(|one| one.system == system && one.measure == measure)
    }

    /// Returns the number of queries measured.
    pub fn queries(&self) -> usize {
        self.report.runs.first().map_or(0, |run| run.evaluation.queries.len())
    }
}

/// Measures every run, compares the systems with the baseline by every measure and gives the
/// verdict.
///
/// No verdict is given if a system ranks other candidates than the baseline, or than the candidates
/// if these are given.
pub fn assess(inputs: &Inputs, caveats: &Caveats, config: &AssessConfig) -> Result<Assessment> {
    config.compare.check()?;
    let measures = config.all_measures();
    let report = inputs.measure(&measures);
    let roles = Roles::of(&report, config)?;
    let comparisons = roles.compare(&measures, config)?;
    let different = different_candidates(inputs, roles.baseline);
    let decision = roles.system.map(|system| {
        let comparison = comparisons
            .iter()
            .find(|one| one.system == system.name && one.measure == config.primary);
        let refusals: Vec<String> = caveats.refusals.iter().chain(&different).cloned().collect();
        let comparison = comparison.expect("every system is compared by the primary measure");
        Decision::new(comparison, roles.systems.len(), &refusals, &config.compare)
    });
    let interval = |run: &RunReport| {
        let values = run.evaluation.values_of(config.primary).unwrap_or_default();
        let CompareConfig { resamples, alpha, seed, .. } = config.compare;
        (run.name.clone(), bootstrap_interval(values, resamples, alpha, seed))
    };
    Ok(Assessment {
        intervals: report.runs.iter().map(interval).collect(),
        oracle: best(inputs, different.is_empty(), &measures),
        primary: config.primary,
        baseline: roles.system.map(|_| roles.baseline.name.clone()),
        comparisons,
        verdict: decision,
        recommendation: None,
        warnings: caveats.labels.iter().chain(&different).cloned().chain(gaps(&report)).collect(),
        config: config.compare.clone(),
        report,
    })
}

/// The role of each run.
struct Roles<'a> {
    baseline: &'a RunReport,
    /// All runs but the baseline.
    systems: Vec<&'a RunReport>,
    /// The run that the verdict is about; None if there is only one run.
    system: Option<&'a RunReport>,
}

impl<'a> Roles<'a> {
    fn of(report: &'a Report, config: &AssessConfig) -> Result<Self> {
        let baseline = find(report, config.baseline.as_deref())?.unwrap_or(&report.runs[0]);
        let systems: Vec<&RunReport> =
            report.runs.iter().filter(|run| run.name != baseline.name).collect();
        let best = || {
            systems
                .iter()
                .copied()
                .max_by(|a, b| primary_mean(a, config).total_cmp(&primary_mean(b, config)))
        };
        let system = match find(report, config.system.as_deref())? {
            Some(system) if system.name == baseline.name => {
                return Err(Error::SystemIsBaseline { name: system.name.clone() });
            }
            named => named.or_else(best),
        };
        Ok(Self { baseline, systems, system })
    }

    /// Compares every system by every measure except the fraction of judged passages, which
    /// describes the judges and not the systems.
    fn compare(&self, measures: &[Measure], config: &AssessConfig) -> Result<Vec<Comparison>> {
        let compared = |measure: &&Measure| {
            !matches!(measure, Measure::Judged(_)) || **measure == config.primary
        };
        let by_measure = measures.iter().filter(compared);
        let by_measure = by_measure
            .map(|measure| compare(self.baseline, &self.systems, *measure, &config.compare));
        Ok(by_measure.collect::<Result<Vec<_>>>()?.concat())
    }
}

fn primary_mean(run: &RunReport, config: &AssessConfig) -> f64 {
    run.evaluation.mean_of(config.primary).unwrap_or_default()
}

fn find<'a>(report: &'a Report, name: Option<&str>) -> Result<Option<&'a RunReport>> {
    let Some(name) = name else { return Ok(None) };
    let found = report.runs.iter().find(|run| run.name == name);
    let runs = || report.runs.iter().map(|run| run.name.clone()).collect();
    found.map(Some).ok_or_else(|| Error::UnknownRun { name: name.into(), runs: runs() })
}

/// Describes the systems that rank other candidates.
fn different_candidates(inputs: &Inputs, baseline: &RunReport) -> Vec<String> {
    let is_baseline = |name: &str| name == baseline.name;
    let first = inputs.candidates.as_ref().map(|run| ("candidates", run));
    let runs = inputs.runs.iter().map(|(name, run)| (name.as_str(), run));
    let (before, after): (Vec<_>, Vec<_>) = runs.partition(|(name, _)| is_baseline(name));
    let runs: Vec<(&str, &Run)> = first.into_iter().chain(before).chain(after).collect();
    let warnings = check_same_candidates(&runs, &baseline.evaluation.queries);
    warnings.iter().map(ToString::to_string).collect()
}

/// Returns the measures of the best possible order of the candidates.
fn best(inputs: &Inputs, same_candidates: bool, measures: &[Measure]) -> Option<RunReport> {
    let shared = inputs.runs.first().map(|(_, run)| run).filter(|_| same_candidates);
    let run = oracle(&inputs.qrels, inputs.candidates.as_ref().or(shared)?);
    Some(RunReport { name: "oracle".into(), evaluation: per_query(&inputs.qrels, &run, measures) })
}

/// Describes the runs that leave queries out.
fn gaps(report: &Report) -> impl Iterator<Item = String> {
    report.runs.iter().filter(|run| !run.evaluation.missing.is_empty()).map(|run| {
        let (missing, queries) = (run.evaluation.missing.len(), run.evaluation.queries.len());
        format!(
            "run `{}` has no ranking for {missing} of {queries} queries; they count as 0",
            run.name
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Verdict;
    use crate::decision::Ruling;
    use whetstone_records::{Hint, Hit, Qrels};

    /// 60 queries with ten candidates each. `rank` gives the rank of the relevant one.
    fn run(rank: impl Fn(usize) -> usize) -> Run {
        let mut run = Run::default();
        for query in 0..60 {
            let score = |passage: usize| {
                if passage == 0 { 10.5 - rank(query) as f32 } else { 10.0 - passage as f32 }
            };
            let hit = |passage| Hit {
                passage: format!("p{passage}").as_str().into(),
                score: score(passage),
            };
            run.insert(format!("q{query}").as_str().into(), (0..10).map(hit).collect());
        }
        run
    }

    fn inputs(runs: Vec<(&str, Run)>) -> Inputs {
        let mut qrels = Qrels::default();
        for query in 0..60 {
            qrels.insert(format!("q{query}").as_str().into(), "p0".into(), 1);
        }
        let runs = runs.into_iter().map(|(name, run)| (name.to_owned(), run)).collect();
        Inputs { qrels, runs, candidates: None }
    }

    fn assessed(runs: Vec<(&str, Run)>, config: &AssessConfig) -> Assessment {
        assess(&inputs(runs), &Caveats::default(), config).unwrap()
    }

    #[test]
    fn the_verdict_is_about_the_best_system_or_the_one_named() {
        let runs = || {
            vec![("bm25", run(|q| q % 4 + 2)), ("good", run(|q| q % 2 + 1)), ("bad", run(|_| 9))]
        };
        let assessment = assessed(runs(), &AssessConfig::default());
        let decision = assessment.verdict.unwrap();
        assert_eq!(
            (decision.system.as_str(), decision.ruling),
            ("good", Ruling::Given(Verdict::Ship))
        );
        assert_eq!(assessment.baseline.as_deref(), Some("bm25"));
        let config = AssessConfig { system: Some("bad".into()), ..Default::default() };
        let decision = assessed(runs(), &config).verdict.unwrap();
        assert_eq!(
            (decision.system.as_str(), decision.ruling),
            ("bad", Ruling::Given(Verdict::DontShip))
        );
        let config = AssessConfig { baseline: Some("good".into()), ..Default::default() };
        assert_eq!(
            assessed(runs(), &config).verdict.unwrap().ruling,
            Ruling::Given(Verdict::DontShip)
        );
    }

    #[test]
    fn names_that_are_no_run_are_refused() {
        let runs = || inputs(vec![("bm25", run(|_| 3)), ("good", run(|_| 1))]);
        let refused = |baseline: Option<&str>, system: Option<&str>| {
            let (baseline, system) = (baseline.map(Into::into), system.map(Into::into));
            let config = AssessConfig { baseline, system, ..Default::default() };
            assess(&runs(), &Caveats::default(), &config).unwrap_err()
        };
        let error = refused(Some("bm"), None);
        assert_eq!(error.to_string(), "there is no run `bm`");
        assert_eq!(error.hint().unwrap(), "the runs are `bm25`, `good`");
        assert!(matches!(refused(None, Some("nobody")), Error::UnknownRun { .. }));
        assert!(matches!(refused(None, Some("bm25")), Error::SystemIsBaseline { .. }));
    }

    #[test]
    fn other_candidates_and_a_caveat_withhold_the_verdict() {
        let mut short = run(|_| 1);
        short.insert("q7".into(), vec![Hit { passage: "p0".into(), score: 1.0 }]);
        let assessment =
            assessed(vec![("bm25", run(|q| q % 4 + 2)), ("good", short)], &AssessConfig::default());
        let decision = assessment.verdict.as_ref().unwrap();
        assert_eq!(decision.ruling.to_string(), "NO VERDICT");
        assert!(
            decision.reason.contains("rank different candidates for 1 of 60 queries, first `q7`"),
            "{decision:?}"
        );
        assert!(assessment.oracle.is_none(), "there is no best order of lists that differ");

        let runs = inputs(vec![("bm25", run(|q| q % 4 + 2)), ("good", run(|_| 1))]);
        let caveats = Caveats { refusals: vec!["leaked".into()], labels: vec!["synthetic".into()] };
        let assessment = assess(&runs, &caveats, &AssessConfig::default()).unwrap();
        assert_eq!(assessment.verdict.unwrap().reason, "leaked");
        assert_eq!(assessment.warnings, ["synthetic"]);
    }

    #[test]
    fn one_run_is_measured_without_a_verdict_and_the_primary_measure_is_always_measured() {
        let primary: Measure = "p@2".parse().unwrap();
        let config = AssessConfig { primary, measures: vec![Measure::Map], ..Default::default() };
        let assessment = assessed(vec![("bm25", run(|_| 2))], &config);
        assert!(
            assessment.verdict.is_none()
                && assessment.baseline.is_none()
                && assessment.comparisons.is_empty()
        );
        let json = serde_json::to_value(&assessment).unwrap();
        assert_eq!(json["runs"]["bm25"]["map"], 0.5);
        assert_eq!(json["runs"]["bm25"]["p@2"], 0.5);
        assert_eq!(json["oracle"]["map"], 1.0);
        assert_eq!(json["primary"], "p@2");
        assert_eq!(json["intervals"]["bm25"]["low"], 0.5);
    }
}
