//! Finds the logit above which passages are relevant often enough.

use crate::calibration::Judged;
use crate::normal;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A logit above which passages are relevant often enough.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// The fraction of relevant passages that was asked for.
    pub wanted: f64,
    /// Passages with this logit or a higher one pass.
    pub logit: f64,
    /// Fraction of the passing dev passages that are relevant.
    pub precision: f64,
    /// The 95 % interval of `precision` (Wilson 1927).
    pub precision_low: f64,
    pub precision_high: f64,
    /// Fraction of dev's relevant candidates that pass.
    pub recall: f64,
    /// Number of dev passages that pass.
    pub above: usize,
}

/// Why dev gives no threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NoThreshold {
    pub wanted: f64,
    /// The highest precision of any threshold with [`LEAST_ABOVE`] passages above it; None if dev
    /// has fewer.
    pub best: Option<f64>,
}

/// No threshold is given with fewer passages above it. Even 20 relevant ones out of 20 leave room
/// for 16 % that are not.
pub const LEAST_ABOVE: usize = 20;

impl fmt::Display for NoThreshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wanted = self.wanted;
        match self.best {
            Some(best) => write!(
                f,
                "no threshold for precision {wanted}: with at least {LEAST_ABOVE} dev passages above it, none reaches \
                 more than {best:.3}"
            ),
            None => write!(
                f,
                "no threshold for precision {wanted}: dev has fewer than {LEAST_ABOVE} passages"
            ),
        }
    }
}

/// Returns the lowest threshold at which the dev passages that pass have precision `wanted`. Of all
/// precise thresholds, it lets the most through.
///
/// # Errors
/// No threshold with [`LEAST_ABOVE`] passages above it is precise enough.
pub fn threshold(pairs: &[Judged], wanted: f64) -> Result<Threshold, NoThreshold> {
    let mut sorted = pairs.to_vec();
    sorted.sort_by(|a, b| b.logit.total_cmp(&a.logit));
    let all = sorted.iter().filter(|pair| pair.relevant).count();
    let (mut relevant, mut best, mut found) = (0, None::<f64>, None);
    for (index, pair) in sorted.iter().enumerate() {
        relevant += usize::from(pair.relevant);
        let above = index + 1;
        // Passages with equal logits pass together.
        let tied = sorted.get(above).is_some_and(|next| next.logit == pair.logit);
        if tied || above < LEAST_ABOVE {
            continue;
        }
        let precision = relevant as f64 / above as f64;
        best = Some(best.unwrap_or(0.0).max(precision));
        if precision >= wanted {
            found = Some((pair.logit, relevant, above));
        }
    }
    let (logit, relevant, above) = found.ok_or(NoThreshold { wanted, best })?;
    let (precision_low, precision_high) = wilson(relevant, above);
    let precision = relevant as f64 / above as f64;
    Ok(Threshold {
        wanted,
        logit,
        precision,
        precision_low,
        precision_high,
        recall: relevant as f64 / all as f64,
        above,
    })
}

/// Returns the 95 % interval of a fraction.
fn wilson(hits: usize, of: usize) -> (f64, f64) {
    let (z, n) = (normal::quantile(0.975), of as f64);
    let share = hits as f64 / n;
    let middle = (share + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let half = z / (1.0 + z * z / n) * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
    ((middle - half).max(0.0), (middle + half).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Passages with logits n, n − 1, …; a `+` in the pattern marks a relevant one.
    fn pairs(pattern: &str) -> Vec<Judged> {
        let pair =
            |(index, mark)| Judged { query: 0, logit: -(index as f64), relevant: mark == '+' };
        pattern.chars().enumerate().map(pair).collect()
    }

    #[test]
    fn the_lowest_threshold_that_is_precise_enough_is_taken() {
        // 20 of 20, then a dip, then 27 of 30 = 0.9 at the last +.
        let pairs = pairs(&format!("{}---{}-----", "+".repeat(20), "+".repeat(7)));
        let found = threshold(&pairs, 0.9).unwrap();
        assert_eq!(
            (found.logit, found.above, found.precision, found.recall),
            (-29.0, 30, 0.9, 1.0)
        );
        let strict = threshold(&pairs, 1.0).unwrap();
        assert_eq!((strict.logit, strict.above), (-19.0, 20));
        assert!((strict.recall - 20.0 / 27.0).abs() < 1e-12);
    }

    #[test]
    fn a_threshold_that_dev_cannot_support_is_refused_with_the_best_it_could_do() {
        let refused =
            threshold(&pairs(&format!("{}{}", "+".repeat(19), "-".repeat(19))), 0.96).unwrap_err();
        assert_eq!(refused.best, Some(0.95));
        assert!(refused.to_string().contains("none reaches more than 0.950"), "{refused}");
        assert_eq!(threshold(&pairs("+++"), 0.9).unwrap_err().best, None);
    }

    #[test]
    fn passages_with_one_logit_pass_together() {
        let mut tied = pairs(&"+".repeat(30));
        tied.iter_mut().skip(19).for_each(|pair| pair.logit = -19.0);
        tied[29].relevant = false;
        assert_eq!(threshold(&tied, 0.9).unwrap().above, 30);
    }

    #[test]
    fn wilsons_interval_is_the_published_one() {
        // Newcombe 1998, table II: 81 of 263 → 0.2553..0.3662, and 0 of 20 → 0..0.1611.
        let (low, high) = wilson(81, 263);
        assert!((low - 0.2553).abs() < 5e-5 && (high - 0.3662).abs() < 5e-5, "{low} {high}");
        let (low, high) = wilson(0, 20);
        assert!(low == 0.0 && (high - 0.1611).abs() < 5e-5, "{low} {high}");
    }
}
