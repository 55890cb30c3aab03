//! Short texts that say almost the same, by the words that they share.

use std::collections::{BTreeSet, HashMap};

/// A text as the set of its words, in whatever form they are compared.
#[derive(Clone, Debug, PartialEq)]
pub struct WordSet {
    pub words: BTreeSet<String>,
    /// What tells one thing from its like: `VX-40`, `2024`. Texts that differ in them are about
    /// different things.
    pub numbers: BTreeSet<String>,
}

impl WordSet {
    /// Jaccard's similarity: shared words of all words, in 0..=1; 0 where numbers differ.
    pub fn alike(&self, other: &WordSet) -> f64 {
        if self.numbers != other.numbers {
            return 0.0;
        }
        let shared = self.words.intersection(&other.words).count();
        let all = self.words.len() + other.words.len() - shared;
        if all == 0 { 0.0 } else { shared as f64 / all as f64 }
    }
}

/// A set in the index: where a word stands among its words, the rarest first, and how many it has.
struct Posting {
    place: usize,
    position: usize,
    size: usize,
}

/// Products of fractions may be this far from the whole number that they mean.
const ROUNDING: f64 = 1e-9;

/// Returns, for every set, the earlier ones among the first `indexed` that it is alike by at least
/// `fraction`; only where `compares(earlier, place)` holds. With all indexed, that is every pair
/// once.
///
/// By prefix filtering (Chaudhuri, Ganti and Kaushik, 2006): two sets that share so many words
/// share one among the rarest few of each, so only those are indexed; and by position (Xiao et al.,
/// PPJoin, 2008): behind the first word that both have there must be enough left on both sides.
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
    // Sets are alike only where their numbers are the same, which also keeps `pump 1`, `pump 2`, …
    // apart.
    let mut index: HashMap<(&BTreeSet<String>, &str), Vec<Posting>> = HashMap::new();
    let mut found = Vec::with_capacity(sets.len());
    for (place, set) in sets.iter().enumerate() {
        let mut words: Vec<&str> = set.words.iter().map(String::as_str).collect();
        words.sort_by_key(|word| (frequency[word], *word));
        let size = words.len();
        // At least this many words are shared by whatever is alike.
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
