//! Random numbers that are a function of a seed, a choice and an id.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use whetstone_records::sha256_bytes;

/// Returns the random numbers of one choice. They depend only on the config's seed, the purpose and
/// the id, so they stay the same when other queries or passages come or go.
pub fn rng(seed: u64, choice: &str, id: &str) -> ChaCha8Rng {
    let digest = sha256_bytes(format!("{seed}\n{choice}\n{id}").as_bytes());
    let seed = u64::from_str_radix(&digest[..16], 16).expect("a digest is hexadecimal");
    ChaCha8Rng::seed_from_u64(seed)
}
