//! Decides whether to ship a system: the rule, its reason and its formula.

use crate::bootstrap::Interval;
use crate::compare::{CompareConfig, Paired};
use crate::normal;
use serde::Serialize;
use std::fmt;

/// What a comparison says to do.
///
/// The rule concerns the mean difference (system − baseline) of one measure over n queries. Its
/// parts are tried in this order:
/// 1. Fewer than `min-queries` queries: [`Verdict::NotEnoughQueries`].
/// 2. The bootstrap interval lies wholly below `worthwhile-gain`: [`Verdict::DontShip`]. This rules
///    out a gain worth its cost, whether the system is worse, equal or slightly better.
/// 3. The randomisation test's p-value, after Holm's correction over the systems compared, is at
///    most `alpha`, and the bootstrap interval lies wholly above 0: [`Verdict::Ship`]. Each guards
///    against the other's weakness: skewed differences mislead the test, few queries the interval.
/// 4. Otherwise [`Verdict::NotEnoughQueries`].
///
/// `needed` is the number of queries at which rule 2 or rule 3, whichever needs fewer, would decide
/// with probability `power` if the measured mean were the true one. It is at least `min-queries`.
/// Let w be the distance from the mean to an end of the interval (or of the test's region) at n
/// queries, and d the distance to the border (0 or `worthwhile-gain`). The end must come
/// nearer than d by z(power) standard errors, and w shrinks with √n. So
/// needed = n · (w/d · (1 + z(power) / z(1 − alpha/2)))².
///
/// Without a true difference, a system is shipped with a probability of about alpha/2: the test has
/// two sides and only one of them ships. `cargo run --release -p whetstone-eval --example
/// check_stats` measures it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "decision", rename_all = "kebab-case")]
pub enum Verdict {
    Ship,
    DontShip,
    NotEnoughQueries { needed: usize },
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Ship => f.pad("SHIP"),
            Verdict::DontShip => f.pad("DON'T SHIP"),
            Verdict::NotEnoughQueries { needed } => {
                write!(f, "NOT ENOUGH QUERIES (about {needed} needed)")
            }
        }
    }
}

/// Returns the verdict on one of `systems` systems compared with the same baseline. `p_holm` is its
/// p-value after Holm's correction over them.
pub fn verdict(paired: &Paired, p_holm: f64, systems: usize, config: &CompareConfig) -> Verdict {
    let Interval { low, high } = paired.interval;
    let enough = paired.queries >= config.min_queries;
    if enough && high < config.worthwhile_gain {
        Verdict::DontShip
    } else if enough && p_holm <= config.alpha && low > 0.0 {
        Verdict::Ship
    } else {
        Verdict::NotEnoughQueries { needed: needed(paired, systems, config) }
    }
}

fn needed(paired: &Paired, systems: usize, config: &CompareConfig) -> usize {
    let Paired { queries, difference, interval, .. } = paired;
    let queries_for = |width: f64, distance: f64, z: f64| {
        let shrink = width / distance * (1.0 + normal::quantile(config.power) / z);
        if distance > 0.0 { *queries as f64 * shrink.powi(2) } else { f64::INFINITY }
    };
    let (z, z_holm) = (test_quantile(1, config), test_quantile(systems, config));
    let error = paired.deviation / (*queries as f64).sqrt();
    let by_interval = queries_for(difference - interval.low, *difference, z);
    let by_test = queries_for(z_holm * error, *difference, z_holm);
    let to_refuse = queries_for(interval.high - difference, config.worthwhile_gain - difference, z);
    let needed = to_refuse.min(by_interval.max(by_test));
    // With fewer than two queries there is no deviation, so `needed` cannot be estimated.
    if needed.is_finite() {
        (needed.ceil() as usize).max(config.min_queries)
    } else {
        config.min_queries
    }
}

/// Returns how many standard errors a true mean must be from 0 to be detected with `power`.
pub(crate) fn standard_errors(systems: usize, config: &CompareConfig) -> f64 {
    test_quantile(systems, config) + normal::quantile(config.power)
}

