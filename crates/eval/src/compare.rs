//! Compares systems with a baseline, query by query.

use crate::bootstrap::{Interval, bootstrap_interval};
use crate::error::{Error, Result};
use crate::measure::Measure;
use crate::per_query::mean;
use crate::randomisation::randomisation_test;
use crate::report::RunReport;
use crate::verdict::{Verdict, standard_errors, verdict};
use serde::{Deserialize, Serialize};

/// Smaller differences are ties: larger than rounding errors, smaller than any measure can resolve.
pub(crate) const TIE: f64 = 1e-9;

/// How to compare systems, and what a verdict requires.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct CompareConfig {
    pub seed: u64,
    /// Random sign flips of the randomisation test.
    pub permutations: usize,
    /// Resamples of the bootstrap.
    pub resamples: usize,
    /// Level of the test; the interval has confidence 1 − alpha.
    pub alpha: f64,
    /// Probability that `needed` queries would decide.
    pub power: f64,
    /// The smallest gain that is worth a more costly system, in units of the measure.
    pub worthwhile_gain: f64,
    /// With fewer queries there is no verdict. A loss on one query in ten is absent from 25 queries
    /// in 7 % of the cases, from 50 in 0.5 %. Besides, the interval of so few queries is too
    /// narrow.
    pub min_queries: usize,
}

impl Default for CompareConfig {
    fn default() -> Self {
        Self {
            seed: 1,
            permutations: 100_000,
            resamples: 10_000,
            alpha: 0.05,
            power: 0.8,
            worthwhile_gain: 0.01,
            min_queries: 50,
        }
    }
}

impl CompareConfig {
    /// Refuses values out of range.
    pub fn check(&self) -> Result<()> {
        let range = |key, value: f64, is_good: bool, expected| {
            if is_good { Ok(()) } else { Err(Error::Config { key, expected, value }) }
        };
        let (permutations, resamples, alpha) =
            (self.permutations as f64, self.resamples as f64, self.alpha);
        range("alpha", alpha, alpha > 0.0 && alpha < 0.5, "in (0, 0.5)")?;
        range("power", self.power, self.power >= 0.5 && self.power < 1.0, "in [0.5, 1)")?;
        range("worthwhile-gain", self.worthwhile_gain, self.worthwhile_gain > 0.0, "above 0")?;
        range("permutations", permutations, permutations >= 10.0 / alpha, "at least 10 / alpha")?;
        range("resamples", resamples, resamples >= 10.0 / alpha, "at least 10 / alpha")
    }
}

/// Statistics of one measure's per-query differences (system − baseline).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Paired {
    pub queries: usize,
    /// The mean difference.
    pub difference: f64,
    /// Standard deviation of the differences over queries.
    pub deviation: f64,
    /// Bootstrap interval of the mean difference at confidence 1 − alpha.
    pub interval: Interval,
    /// Two-sided p-value of the randomisation test.
    pub p: f64,
    pub wins: usize,
    pub ties: usize,
    pub losses: usize,
    /// Cohen's d for paired values, mean / standard deviation; None if all differences are equal.
    pub effect_size: Option<f64>,
}

/// Returns the statistics of paired per-query differences.
pub fn paired(differences: &[f64], config: &CompareConfig) -> Paired {
    let (difference, deviation) = (mean(differences), deviation(differences));
    let count = |is_so: fn(f64) -> bool| differences.iter().filter(|value| is_so(**value)).count();
    let (wins, losses) = (count(|value| value > TIE), count(|value| value < -TIE));
    Paired {
        queries: differences.len(),
        difference,
        deviation,
        interval: bootstrap_interval(differences, config.resamples, config.alpha, config.seed),
        p: randomisation_test(differences, config.permutations, config.seed),
        wins,
        ties: differences.len() - wins - losses,
        losses,
        effect_size: (deviation > TIE).then(|| difference / deviation),
    }
}

/// Returns the standard deviation of a sample (n − 1); 0 for fewer than two values.
fn deviation(values: &[f64]) -> f64 {
    let middle = mean(values);
    let squares: f64 = values.iter().map(|value| (value - middle).powi(2)).sum();
    if values.len() < 2 { 0.0 } else { (squares / (values.len() - 1) as f64).sqrt() }
}

/// One system compared with the baseline by one measure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    pub baseline: String,
    pub system: String,
    pub measure: Measure,
    pub baseline_mean: f64,
    pub system_mean: f64,
    #[serde(flatten)]
    pub paired: Paired,
    /// `p` after Holm's correction over all compared systems.
    pub p_holm: f64,
    /// The smallest true difference that this many queries reveal with probability `power`, given
    /// the deviation.
    pub detectable: f64,
    pub verdict: Verdict,
}

/// Compares every system with the baseline by one measure.
///
/// Holm's correction accounts for several systems but not for several measures, so decide
/// beforehand which measure the verdict depends on.
///
/// # Errors
/// A system was measured over other queries than the baseline, or without that measure.
pub fn compare(
    baseline: &RunReport,
    systems: &[&RunReport],
    measure: Measure,
    config: &CompareConfig,
) -> Result<Vec<Comparison>> {
    config.check()?;
    let paired: Vec<Paired> = systems
        .iter()
        .map(|system| Ok(paired(&differences(baseline, system, measure)?, config)))
        .collect::<Result<_>>()?;
    let p_holm = holm(&paired.iter().map(|paired| paired.p).collect::<Vec<_>>());
    let comparison = |((system, paired), p_holm): ((&&RunReport, Paired), f64)| Comparison {
        baseline: baseline.name.clone(),
        system: system.name.clone(),
        measure,
        baseline_mean: baseline.evaluation.mean_of(measure).unwrap_or_default(),
        system_mean: system.evaluation.mean_of(measure).unwrap_or_default(),
        detectable: standard_errors(systems.len(), config) * paired.deviation
            / (paired.queries as f64).sqrt(),
        verdict: verdict(&paired, p_holm, systems.len(), config),
        p_holm,
        paired,
    };
    Ok(systems.iter().zip(paired).zip(p_holm).map(comparison).collect())
}

