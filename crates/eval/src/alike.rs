//! Finds short texts that say almost the same, by their shared words.

use std::collections::{BTreeSet, HashMap};

/// A text as its set of words; the caller chooses how words are normalised.
#[derive(Clone, Debug, PartialEq)]
pub struct WordSet {
    pub words: BTreeSet<String>,
    /// Tokens such as `VX-40` or `2024`. Texts with different ones are about different things.
    pub numbers: BTreeSet<String>,
}

impl WordSet {
    /// Returns the Jaccard similarity, shared words / all words, in 0..=1; 0 if the numbers differ.
    pub fn alike(&self, other: &WordSet) -> f64 {
        if self.numbers != other.numbers {
            return 0.0;
        }
        let shared = self.words.intersection(&other.words).count();
        let all = self.words.len() + other.words.len() - shared;
        if all == 0 { 0.0 } else { shared as f64 / all as f64 }
    }
}

/// A set in the index: the word's place among the set's words, rarest first, and the set's size.
struct Posting {
    place: usize,
    position: usize,
    size: usize,
}

/// Tolerance for a product of fractions that stands for a whole number.
const ROUNDING: f64 = 1e-9;

/// Returns, for every set, the similar ones among those before it: similarity at least `fraction`,
/// among the first `indexed`, and `compares(earlier, place)` true. With all indexed, this is every
/// similar pair once.
///
/// Prefix filtering (Chaudhuri, Ganti and Kaushik 2006) indexes only the rarest few words of each
/// set, since two similar sets must share one of these. Position filtering (PPJoin, Xiao et al.
/// 2008) skips pairs with too few words left behind the first shared one.
pub fn pairs_alike(
    sets: &[WordSet],
    indexed: usize,
    fraction: f64,
    compares: impl Fn(usize, usize) -> bool,
) -> Vec<Vec<usize>> {
    let mut frequency: HashMap<&str, u32> = HashMap::new();
    for word in sets.iter().flat_map(|set| &set.words) {
        *frequency.entry(word).or_default() += 1;
    }
    // Only sets with equal numbers are similar, so `pump 1`, `pump 2`, … need no comparison.
    let mut index: HashMap<(&BTreeSet<String>, &str), Vec<Posting>> = HashMap::new();
    let mut found = Vec::with_capacity(sets.len());
    for (place, set) in sets.iter().enumerate() {
        let mut words: Vec<&str> = set.words.iter().map(String::as_str).collect();
        words.sort_by_key(|word| (frequency[word], *word));
        let size = words.len();
        // A similar set shares at least this many words.
        let shared = (fraction * size as f64 - ROUNDING).ceil() as usize;
        let prefix = &words[..(size + 1 - shared.max(1)).min(size)];
        let mut candidates: BTreeSet<usize> = BTreeSet::new();
        for (position, word) in prefix.iter().enumerate() {
            let postings = index.entry((&set.numbers, word)).or_default();
            let enough = |earlier: &&Posting| {
                let most = (size - position).min(earlier.size - earlier.position);
                let union = size + earlier.size - most;
                most as f64 + ROUNDING >= fraction * union as f64
            };
            candidates.extend(postings.iter().filter(enough).map(|earlier| earlier.place));
            if place < indexed {
                postings.push(Posting { place, position, size });
            }
        }
        let same =
            |earlier: &usize| compares(*earlier, place) && sets[*earlier].alike(set) >= fraction;
        found.push(candidates.into_iter().filter(same).collect());
    }
    found
}
