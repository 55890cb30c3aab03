//! Times the search for near-duplicate queries at the size that the documentation promises.
//! `cargo bench --workspace --bench leakage`

use rand::{Rng, SeedableRng, rngs::StdRng};
use std::time::Instant;
use whetstone_eval::{NEAR_DUPLICATE, near_duplicates};

/// Beginnings that many generated questions share: the hard case, for such words are in every
/// posting list.
const STEMS: [&str; 6] = [
    "what is the highest pressure of the",
    "how do I change the",
    "when was the last inspection of the",
    "which setting does the",
    "why is there no",
    "where can I find the",
];

fn main() {
    let mut random = StdRng::seed_from_u64(1);
    let mut questions = |count: usize| -> Vec<String> {
        let question = |_| {
            let words = (0..random.random_range(2..7)).map(|_| {
                // Zipf-like: a few common words, many rare ones.
                format!("w{}", letters((20_000f64.powf(random.random_range(0.0..1.0))) as u32))
            });
            let words: Vec<String> = words.collect();
            format!("{} {}", STEMS[random.random_range(0..STEMS.len())], words.join(" "))
        };
        (0..count).map(question).collect()
    };
    let (train, test) = (questions(100_000), questions(10_000));
    let mut best = f64::INFINITY;
    let mut found = 0;
    for _ in 0..5 {
        let start = Instant::now();
        found = near_duplicates(&train, &test, NEAR_DUPLICATE).len();
        best = best.min(start.elapsed().as_secs_f64());
    }
    println!("near-duplicates, 100,000 x 10,000 queries ({found} found) {:>8.1} ms", best * 1e3);
}

/// A number as letters: words with digits are compared by other rules.
fn letters(mut number: u32) -> String {
    let mut text = String::new();
    while number > 0 {
        text.push((b'a' + (number % 26) as u8) as char);
        number /= 26;
    }
    text
}
