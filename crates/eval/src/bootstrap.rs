//! Bootstrap intervals of a mean.

use crate::normal;
use crate::per_query::mean;
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Resamples drawn by one generator; fixed, so the result does not depend on the number of threads.
const BLOCK: usize = 64;

/// An interval of plausible values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
}

/// Returns the paired bootstrap interval of the mean difference at confidence 1 − alpha. It draws
/// queries with replacement and corrects the ends for bias and skew (BCa, Efron 1987).
///
/// The plain percentile interval does not suffice: if many queries gain a little and few lose much,
/// too many resamples miss the losses.
pub fn bootstrap_interval(
    differences: &[f64],
    resamples: usize,
    alpha: f64,
    seed: u64,
) -> Interval {
    if differences.is_empty() || resamples == 0 {
        return Interval { low: f64::NEG_INFINITY, high: f64::INFINITY };
    }
    let middle = mean(differences);
    let mut means = vec![0.0; resamples];
    means.par_chunks_mut(BLOCK).enumerate().for_each(|(block, means)| {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(block as u64);
        means.fill_with(|| resampled_mean(differences, &mut random));
    });
    means.sort_unstable_by(f64::total_cmp);
    // Resamples sum equal values in different orders; rounding alone must not widen the interval.
    let rounding = 1e-12 * differences.iter().map(|difference| difference.abs()).sum::<f64>();
    if means[resamples - 1] - means[0] <= rounding {
        return Interval { low: middle, high: middle };
    }
    let below = means.partition_point(|mean| *mean < middle - rounding);
    let not_above = means.partition_point(|mean| *mean <= middle + rounding);
    // A fraction of 0 or 1 has no quantile, so half a resample is the smallest used.
    let share =
        ((below + not_above) as f64 / 2.0).clamp(0.5, resamples as f64 - 0.5) / resamples as f64;
    let (bias, skew) = (normal::quantile(share), acceleration(differences, middle));
    let corrected = |z: f64| {
        normal::distribution(bias + (bias + z) / (1.0 - skew * (bias + z)).max(f64::MIN_POSITIVE))
    };
    let z = normal::quantile(1.0 - alpha / 2.0);
    // Each end leaves its fraction of the resamples outside.
    let outside = |share: f64| ((share * resamples as f64) as usize).min(resamples - 1);
    Interval {
        low: means[outside(corrected(-z))],
        high: means[resamples - 1 - outside(1.0 - corrected(z))],
    }
}

/// Returns the acceleration of BCa for a mean: a sixth of its skewness.
fn acceleration(differences: &[f64], middle: f64) -> f64 {
    let moment =
        |power: i32| differences.iter().map(|value| (value - middle).powi(power)).sum::<f64>();
    moment(3) / (6.0 * moment(2).powf(1.5))
}

fn resampled_mean(differences: &[f64], random: &mut ChaCha8Rng) -> f64 {
    let count = differences.len() as u64;
    // The upper half of a product is near enough to uniform for any number of queries that fits in
    // memory (Lemire 2019).
    let draw = |_| differences[((u64::from(random.next_u32()) * count) >> 32) as usize];
    (0..count).map(draw).sum::<f64>() / count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_many_queries_is_that_of_the_normal_distribution() {
        // Values with mean 1 and variance 2, as 0 ± sqrt(2) around 1.
        let differences: Vec<f64> = (0..1000)
            .map(|index| 1.0 + if index % 2 == 0 { 2f64 } else { -2f64 } / 2f64.sqrt())
            .collect();
        let interval = bootstrap_interval(&differences, 10_000, 0.05, 3);
        let half = 1.96 * (2f64 / 1000.0).sqrt();
        // The ends are estimated from 10,000 resamples: about 2 % of half the width.
        assert!(
            (interval.low - (1.0 - half)).abs() < 0.05 * half,
            "{interval:?}, half width {half}"
        );
        assert!(
            (interval.high - (1.0 + half)).abs() < 0.05 * half,
            "{interval:?}, half width {half}"
        );
    }

    #[test]
    fn equal_differences_leave_no_width() {
        let interval = bootstrap_interval(&[0.1; 30], 1000, 0.05, 3);
        assert_eq!(interval.low, interval.high);
        assert!((interval.low - 0.1).abs() < 1e-12);
    }

    #[test]
    fn nothing_measured_excludes_nothing() {
        let interval = bootstrap_interval(&[], 1000, 0.05, 3);
        assert_eq!((interval.low, interval.high), (f64::NEG_INFINITY, f64::INFINITY));
    }

    #[test]
    fn the_seed_alone_decides_the_interval() {
        let differences: Vec<f64> = (0..100).map(|index| f64::from(index % 7) - 2.8).collect();
        let interval = |seed| bootstrap_interval(&differences, 1000, 0.05, seed);
        let alone =
            rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap().install(|| interval(5));
        assert_eq!(interval(5), alone);
        assert_ne!(interval(5), interval(6));
    }
}
