use super::findings::{Findings, Ranked};
use super::guard::{Guard, Refusal};
use super::miner::Miner;
use super::top::{Scored, ranking_order};
use crate::collection::Collection;
use crate::config::{MineConfig, Sampling};
use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use std::collections::{BTreeMap, HashSet};
use whetstone_records::{Negative, Provenance};

/// Tries at a random passage before the allowed ones are listed.
const RANDOM_TRIES: usize = 32;

/// What was counted while negatives were chosen, by the name in the manifest.
pub type Counts = BTreeMap<String, u64>;

/// Chooses the negatives of training queries.
pub struct Chooser<'a> {
    pub collection: &'a Collection,
    pub guard: &'a Guard<'a>,
    /// BM25, then dense.
    pub miners: [&'a dyn Miner; 2],
    pub config: &'a MineConfig,
    pub seed: u64,
    /// Where random negatives are drawn from.
    pub trainable: &'a [u32],
}

/// Place of the dense miner among the two.
const DENSE: usize = 1;

impl Chooser<'_> {
    /// Returns the negatives of a query, BM25's first, then the dense ones, then the random ones;
    /// adds to the counts.
    pub fn choose(&self, query: usize, findings: &Findings, counts: &mut Counts) -> Vec<Negative> {
        let id = &self.collection.queries[query].id;
        let mut rng = crate::random::rng(self.seed, "negatives", id.as_str());
        let positives: Vec<u32> =
            self.collection.positives[query].iter().map(|(passage, _)| *passage).collect();
        let (pools, too_near) = self.filter(query, &positives, findings, counts);
        let pools = pools.map(|pool| self.order(pool, &mut rng));

        let wanted = shares(self.config);
        let mut taken = HashSet::new();
        let mut chosen: [Vec<Ranked>; 2] = [Vec::new(), Vec::new()];
        for miner in 0..2 {
            take(&pools[miner], wanted[miner], &mut taken, &mut chosen[miner]);
        }
        for miner in 0..2 {
            let missing = wanted[0] + wanted[1] - chosen[0].len() - chosen[1].len();
            let filled = take(&pools[miner], missing, &mut taken, &mut chosen[miner]);
            add(counts, format!("negatives-filled-from-{}", self.miners[miner].name()), filled);
        }
        let mut negatives: Vec<(&str, Option<Ranked>, u32)> = Vec::new();
        for (miner, chosen) in self.miners.iter().zip(&chosen) {
            negatives.extend(
                chosen.iter().map(|ranked| (miner.name(), Some(*ranked), ranked.scored.passage)),
            );
        }
        add(counts, "negatives-filled-from-random", wanted[0] + wanted[1] - negatives.len());
        for _ in negatives.len()..self.config.negatives {
            let may = |passage: u32| {
                !taken.contains(&passage)
                    && !too_near.contains(&passage)
                    && self.guard.refuse(&positives, passage).is_none()
            };
            let Some(passage) = draw(self.trainable, may, &mut rng) else { break };
            taken.insert(passage);
            negatives.push(("random", None, passage));
        }
        add(counts, "negatives-missing", self.config.negatives - negatives.len());
        let negatives = negatives.into_iter().map(|(miner, ranked, passage)| Negative {
            query_id: id.clone(),
            passage_id: self.collection.passages[passage as usize].id.clone(),
            provenance: Provenance {
                miner: miner.into(),
                rank: ranked.and_then(|ranked| ranked.rank),
                score: ranked.map(|ranked| ranked.scored.score),
            },
        });
        negatives
            .inspect(|negative| add(counts, format!("negatives-{}", negative.provenance.miner), 1))
            .collect()
    }

    /// Returns the positives and the chosen negatives of a query by the bi-encoder's score, best
    /// first.
    pub fn dense_scores(&self, query: usize, negatives: &[Negative]) -> Vec<Ranked> {
        let positives = self.collection.positives[query].iter().map(|(passage, _)| *passage);
        let negatives =
            negatives.iter().filter_map(|negative| self.collection.passage(&negative.passage_id));
        let score =
            |passage: u32| Scored { passage, score: self.miners[DENSE].score(query, passage) };
        let mut scored: Vec<Scored> = positives.chain(negatives).map(score).collect();
        scored.sort_unstable_by(ranking_order);
        scored
            .into_iter()
            .zip(1..)
            .map(|(scored, rank)| Ranked { scored, rank: Some(rank) })
            .collect()
    }

    /// Returns what is left of each miner's own list, in its order, and the passages that a miner
    /// finds too near a positive.
    fn filter(
        &self,
        query: usize,
        positives: &[u32],
        findings: &Findings,
        counts: &mut Counts,
    ) -> ([Vec<Ranked>; 2], HashSet<u32>) {
        let mut too_near = HashSet::new();
        let mut pools = [Vec::new(), Vec::new()];
        for (miner, (pool, list)) in pools.iter_mut().zip(findings).enumerate() {
            let miner = self.miners[miner];
            let positive_scores = positives.iter().map(|positive| miner.score(query, *positive));
            let lowest = positive_scores.fold(f32::INFINITY, f32::min);
            for ranked in list.iter().filter(|ranked| ranked.rank.is_some()) {
                let passage = ranked.scored.passage;
                let by_score = || self.refuse_score(query, passage, ranked.scored.score, lowest);
                match self.guard.refuse(positives, passage).or_else(by_score) {
                    None => pool.push(*ranked),
                    Some(refusal) => {
                        add(counts, format!("{}-dropped-{}", miner.name(), refusal.name()), 1);
                        if refusal == Refusal::Margin {
                            too_near.insert(passage);
                        }
                    }
                }
            }
            let skipped = self.config.rank_min.min(pool.len());
            pool.drain(..skipped);
            add(counts, format!("{}-skipped-rank-min", miner.name()), skipped);
        }
        (pools, too_near)
    }

    fn refuse_score(
        &self,
        query: usize,
        passage: u32,
        score: f32,
        lowest_positive: f32,
    ) -> Option<Refusal> {
        if is_too_near(score, lowest_positive, self.config.relative_margin) {
            return Some(Refusal::Margin);
        }
        let (max, min) = (self.config.max_dense_score, self.config.min_dense_score);
        if max.is_none() && min.is_none() {
            return None;
        }
        let dense = self.miners[DENSE].score(query, passage);
        if max.is_some_and(|max| dense > max) {
            Some(Refusal::MaxScore)
        } else if min.is_some_and(|min| dense < min) {
            Some(Refusal::MinScore)
        } else {
            None
        }
    }

    fn order(&self, mut pool: Vec<Ranked>, rng: &mut impl Rng) -> Vec<Ranked> {
        if self.config.sampling == Sampling::Random {
            pool.shuffle(rng);
        }
        pool
    }
}