/// Returns how many standard errors a measured mean must be from 0. Uses Bonferroni's fraction of
/// alpha, which is Holm's first and strictest step.
fn test_quantile(systems: usize, config: &CompareConfig) -> f64 {
    normal::quantile(1.0 - config.alpha / 2.0 / systems.max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::paired;

    fn decide(differences: &[f64]) -> Verdict {
        let config = CompareConfig::default();
        let paired = paired(differences, &config);
        verdict(&paired, paired.p, 1, &config)
    }

    /// Returns `count` differences around `mean`, alternately `far` above and below it.
    fn around(mean: f64, far: f64, count: usize) -> Vec<f64> {
        (0..count).map(|index| if index % 2 == 0 { mean + far } else { mean - far }).collect()
    }

    #[test]
    fn a_clear_gain_ships_and_a_clear_loss_does_not() {
        assert_eq!(decide(&around(0.1, 0.2, 100)), Verdict::Ship);
        assert_eq!(decide(&around(-0.1, 0.2, 100)), Verdict::DontShip);
    }

    #[test]
    fn no_difference_at_all_does_not_ship() {
        assert_eq!(decide(&[0.0; 100]), Verdict::DontShip);
    }

    #[test]
    fn a_certain_gain_that_is_not_worthwhile_does_not_ship() {
        assert_eq!(decide(&around(0.002, 0.01, 1000)), Verdict::DontShip);
    }

    #[test]
    fn few_queries_never_decide() {
        assert_eq!(decide(&[0.5; 49]), Verdict::NotEnoughQueries { needed: 50 });
        assert_eq!(decide(&[]), Verdict::NotEnoughQueries { needed: 50 });
        assert_eq!(decide(&[0.5; 50]), Verdict::Ship);
    }

    #[test]
    fn the_queries_needed_are_those_of_the_textbook_where_nothing_is_skewed() {
        // ((z(0.975) + z(0.8)) · deviation / mean)² for 80 % power: 784.9.
        let expected = (2.801585f64 * 0.2 / 0.02).powi(2);
        let Verdict::NotEnoughQueries { needed } = decide(&around(0.02, 0.2, 100)) else {
            panic!("decided")
        };
        // 10,000 resamples estimate the interval's ends to 2 % of their distance, which is 4 %
        // of its square.
        assert!((needed as f64 / expected - 1.0).abs() < 0.05, "{needed}, expected {expected}");
    }

    #[test]
    fn losses_that_were_hardly_seen_keep_a_system_from_shipping() {
        // 48 small gains and two large losses: the test alone says p < 0.05.
        let differences: Vec<f64> =
            (0..50).map(|index| if index < 48 { 0.05 } else { -0.45 }).collect();
        assert!(paired(&differences, &CompareConfig::default()).p < 0.05);
        assert!(
            matches!(decide(&differences), Verdict::NotEnoughQueries { needed } if needed > 50)
        );
    }

    #[test]
    fn an_undecided_comparison_always_needs_more_queries_than_it_had() {
        for step in -20..=20 {
            for far in [0.01, 0.03, 0.1, 0.3] {
                let differences = around(f64::from(step) / 1000.0, far, 200);
                if let Verdict::NotEnoughQueries { needed } = decide(&differences) {
                    assert!(needed > 200, "mean {step}e-3, far {far}: {needed}");
                }
            }
        }
    }

    #[test]
    fn verdicts_are_written_for_people_and_for_programs() {
        let few = Verdict::NotEnoughQueries { needed: 412 };
        assert_eq!(
            format!("{} {} {few}", Verdict::Ship, Verdict::DontShip),
            "SHIP DON'T SHIP NOT ENOUGH QUERIES (about 412 needed)"
        );
        assert_eq!(
            serde_json::to_string(&few).unwrap(),
            r#"{"decision":"not-enough-queries","needed":412}"#
        );
    }
}
