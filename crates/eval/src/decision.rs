//! Puts the verdict on a system into words, or the reason why there is none.

use crate::compare::{CompareConfig, Comparison};
use crate::measure::Measure;
use crate::verdict::Verdict;
use serde::Serialize;
use std::fmt;

/// What an evaluation says about one system, with the reason in words.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Decision {
    #[serde(flatten)]
    pub ruling: Ruling,
    pub system: String,
    pub baseline: String,
    pub measure: Measure,
    /// One or two sentences for people.
    pub reason: String,
}

/// A [`Verdict`], or the fact that none can be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Ruling {
    Given(Verdict),
    Withheld(Withheld),
}

/// No verdict can be given, whatever the numbers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "decision", rename_all = "kebab-case")]
pub enum Withheld {
    NoVerdict,
}

impl Ruling {
    /// Returns whether the system may be shipped; `--gate` asks this.
    pub fn ships(self) -> bool {
        self == Ruling::Given(Verdict::Ship)
    }
}

impl fmt::Display for Ruling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ruling::Given(Verdict::NotEnoughQueries { .. }) => f.pad("NOT ENOUGH QUERIES"),
            Ruling::Given(verdict) => verdict.fmt(f),
            Ruling::Withheld(_) => f.pad("NO VERDICT"),
        }
    }
}

impl Decision {
    /// Puts the verdict of a comparison among `systems` into words. Any of `refusals` withholds it.
    pub fn new(
        comparison: &Comparison,
        systems: usize,
        refusals: &[String],
        config: &CompareConfig,
    ) -> Self {
        let (ruling, reason) = match refusals {
            [] => (Ruling::Given(comparison.verdict), reason(comparison, systems, config)),
            refusals => (Ruling::Withheld(Withheld::NoVerdict), refusals.join(". ")),
        };
        let Comparison { baseline, system, measure, .. } = comparison;
        Self {
            ruling,
            system: system.clone(),
            baseline: baseline.clone(),
            measure: *measure,
            reason,
        }
    }
}

fn reason(comparison: &Comparison, systems: usize, config: &CompareConfig) -> String {
    let Comparison { measure, paired, p_holm, .. } = comparison;
    let (baseline, system) = (name(&comparison.baseline), name(&comparison.system));
    let (low, high) = (paired.interval.low, paired.interval.high);
    let (queries, gain) = (paired.queries, config.worthwhile_gain);
    let confidence = percent(1.0 - config.alpha);
    let interval = format!("{confidence} interval {} to {}", signed(low), signed(high));
    let p = if systems > 1 {
        format!("{} after Holm's correction over {systems} systems", p_is(*p_holm))
    } else {
        p_is(*p_holm)
    };
    match comparison.verdict {
        Verdict::Ship => format!(
            "{system} is better than {baseline} by {} {measure} over {queries} queries ({interval}, {p})",
            signed(paired.difference)
        ),
        Verdict::DontShip if high < 0.0 => format!(
            "{system} is worse than {baseline} by {} {measure} over {queries} queries ({interval})",
            signed(paired.difference)
        ),
        Verdict::DontShip => format!(
            "{system} is not better than {baseline} by as much as {gain} {measure}: over {queries} queries the \
             difference is {} ({interval})",
            signed(paired.difference)
        ),
        Verdict::NotEnoughQueries { needed } if queries < config.min_queries => format!(
            "{queries} queries are too few for any verdict: at least {}, here about {needed}. So far {system} is at \
             {} {measure} against {baseline} ({interval})",
            config.min_queries,
            signed(paired.difference)
        ),
        Verdict::NotEnoughQueries { needed } => format!(
            "{system} is at {} {measure} against {baseline} over {queries} queries, which may be chance ({interval}, {p}); \
             about {needed} queries would decide, were this difference the true one",
            signed(paired.difference)
        ),
    }
}

/// Returns the name of a run in backticks, with its own backticks replaced.
pub(crate) fn name(run: &str) -> String {
    format!("`{}`", run.replace('`', "'"))
}

/// Formats as `+0.0312` or `-0.0312`; an infinite end of an interval becomes `unknown`.
pub(crate) fn signed(value: f64) -> String {
    if value.is_finite() { format!("{value:+.4}") } else { "unknown".into() }
}

/// Formats a p-value; below 0.0001 the digits do not matter.
pub(crate) fn p_value(p: f64) -> String {
    if p < 0.0001 { "< 0.0001".into() } else { format!("{p:.4}") }
}

fn p_is(p: f64) -> String {
    if p < 0.0001 { "p < 0.0001".into() } else { format!("p = {p:.4}") }
}

/// Formats as `95 %`, with at most two decimals.
pub(crate) fn percent(share: f64) -> String {
    format!("{} %", (share * 1e4).round() / 1e2)
}

/// Returns `***` for p up to 0.001, `**` up to 0.01, `*` up to 0.05.
pub fn stars(p: f64) -> &'static str {
    [(0.001, "***"), (0.01, "**"), (0.05, "*")]
        .iter()
        .find(|(level, _)| p <= *level)
        .map_or("", |(_, stars)| stars)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::paired;
    use crate::verdict::verdict;

    fn decide(differences: &[f64], refusals: &[String]) -> Decision {
        let config = CompareConfig::default();
        let paired = paired(differences, &config);
        let comparison = Comparison {
            baseline: "bm25".into(),
            system: "tuned".into(),
            measure: Measure::Map,
            baseline_mean: 0.0,
            system_mean: 0.0,
            p_holm: paired.p,
            detectable: 0.0,
            verdict: verdict(&paired, paired.p, 1, &config),
            paired,
        };
        Decision::new(&comparison, 1, refusals, &config)
    }

    #[test]
    fn the_reason_says_what_decided() {
        assert_eq!(
            decide(&[0.5; 60], &[]).reason,
            "`tuned` is better than `bm25` by +0.5000 map over 60 queries (95 % interval +0.5000 to +0.5000, p < 0.0001)"
        );
        assert!(
            decide(&[-0.5; 60], &[])
                .reason
                .starts_with("`tuned` is worse than `bm25` by -0.5000 map")
        );
        assert!(
            decide(&[0.0; 60], &[])
                .reason
                .starts_with("`tuned` is not better than `bm25` by as much as 0.01 map")
        );
        assert!(
            decide(&[0.5; 9], &[])
                .reason
                .starts_with("9 queries are too few for any verdict: at least 50")
        );
        let alternating: Vec<f64> =
            (0..60).map(|index| if index % 2 == 0 { 0.3 } else { -0.27 }).collect();
        assert!(
            decide(&alternating, &[]).reason.contains("may be chance"),
            "{}",
            decide(&alternating, &[]).reason
        );
    }

    #[test]
    fn a_refusal_withholds_the_verdict_however_good_the_numbers() {
        let decision = decide(&[0.5; 60], &["the runs rank different candidates".into()]);
        assert!(!decision.ruling.ships() && decide(&[0.5; 60], &[]).ruling.ships());
        assert_eq!(decision.ruling.to_string(), "NO VERDICT");
        assert_eq!(decision.reason, "the runs rank different candidates");
        let json = serde_json::to_value(&decision).unwrap();
        assert_eq!(json["decision"], "no-verdict");
        assert_eq!(serde_json::to_value(decide(&[0.5; 9], &[])).unwrap()["needed"], 50);
    }

    #[test]
    fn stars_mark_the_usual_levels() {
        assert_eq!([0.001, 0.01, 0.05, 0.051].map(stars), ["***", "**", "*", ""]);
    }
}
