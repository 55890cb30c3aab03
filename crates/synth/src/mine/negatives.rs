//! Chooses negatives among the passages that were found.

use super::findings::{Findings, Ranked};
use super::guard::{Guard, Refusal};
use super::miner::Miner;
use crate::collection::Collection;
use crate::config::{MineConfig, Sampling};
use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use std::collections::{BTreeMap, HashSet};
use whetstone_records::{Negative, Provenance};
use whetstone_retrieve::{Scored, ranking_order};

/// How often to try a random passage before listing the allowed ones.
const RANDOM_TRIES: usize = 32;

/// Counts from the choice of negatives, by their name in the manifest.
pub type Counts = BTreeMap<String, u64>;

/// Chooses the negatives of training queries.
pub struct Chooser<'a> {
    pub collection: &'a Collection,
    pub guard: &'a Guard<'a>,
    /// In the order of the config.
    pub miners: &'a [Miner],
    pub config: &'a MineConfig,
    pub seed: u64,
    /// The pool of random negatives, from the same collection.
    pub trainable: &'a [u32],
}

/// A negative without ids: the retriever that brought the passage, and its rank there.
struct Chosen<'a> {
    by: &'a str,
    ranked: Option<Ranked>,
    passage: u32,
}

/// The rest of the retrievers' lists for one query.
struct Pools {
    /// One list per retriever, in the order in which negatives are taken.
    of_miner: Vec<Vec<Ranked>>,
    /// Passages that a retriever scores too near a positive.
    too_near: HashSet<u32>,
}

impl Chooser<'_> {
    /// Returns the negatives of a query: those of each retriever, in the order of the config, then
    /// the random ones. Adds to the counts.
    pub fn choose(&self, query: usize, findings: &Findings, counts: &mut Counts) -> Vec<Negative> {
        let id = &self.collection.queries[query].id;
        let mut rng = crate::random::rng(self.seed, "negatives", id.as_str());
        let positives: Vec<u32> =
            self.collection.positives[query].iter().map(|(passage, _)| *passage).collect();
        let mut pools = self.filter(query, &positives, findings, counts);
        if self.config.sampling == Sampling::Random {
            pools.of_miner.iter_mut().for_each(|pool| pool.shuffle(&mut rng));
        }
        let mut taken = HashSet::new();
        let mut chosen = self.take_shares(&pools, &mut taken, counts);
        for _ in chosen.len()..self.config.negatives {
            let may = |passage: u32| {
                !taken.contains(&passage)
                    && !pools.too_near.contains(&passage)
                    && self.guard.refuse(&positives, passage).is_none()
            };
            let Some(passage) = draw(self.trainable, may, &mut rng) else { break };
            taken.insert(passage);
            chosen.push(Chosen { by: "random", ranked: None, passage });
        }
        add(counts, "negatives-missing", self.config.negatives - chosen.len());
        for Chosen { by, .. } in &chosen {
            add(counts, format!("negatives-{by}"), 1);
        }
        let negative = |Chosen { by, ranked, passage }: Chosen| Negative {
            query_id: id.clone(),
            passage_id: self.collection.passages[passage as usize].id.clone(),
            provenance: Provenance {
                miner: by.into(),
                rank: ranked.and_then(|ranked| ranked.rank),
                score: ranked.map(|ranked| ranked.scored.score),
            },
        };
        chosen.into_iter().map(negative).collect()
    }

    /// Takes each retriever's share. Where one has too few, the others fill in, the first one first.
    fn take_shares(
        &self,
        pools: &Pools,
        taken: &mut HashSet<u32>,
        counts: &mut Counts,
    ) -> Vec<Chosen<'_>> {
        let shares = shares(self.config);
        let mut chosen: Vec<Vec<Ranked>> = pools
            .of_miner
            .iter()
            .zip(&shares)
            .map(|(pool, share)| take(pool, *share, taken))
            .collect();
        let mut missing = shares.iter().sum::<usize>() - chosen.iter().map(Vec::len).sum::<usize>();
        for ((miner, pool), chosen) in self.miners.iter().zip(&pools.of_miner).zip(&mut chosen) {
            let filled = take(pool, missing, taken);
            add(counts, format!("negatives-filled-from-{}", miner.name()), filled.len());
            missing -= filled.len();
            chosen.extend(filled);
        }
        add(counts, "negatives-filled-from-random", missing);
        let mut all = Vec::new();
        for (miner, chosen) in self.miners.iter().zip(chosen) {
            let by = miner.name();
            all.extend(chosen.into_iter().map(|ranked| Chosen {
                by,
                passage: ranked.scored.passage,
                ranked: Some(ranked),
            }));
        }
        all
    }

    /// Ranks the positives and the chosen negatives of a query by a retriever's score, best first.
    pub fn scores_of_pairs(
        &self,
        miner: &Miner,
        query: usize,
        negatives: &[Negative],
    ) -> Vec<Ranked> {
        let positives = self.collection.positives[query].iter().map(|(passage, _)| *passage);
        let negatives =
            negatives.iter().filter_map(|negative| self.collection.passage(&negative.passage_id));
        let score = |passage: u32| {
            let score = miner.score(query, passage)?;
            Some(Scored { passage, score })
        };
        let mut scored: Vec<Scored> = positives.chain(negatives).filter_map(score).collect();
        scored.sort_unstable_by(ranking_order);
        scored
            .into_iter()
            .zip(1..)
            .map(|(scored, rank)| Ranked { scored, rank: Some(rank) })
            .collect()
    }

    /// Returns the rest of each retriever's own list, in its order.
    fn filter(
        &self,
        query: usize,
        positives: &[u32],
        findings: &Findings,
        counts: &mut Counts,
    ) -> Pools {
        let mut pools = Pools { of_miner: Vec::new(), too_near: HashSet::new() };
        for (miner, list) in self.miners.iter().zip(findings) {
            let own: Vec<Ranked> =
                list.iter().filter(|ranked| ranked.rank.is_some()).copied().collect();
            let lowest = lowest_positive(miner, query, positives, &own);
            let mut pool = Vec::new();
            for ranked in own {
                let Scored { passage, score } = ranked.scored;
                let refusal = self.guard.refuse(positives, passage).or_else(|| {
                    let too_near = is_too_near(score, lowest, self.config.relative_margin);
                    too_near
                        .then_some(Refusal::Margin)
                        .or_else(|| self.refuse_score(query, passage))
                });
                let Some(refusal) = refusal else {
                    pool.push(ranked);
                    continue;
                };
                add(counts, format!("{}-dropped-{}", miner.name(), refusal.name()), 1);
                if refusal == Refusal::Margin {
                    pools.too_near.insert(passage);
                }
            }
            let skipped = self.config.rank_min.min(pool.len());
            pool.drain(..skipped);
            add(counts, format!("{}-skipped-rank-min", miner.name()), skipped);
            pools.of_miner.push(pool);
        }
        pools
    }

    /// Whether a retriever with limits scores the passage outside them.
    fn refuse_score(&self, query: usize, passage: u32) -> Option<Refusal> {
        self.miners.iter().find_map(|miner| {
            let (max, min) = (miner.source.max_score, miner.source.min_score);
            if max.is_none() && min.is_none() {
                return None;
            }
            let score = miner.score(query, passage)?;
            if max.is_some_and(|max| score > max) {
                Some(Refusal::MaxScore)
            } else {
                min.is_some_and(|min| score < min).then_some(Refusal::MinScore)
            }
        })
    }
}