/// Returns system − baseline for every query.
fn differences(baseline: &RunReport, system: &RunReport, measure: Measure) -> Result<Vec<f64>> {
    if baseline.evaluation.queries != system.evaluation.queries {
        let (baseline, system) = (baseline.name.clone(), system.name.clone());
        return Err(Error::DifferentQueries { baseline, system });
    }
    let values = |run: &RunReport| match run.evaluation.values_of(measure) {
        Some(values) => Ok(values.to_vec()),
        None => Err(Error::NotMeasured { name: run.name.clone(), measure }),
    };
    Ok(values(system)?
        .iter()
        .zip(values(baseline)?)
        .map(|(system, baseline)| system - baseline)
        .collect())
}

/// Returns the p-values after Holm's step-down correction (1979), in the order given.
///
/// ```
/// # use whetstone_eval::holm;
/// assert_eq!(holm(&[0.5, 0.125]), [0.5, 0.25]);
/// ```
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
    let mut corrected = vec![0.0; p.len()];
    let mut highest: f64 = 0.0;
    for (step, place) in order.into_iter().enumerate() {
        highest = highest.max(p[place] * (p.len() - step) as f64).min(1.0);
        corrected[place] = highest;
    }
    corrected
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::per_query::Evaluation;

    fn report(name: &str, values: &[f64]) -> RunReport {
        let evaluation = Evaluation {
            measures: vec![Measure::Map],
            queries: (0..values.len()).map(|index| format!("q{index}").as_str().into()).collect(),
            values: vec![values.to_vec()],
            means: vec![mean(values)],
            missing: Vec::new(),
        };
        RunReport { name: name.into(), evaluation }
    }

    #[test]
    fn holm_steps_down_and_never_lets_a_larger_p_value_become_the_smaller() {
        // By hand: 5 · 0.005, 4 · 0.01, 3 · 0.03, then 2 · 0.04 raised to the 0.09 before it, 1 ·
        // 0.6.
        let expected = [0.09, 0.04, 0.09, 0.025, 0.6];
        for (got, expected) in holm(&[0.04, 0.01, 0.03, 0.005, 0.6]).iter().zip(expected) {
            assert!((got - expected).abs() < 1e-12, "{got}, expected {expected}");
        }
        assert_eq!(holm(&[0.7, 0.9]), [1.0, 1.0]);
    }

    #[test]
    fn a_comparison_counts_and_measures_what_changed() {
        let baseline = report("bm25", &[0.2, 0.5, 0.5, 1.0]);
        let system = report("tuned", &[0.4, 0.9, 0.5, 0.8]);
        let comparisons =
            compare(&baseline, &[&system], Measure::Map, &CompareConfig::default()).unwrap();
        let Comparison { paired, system_mean, detectable, .. } = &comparisons[0];
        assert_eq!((paired.wins, paired.ties, paired.losses), (2, 1, 1));
        assert!((paired.difference - 0.1).abs() < 1e-12);
        assert!((system_mean - 0.65).abs() < 1e-12);
        // numpy.std([.2, .4, 0, -.2], ddof=1) = 0.2581988897
        assert!((paired.effect_size.unwrap() - 0.1 / 0.2581988897).abs() < 1e-9);
        assert!((detectable - 2.801585 * 0.2581988897 / 2.0).abs() < 1e-6);
    }

    #[test]
    fn several_systems_are_corrected_for() {
        let baseline = report("bm25", &[0.0; 40]);
        let gains: Vec<f64> =
            (0..40).map(|index| if index % 3 == 0 { -0.1 } else { 0.1 }).collect();
        let system = report("tuned", &gains);
        let config = CompareConfig::default();
        let alone = &compare(&baseline, &[&system], Measure::Map, &config).unwrap()[0];
        let third =
            &compare(&baseline, &[&system, &system, &system], Measure::Map, &config).unwrap()[2];
        assert_eq!(alone.p_holm, alone.paired.p);
        assert_eq!(third.p_holm, 3.0 * alone.paired.p);
        assert!(third.detectable > alone.detectable);
    }

    #[test]
    fn systems_measured_over_other_queries_are_refused() {
        let error = compare(
            &report("a", &[0.1]),
            &[&report("b", &[0.1, 0.2])],
            Measure::Map,
            &CompareConfig::default(),
        );
        assert_eq!(
            error.unwrap_err().to_string(),
            "runs `a` and `b` were measured over different queries"
        );
        let missing =
            compare(&report("a", &[0.1]), &[], "p@1".parse().unwrap(), &CompareConfig::default());
        assert_eq!(missing.unwrap(), []);
    }

    #[test]
    fn an_impossible_config_is_refused_with_its_value() {
        let config = CompareConfig { alpha: 1.5, ..Default::default() };
        assert_eq!(config.check().unwrap_err().to_string(), "`alpha` must be in (0, 0.5), got 1.5");
        let config = CompareConfig { permutations: 100, ..Default::default() };
        assert_eq!(
            config.check().unwrap_err().to_string(),
            "`permutations` must be at least 10 / alpha, got 100"
        );
        CompareConfig::default().check().unwrap();
    }
}
