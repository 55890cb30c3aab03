//! Measures how well predicted probabilities hold.

use serde::{Deserialize, Serialize};

/// A bin of a reliability diagram: the pairs with a probability in (low, high]. The first bin
/// includes its low end.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    pub low: f64,
    pub high: f64,
    pub pairs: usize,
    /// Mean probability of its pairs; 0 without pairs.
    pub mean_probability: f64,
    /// Fraction of its pairs that are relevant; 0 without pairs.
    pub relevant_fraction: f64,
}

const BINS: usize = 10;

/// Returns ten bins of equal width over 0..=1, as Guo et al. (2017) draw them.
pub fn reliability(probabilities: &[f64], relevant: &[bool]) -> Vec<Bin> {
    let edge = |bin: usize| bin as f64 / BINS as f64;
    let mut sums = [(0usize, 0.0, 0usize); BINS];
    for (probability, relevant) in probabilities.iter().zip(relevant) {
        let bin = (1..BINS).take_while(|bin| *probability > edge(*bin)).count();
        let (pairs, sum, hits) = &mut sums[bin];
        *pairs += 1;
        *sum += probability;
        *hits += usize::from(*relevant);
    }
    let bin = |(bin, (pairs, sum, hits)): (usize, (usize, f64, usize))| Bin {
        low: edge(bin),
        high: edge(bin + 1),
        pairs,
        mean_probability: sum / pairs.max(1) as f64,
        relevant_fraction: hits as f64 / pairs.max(1) as f64,
    };
    sums.into_iter().enumerate().map(bin).collect()
}

/// Returns the expected calibration error: the mean over pairs of |mean probability − relevant
/// fraction| of their bin (Naeini, Cooper and Hauskrecht 2015).
pub fn expected_calibration_error(bins: &[Bin]) -> f64 {
    let pairs: usize = bins.iter().map(|bin| bin.pairs).sum();
    let gap = |bin: &Bin| bin.pairs as f64 * (bin.mean_probability - bin.relevant_fraction).abs();
    bins.iter().map(gap).sum::<f64>() / pairs.max(1) as f64
}

/// Returns the mean of −ln(probability given to the true class), in nats.
pub fn log_loss(probabilities: &[f64], relevant: &[bool]) -> f64 {
    // A probability of exactly 0 or 1 is due to rounding and must not cost infinity.
    let right = |(probability, relevant): (&f64, &bool)| {
        if *relevant { *probability } else { 1.0 - probability }
    };
    let sum: f64 =
        probabilities.iter().zip(relevant).map(right).map(|p| -p.max(f64::EPSILON).ln()).sum();
    sum / probabilities.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_and_their_error_are_those_computed_by_hand() {
        let probabilities = [0.0, 0.1, 0.15, 0.95, 1.0];
        let relevant = [false, false, true, true, false];
        let bins = reliability(&probabilities, &relevant);
        assert_eq!(bins.len(), 10);
        assert_eq!(
            (bins[0].pairs, bins[0].mean_probability, bins[0].relevant_fraction),
            (2, 0.05, 0.0)
        );
        assert_eq!((bins[1].pairs, bins[1].relevant_fraction), (1, 1.0));
        assert_eq!((bins[9].pairs, bins[9].relevant_fraction), (2, 0.5));
        let expected = (2.0 * 0.05 + 0.85 + 2.0 * (0.975 - 0.5)) / 5.0;
        assert!((expected_calibration_error(&bins) - expected).abs() < 1e-12);
    }

    #[test]
    fn certainty_that_is_wrong_is_dear_but_not_infinitely() {
        let loss = log_loss(&[1.0, 0.5], &[false, true]);
        assert!(loss > 10.0 && loss.is_finite(), "{loss}");
    }
}