/// Returns the lowest score of a positive. A positive that the retriever cannot score ranks below all
/// that it found, so it has the last one's score at most.
fn lowest_positive(miner: &Miner, query: usize, positives: &[u32], own: &[Ranked]) -> f32 {
    let last = own.last().map_or(f32::INFINITY, |ranked| ranked.scored.score);
    let score = |positive: &u32| miner.score(query, *positive).unwrap_or(last);
    positives.iter().map(score).fold(f32::INFINITY, f32::min)
}

/// Whether a passage scores so near the positive, or above it, that it may also answer the query.
/// The margin is a share of the absolute value, because a negative score would reverse it
/// (NV-Retriever's TopK-PercPos, 2407.15831).
fn is_too_near(score: f32, positive: f32, relative_margin: f32) -> bool {
    score > positive - positive.abs() * relative_margin
}

/// Returns how many negatives each retriever brings; the rest is random.
fn shares(config: &MineConfig) -> Vec<usize> {
    let mut rest = config.negatives;
    let mut share = |fraction: f64| {
        let share = ((fraction * config.negatives as f64).round() as usize).min(rest);
        rest -= share;
        share
    };
    config.from.iter().map(|from| share(from.fraction)).collect()
}

/// Takes up to `limit` more passages.
fn take(pool: &[Ranked], limit: usize, taken: &mut HashSet<u32>) -> Vec<Ranked> {
    let fresh = pool.iter().filter(|ranked| taken.insert(ranked.scored.passage));
    fresh.take(limit).copied().collect()
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
    use crate::config::Source;

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
        let shares = |negatives, fractions: &[f64]| {
            let mut config = MineConfig { negatives, ..MineConfig::default() };
            let retriever = config.from[0].retriever.clone();
            let source = |fraction: &f64| Source::new(retriever.clone(), *fraction);
            config.from = fractions.iter().map(source).collect();
            shares(&config)
        };
        assert_eq!(shares(5, &[0.4, 0.4]), [2, 2]);
        assert_eq!(shares(5, &[0.5, 0.5]), [3, 2]);
        assert_eq!(shares(1, &[0.5, 0.5]), [1, 0]);
        assert_eq!(shares(4, &[0.0, 1.0]), [0, 4]);
        assert_eq!(shares(3, &[0.5, 0.25, 0.25]), [2, 1, 0]);
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