/// Whether a passage scores so near the positive, or above it, that it may well answer the query
/// too. The margin is taken from the absolute value, or a negative score would turn it round
/// (NV-Retriever's TopK-PercPos, 2407.15831).
fn is_too_near(score: f32, positive: f32, relative_margin: f32) -> bool {
    score > positive - positive.abs() * relative_margin
}

/// Returns how many negatives BM25 and the dense miner bring; the rest is random.
fn shares(config: &MineConfig) -> [usize; 2] {
    let share = |fraction: f64| (fraction * config.negatives as f64).round() as usize;
    let bm25 = share(config.bm25_fraction).min(config.negatives);
    [bm25, share(config.dense_fraction).min(config.negatives - bm25)]
}

/// Takes up to `limit` passages that are not taken yet; returns how many.
fn take(
    pool: &[Ranked],
    limit: usize,
    taken: &mut HashSet<u32>,
    chosen: &mut Vec<Ranked>,
) -> usize {
    let before = chosen.len();
    let fresh = pool.iter().filter(|ranked| taken.insert(ranked.scored.passage));
    chosen.extend(fresh.take(limit));
    chosen.len() - before
}

/// Draws one of the passages that may be taken, each with the same chance.
fn draw(from: &[u32], may: impl Fn(u32) -> bool, rng: &mut impl Rng) -> Option<u32> {
    for _ in 0..RANDOM_TRIES {
        let passage = *from.choose(rng)?;
        if may(passage) {
            return Some(passage);
        }
    }
    let allowed: Vec<u32> = from.iter().copied().filter(|passage| may(*passage)).collect();
    allowed.choose(rng).copied()
}

fn add(counts: &mut Counts, name: impl Into<String>, count: usize) {
    if count > 0 {
        *counts.entry(name.into()).or_default() += count as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_margin_is_right_for_negative_scores() {
        // 0.05 below a positive with -0.2 is -0.21, not -0.19.
        assert!(is_too_near(-0.195, -0.2, 0.05));
        assert!(is_too_near(-0.205, -0.2, 0.05));
        assert!(!is_too_near(-0.22, -0.2, 0.05));
        assert!(is_too_near(0.96, 1.0, 0.05));
        assert!(!is_too_near(0.94, 1.0, 0.05));
        assert!(!is_too_near(5.0, 1.0, -10.0) && is_too_near(12.0, 1.0, -10.0));
    }

    #[test]
    fn shares_never_exceed_the_number_of_negatives() {
        let shares = |negatives, bm25_fraction, dense_fraction| {
            shares(&MineConfig {
                negatives,
                bm25_fraction,
                dense_fraction,
                ..MineConfig::default()
            })
        };
        assert_eq!(shares(5, 0.4, 0.4), [2, 2]);
        assert_eq!(shares(5, 0.5, 0.5), [3, 2]);
        assert_eq!(shares(1, 0.5, 0.5), [1, 0]);
        assert_eq!(shares(4, 0.0, 1.0), [0, 4]);
    }

    #[test]
    fn a_draw_finds_the_only_passage_that_may_be_taken() {
        let from: Vec<u32> = (0..10_000).collect();
        let mut rng = crate::random::rng(1, "test", "");
        assert_eq!(draw(&from, |passage| passage == 4321, &mut rng), Some(4321));
        assert_eq!(draw(&from, |_| false, &mut rng), None);
        assert_eq!(draw(&[], |_| true, &mut rng), None);
    }
}
