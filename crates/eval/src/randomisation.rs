//! The paired randomisation test.

use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Permutations computed together; their sums and one table fit in the first-level cache.
const BLOCK: usize = 2048;
/// Sums count as equal within this fraction of the sum of absolute differences, so that rounding
/// does not break ties.
const TIE: f64 = 1e-9;

/// Returns the two-sided p-value of the paired randomisation test (Fisher; Smucker, Allan and
/// Carterette 2007). It is the fraction of `permutations` random sign flips of the per-query
/// differences whose mean is at least as far from 0 as the real one. The real one counts too (the
/// +1 correction of Davison and Hinkley 1997), so p is never 0.
///
/// The same seed gives the same value on any number of threads.
pub fn randomisation_test(differences: &[f64], permutations: usize, seed: u64) -> f64 {
    // Flipping a zero changes nothing.
    let differences: Vec<f64> =
        differences.iter().copied().filter(|difference| *difference != 0.0).collect();
    let scale: f64 = differences.iter().map(|difference| difference.abs()).sum();
    let far = differences.iter().sum::<f64>().abs() - TIE * scale;
    let blocks = permutations.div_ceil(BLOCK);
    let extreme: usize = (0..blocks)
        .into_par_iter()
        .map(|block| {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            random.set_stream(block as u64);
            let mut sums = vec![0.0; BLOCK.min(permutations - block * BLOCK)];
            add_flipped(&differences, &mut random, &mut sums);
            sums.iter().filter(|sum| sum.abs() >= far).count()
        })
        .sum();
    (extreme + 1) as f64 / (permutations + 1) as f64
}

/// Adds all differences with random signs to every sum. For eight differences at a time, one random
/// byte picks one of their 256 signed sums.
fn add_flipped(differences: &[f64], random: &mut ChaCha8Rng, sums: &mut [f64]) {
    let mut bytes = vec![0; sums.len()];
    for eight in differences.chunks(8) {
        let table = signed_sums(eight);
        random.fill_bytes(&mut bytes);
        for (sum, byte) in sums.iter_mut().zip(&bytes) {
            *sum += table[usize::from(*byte)];
        }
    }
}

/// Returns the signed sums of up to eight values. In entry `i`, value j has a plus if bit j of `i`
/// is set, else a minus.
fn signed_sums(values: &[f64]) -> [f64; 256] {
    let mut table = [-values.iter().sum::<f64>(); 256];
    for index in 1..256usize {
        let bit = index.trailing_zeros() as usize;
        table[index] = table[index & (index - 1)] + 2.0 * values.get(bit).unwrap_or(&0.0);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the p-value over all sign flips, by enumeration.
    fn exact(differences: &[f64]) -> f64 {
        let observed: f64 = differences.iter().sum();
        let flips = 1u32 << differences.len();
        let sum = |flip: u32| -> f64 {
            let signed = |(index, value): (usize, &f64)| {
                if flip >> index & 1 == 1 { -value } else { *value }
            };
            differences.iter().enumerate().map(signed).sum()
        };
        (0..flips).filter(|flip| sum(*flip).abs() >= observed.abs() - 1e-9).count() as f64
            / f64::from(flips)
    }

    #[test]
    fn the_p_value_is_that_of_all_sign_flips() {
        let lists: [&[f64]; 4] = [
            &[0.3, -0.1, 0.2, 0.25, 0.0, 0.4, -0.05, 0.1, 0.15, 0.3, -0.2],
            &[0.5, 0.5, 0.5, 0.5, 0.5, -0.5],
            &[1.0, -1.0, 0.2, 0.1],
            &[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9],
        ];
        for differences in lists {
            let (got, exact) = (randomisation_test(differences, 200_000, 7), exact(differences));
            // Four standard errors of a share estimated from 200,000 draws.
            assert!(
                (got - exact).abs() < 4.0 * (exact * (1.0 - exact) / 2e5).sqrt() + 1e-5,
                "{got}, exact {exact}"
            );
        }
    }

    #[test]
    fn the_p_value_is_never_zero_and_one_without_differences() {
        assert_eq!(randomisation_test(&[1.0; 100], 999, 1), 0.001);
        assert_eq!(randomisation_test(&[0.0; 100], 999, 1), 1.0);
        assert_eq!(randomisation_test(&[], 999, 1), 1.0);
    }

    #[test]
    fn sums_that_only_rounding_tells_apart_are_ties() {
        // 0.1 + 0.2 - 0.3 + 0.3 and 0.1 + 0.2 + 0.3 - 0.3 are the same sum, but not the same float.
        let differences = [0.1, 0.2, 0.3, -0.3, 0.1, -0.1, 0.7, -0.7];
        let (got, exact) = (randomisation_test(&differences, 200_000, 7), exact(&differences));
        assert!((got - exact).abs() < 0.005, "{got}, exact {exact}");
    }

    #[test]
    fn the_seed_alone_decides_the_p_value() {
        let differences: Vec<f64> = (0..100).map(|index| f64::from(index % 7) - 2.8).collect();
        let p = |seed| randomisation_test(&differences, 10_000, seed);
        let alone =
            rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap().install(|| p(5));
        assert_eq!(p(5), alone);
        assert_ne!(p(5), p(6));
    }
}
