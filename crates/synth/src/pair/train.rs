//! The training pairs.

use crate::collection::Collection;
use crate::error::{Error, Result};
use crate::grade::{self, Grades};
use crate::split::Split;
use rand::seq::SliceRandom;
use std::collections::BTreeMap;
use whetstone_llm::judging::BEST;
use whetstone_records::{Negative, Pair, Provenance, QueryId};

/// The pairs of one query: its positives, then its negatives.
pub type Group = Vec<Pair>;

/// Returns the groups of all training queries, in the order of their ids. Positives whose text also
/// occurs in a held-out document are left out. A query without positives is left out too.
///
/// If an LLM has graded the pairs, labels are shares of the best grade, and the grades are teacher
/// scores. Negatives that answer the query and positives that miss its subject are left out.
pub fn training_groups(
    collection: &Collection,
    negatives: Vec<Negative>,
    grades: &Grades,
) -> Result<Vec<Group>> {
    let mut of_query: BTreeMap<QueryId, Vec<Negative>> = BTreeMap::new();
    for negative in negatives {
        of_query.entry(negative.query_id.clone()).or_default().push(negative);
    }
    let queries = collection.queries_of(Split::Train);
    let max_grade = collection.max_grade(&queries);
    let mut groups = Vec::new();
    for query in queries {
        let id = &collection.queries[query].id;
        let negatives = of_query.remove(id).unwrap_or_default();
        let trainable = collection.positives[query]
            .iter()
            .filter(|(passage, _)| collection.is_trainable(*passage));
        let mut group: Group = trainable
            .map(|(passage, grade)| {
                let provenance = Provenance { miner: "positive".into(), rank: None, score: None };
                collection.pair(query, *passage, *grade as f32 / max_grade, provenance)
            })
            .collect();
        for negative in negatives {
            let passage = collection.passage(&negative.passage_id);
            let is_positive = |passage: &u32| {
                collection.positives[query].iter().any(|(positive, _)| positive == passage)
            };
            let Some(passage) = passage.filter(|passage| !is_positive(passage)) else {
                return Err(Error::StaleNegative {
                    query: id.clone(),
                    passage: negative.passage_id,
                });
            };
            if !group.is_empty() {
                group.push(collection.pair(query, passage, 0.0, negative.provenance));
            }
        }
        take_up(&mut group, grades);
        if group.iter().any(is_positive) {
            groups.push(group);
        }
    }
    // The rest belongs to no training query of this split.
    match of_query.into_values().flatten().next() {
        Some(Negative { query_id: query, passage_id: passage, .. }) => {
            Err(Error::StaleNegative { query, passage })
        }
        None => Ok(groups),
    }
}

/// Whether a pair is one of a query's positives.
pub fn is_positive(pair: &Pair) -> bool {
    pair.provenance.as_ref().is_some_and(|provenance| provenance.miner == "positive")
}

/// Replaces labels by grades.
fn take_up(group: &mut Group, grades: &Grades) {
    if grades.is_empty() {
        return;
    }
    group.retain_mut(|pair| {
        let Some(grade) = grades.get(&(pair.query_id.clone(), pair.passage_id.clone())) else {
            return true;
        };
        pair.teacher = Some(f32::from(*grade));
        pair.label = f32::from(*grade) / f32::from(BEST);
        if is_positive(pair) { *grade > 0 } else { *grade < grade::ANSWERS }
    });
}

/// Returns a seeded sample of whole groups with at most `max_pairs` pairs, in their old order; all
/// if it is 0.
pub fn sample_groups(groups: Vec<Group>, max_pairs: usize, seed: u64) -> Vec<Group> {
    if max_pairs == 0 {
        return groups;
    }
    let mut order: Vec<usize> = (0..groups.len()).collect();
    order.shuffle(&mut crate::random::rng(seed, "max-pairs", ""));
    let mut pairs = 0;
    let mut kept: Vec<usize> = order
        .into_iter()
        .take_while(|group| {
            pairs += groups[*group].len();
            pairs <= max_pairs
        })
        .collect();
    kept.sort_unstable();
    let mut groups: Vec<Option<Group>> = groups.into_iter().map(Some).collect();
    kept.into_iter().filter_map(|group| groups[group].take()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(query: usize, pairs: usize) -> Group {
        let pair = |passage: usize| Pair {
            query: String::new(),
            passage: String::new(),
            label: 0.0,
            query_id: QueryId::new(query.to_string()),
            passage_id: passage.to_string().as_str().into(),
            teacher: None,
            provenance: None,
            query_metadata: None,
        };
        (0..pairs).map(pair).collect()
    }

    #[test]
    fn grades_are_labels_and_teachers_and_take_out_what_is_the_other_kind() {
        let pair = |passage: &str, miner: &str, label: f32| Pair {
            passage_id: passage.into(),
            provenance: Some(Provenance { miner: miner.into(), rank: None, score: None }),
            label,
            ..group(1, 1).remove(0)
        };
        let mut group = vec![
            pair("p", "positive", 1.0),
            pair("n", "bm25", 0.0),
            pair("f", "dense", 0.0),
            pair("u", "bm25", 0.0),
        ];
        let grades = [("p", 3), ("n", 1), ("f", 2)];
        let grades = grades.map(|(passage, grade)| (("1".into(), passage.into()), grade)).into();
        take_up(&mut group, &grades);
        let found: Vec<_> =
            group.iter().map(|pair| (pair.passage_id.as_str(), pair.label, pair.teacher)).collect();
        assert_eq!(found, [("p", 1.0, Some(3.0)), ("n", 1.0 / 3.0, Some(1.0)), ("u", 0.0, None)]);
    }

    #[test]
    fn a_sample_takes_whole_groups_in_order_and_the_seed_decides() {
        let groups: Vec<Group> = (0..100).map(|query| group(query, 1 + query % 7)).collect();
        let sample = |seed| sample_groups(groups.clone(), 50, seed);
        let kept = sample(1);
        assert!((44..=50).contains(&kept.iter().map(Vec::len).sum::<usize>()));
        assert!(kept.iter().all(|group| groups.contains(group)));
        assert!(
            kept.is_sorted_by_key(|group| group[0].query_id.as_str().parse::<usize>().unwrap())
        );
        assert_eq!(kept, sample(1));
        assert_ne!(kept, sample(2));
        assert_eq!(sample_groups(groups.clone(), 0, 1), groups);
    }
}
