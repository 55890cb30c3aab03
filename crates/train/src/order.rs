//! The order of the training pairs.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// Batches per window within which sequences are sorted by length.
const WINDOW: usize = 32;

/// Returns the batches of an epoch, a pure function of (seed, epoch). `units` lists the pairs that
/// stay together: single pairs, or a query's whole group. `lengths` holds the tokens of each pair.
///
/// With `bucket`, units of similar length share a batch, for devices that pad. Without it, batches
/// are random.
pub(crate) fn batches(
    units: &[Vec<usize>],
    lengths: &[usize],
    batch_pairs: usize,
    bucket: bool,
    (seed, epoch): (u64, usize),
) -> Vec<Vec<usize>> {
    let mut rng = ChaCha8Rng::seed_from_u64(
        seed ^ (epoch as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15),
    );
    let mut order: Vec<usize> = (0..units.len()).collect();
    shuffle(&mut order, &mut rng);
    if bucket {
        let mean = (units.iter().map(Vec::len).sum::<usize>() / units.len().max(1)).max(1);
        for window in order.chunks_mut((WINDOW * batch_pairs / mean).max(1)) {
            window.sort_by_key(|&unit| (units[unit].iter().map(|&pair| lengths[pair]).max(), unit));
        }
    }
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for unit in order {
        match batches.last_mut() {
            Some(batch) if batch.len() + units[unit].len() <= batch_pairs => {
                batch.extend(&units[unit])
            }
            _ => batches.push(units[unit].clone()),
        }
    }
    if bucket {
        shuffle(&mut batches, &mut rng);
    }
    batches
}

/// Shuffles as Fisher & Yates do.
fn shuffle<T>(items: &mut [T], rng: &mut ChaCha8Rng) {
    for last in (1..items.len()).rev() {
        items.swap(last, (rng.next_u64() % (last as u64 + 1)) as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_comes_once_an_epoch_and_groups_stay_together() {
        let units: Vec<Vec<usize>> = (0..50).map(|i| (i * 3..i * 3 + 3).collect()).collect();
        let lengths: Vec<usize> = (0..150).map(|i| i * 7 % 90).collect();
        for bucket in [false, true] {
            let epoch = |epoch| batches(&units, &lengths, 8, bucket, (5, epoch));
            let mut seen: Vec<usize> = epoch(0).concat();
            seen.sort_unstable();
            assert_eq!(seen, (0..150).collect::<Vec<_>>());
            assert!(epoch(0).iter().all(|batch| batch.len() <= 8 && batch.len() % 3 == 0));
            assert_eq!(epoch(1), epoch(1));
            assert_ne!(epoch(0), epoch(1));
        }
    }
}
