//! Decides whether training changed the answers to general questions, which it was not about.

use crate::compare::{CompareConfig, Paired};
use serde::Serialize;
use std::fmt;

/// The effect of training on general questions, which it was not about.
///
/// The rule concerns the mean difference (after − before) of one measure over the general queries.
/// Its parts are tried in this order:
/// 1. Fewer than `min-queries` queries: [`Retention::NotEnoughQueries`].
/// 2. The bootstrap interval lies wholly above 0 and the test's p-value is at most `alpha`:
///    [`Retention::Gained`].
/// 3. The interval lies wholly above −`worthwhile-gain`: [`Retention::Kept`]. This rules out a loss
///    that matters.
/// 4. The interval lies wholly below 0 and the p-value is at most `alpha`: [`Retention::Forgot`].
/// 5. Otherwise [`Retention::NotEnoughQueries`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "decision", rename_all = "kebab-case")]
pub enum Retention {
    Gained,
    Kept,
    Forgot,
    NotEnoughQueries,
}

impl fmt::Display for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Retention::Gained => "GAINED",
            Retention::Kept => "KEPT",
            Retention::Forgot => "FORGOT",
            Retention::NotEnoughQueries => "NOT ENOUGH QUERIES",
        })
    }
}

/// Decides on the paired differences (after − before) over general queries.
pub fn retention(paired: &Paired, config: &CompareConfig) -> Retention {
    let is_shown = paired.p <= config.alpha;
    if paired.queries < config.min_queries {
        Retention::NotEnoughQueries
    } else if is_shown && paired.interval.low > 0.0 {
        Retention::Gained
    } else if paired.interval.low > -config.worthwhile_gain {
        Retention::Kept
    } else if is_shown && paired.interval.high < 0.0 {
        Retention::Forgot
    } else {
        Retention::NotEnoughQueries
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::paired;

    /// Decides on differences with this mean: half of them are `spread` above it, half as much
    /// below.
    fn decide(mean: f64, spread: f64, queries: usize) -> Retention {
        let config = CompareConfig { permutations: 10_000, resamples: 2_000, ..Default::default() };
        let differences: Vec<f64> = (0..queries)
            .map(|at| if at % 2 == 0 { mean + spread } else { mean - spread })
            .collect();
        retention(&paired(&differences, &config), &config)
    }

    #[test]
    fn each_decision_is_reached_by_what_its_rule_says() {
        assert_eq!(decide(0.05, 0.1, 200), Retention::Gained);
        assert_eq!(decide(0.0, 0.02, 200), Retention::Kept);
        assert_eq!(decide(-0.003, 0.01, 200), Retention::Kept, "shown, but too small to matter");
        assert_eq!(decide(-0.05, 0.1, 200), Retention::Forgot);
        assert_eq!(decide(-0.01, 0.3, 200), Retention::NotEnoughQueries);
        assert_eq!(decide(-0.5, 0.1, 20), Retention::NotEnoughQueries);
    }
}
