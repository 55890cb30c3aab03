//! Queries that say the same in almost the same words.

use super::built_in::{is_general, stem};
use std::collections::{BTreeSet, HashMap};

/// Fewer words with a topic than this say too little alone; the others count then too.
const MIN_TOPICS: usize = 3;

/// When and why something is done are two questions.
const ASKING: &[&str] = &["what", "when", "where", "which", "who", "whom", "whose", "why", "how"];

/// A query as the set of its stems.
#[derive(Clone, Debug, PartialEq)]
pub struct Words {
    stems: BTreeSet<String>,
    /// What tells one thing from its like: `VX-40`, `2024`. Queries that differ in them ask for different things.
    numbers: BTreeSet<String>,
}

impl Words {
    /// Takes lower-case words.
    pub fn of(tokens: &[String]) -> Self {
        let stems = |general: bool| -> BTreeSet<String> {
            let counts = |word: &&String| general || !is_general(word) || ASKING.contains(&word.as_str());
            tokens.iter().filter(counts).map(|word| stem(word)).collect()
        };
        let topics = stems(false);
        let numbers = tokens.iter().filter(|word| word.bytes().any(|byte| byte.is_ascii_digit())).cloned().collect();
        Self { stems: if topics.len() < MIN_TOPICS { stems(true) } else { topics }, numbers }
    }
}

/// Jaccard's similarity: shared stems of all stems, in 0..=1; 0 where numbers differ.
pub fn alike(a: &Words, b: &Words) -> f64 {
    if a.numbers != b.numbers {
        return 0.0;
    }
    let shared = a.stems.intersection(&b.stems).count();
    let all = a.stems.len() + b.stems.len() - shared;
    if all == 0 { 0.0 } else { shared as f64 / all as f64 }
}

/// A query in the index: where a stem stands among its stems, the rarest first, and how many it has.
struct Posting {
    place: usize,
    position: usize,
    size: usize,
}

/// Products of fractions may be this far from the whole number that they mean.
const ROUNDING: f64 = 1e-9;

/// Returns, for every query, the earlier ones that it is alike by at least `fraction`; only where `compares` holds.
///
/// By prefix filtering (Chaudhuri, Ganti and Kaushik, 2006): two sets that share so many stems share one among the
/// rarest few of each, so only those are indexed; and by position (Xiao et al., PPJoin, 2008): behind the first stem that both
/// have there must be enough left on both sides.
pub fn pairs_alike(queries: &[Words], fraction: f64, compares: impl Fn(usize, usize) -> bool) -> Vec<Vec<usize>> {
    let mut frequency: HashMap<&str, u32> = HashMap::new();
    for stem in queries.iter().flat_map(|query| &query.stems) {
        *frequency.entry(stem).or_default() += 1;
    }
    // Queries are alike only where their numbers are the same, which also keeps `pump 1`, `pump 2`, … apart.
    let mut index: HashMap<(&BTreeSet<String>, &str), Vec<Posting>> = HashMap::new();
    let mut found = Vec::with_capacity(queries.len());
    for (place, query) in queries.iter().enumerate() {
        let mut stems: Vec<&str> = query.stems.iter().map(String::as_str).collect();
        stems.sort_by_key(|stem| (frequency[stem], *stem));
        let size = stems.len();
        // At least this many stems are shared by whatever is alike.
        let shared = (fraction * size as f64 - ROUNDING).ceil() as usize;
        let prefix = &stems[..(size + 1 - shared.max(1)).min(size)];
        let mut candidates: BTreeSet<usize> = BTreeSet::new();
        for (position, stem) in prefix.iter().enumerate() {
            let postings = index.entry((&query.numbers, stem)).or_default();
            let enough = |earlier: &&Posting| {
                let most = (size - position).min(earlier.size - earlier.position);
                let union = size + earlier.size - most;
                most as f64 + ROUNDING >= fraction * union as f64
            };
            candidates.extend(postings.iter().filter(enough).map(|earlier| earlier.place));
            postings.push(Posting { place, position, size });
        }
        let same = |earlier: &usize| compares(*earlier, place) && alike(&queries[*earlier], query) >= fraction;
        found.push(candidates.into_iter().filter(same).collect());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::filter::tokens;
    use super::*;
    use rand::Rng;

    fn words(text: &str) -> Words {
        Words::of(&tokens(text))
    }

    #[test]
    fn order_endings_and_small_words_make_no_difference_and_numbers_do() {
        let query = words("What is the largest pressure of the red valve?");
        assert_eq!(alike(&query, &words("what largest pressure of red valves")), 1.0);
        assert_eq!(alike(&words("pressure of the red valve V2"), &words("pressure of the red valve V3")), 0.0);
        assert!(alike(&words("When is the pump oiled?"), &words("Why is the pump oiled?")) < 0.8);
        assert!(alike(&query, &words("What is the largest weight of the red valve?")) < 0.8);
    }

    #[test]
    fn the_index_finds_what_a_comparison_of_all_finds() {
        let mut rng = crate::random::rng(1, "test", "");
        let vocabulary: Vec<String> = (0..40).map(|word| format!("topic{}", char::from(b'a' + word % 26))).collect();
        let queries: Vec<Words> = (0..300)
            .map(|_| {
                let length = rng.random_range(1..8);
                let mut words: Vec<String> = (0..length).map(|_| vocabulary[rng.random_range(0..40)].clone()).collect();
                if rng.random_range(0..3) == 0 {
                    words.push(rng.random_range(1..3).to_string());
                }
                Words::of(&words)
            })
            .collect();
        for fraction in [0.5, 0.8, 1.0] {
            let found = pairs_alike(&queries, fraction, |a, b| a % 3 != b % 3);
            let mut pairs = 0;
            for (place, earlier) in found.iter().enumerate() {
                let all = (0..place).filter(|a| a % 3 != place % 3 && alike(&queries[*a], &queries[place]) >= fraction);
                let all: Vec<usize> = all.collect();
                assert_eq!(*earlier, all, "{fraction} {place}");
                pairs += all.len();
            }
            assert!(pairs > 0);
        }
    }
}
