//! Passages with the same text under several ids, as in some BEIR corpora.

use crate::same_text::same_text;
use std::collections::HashMap;
use whetstone_records::{Passage, Qrels};

/// Groups of equal passages of one collection, by their places in the corpus.
#[derive(Default)]
pub struct Twins {
    groups: Vec<Vec<usize>>,
    /// The group of a passage, if it has twins.
    group_of: HashMap<usize, usize>,
}

impl Twins {
    pub fn of(passages: &[Passage]) -> Self {
        let mut firsts: HashMap<(Option<&str>, String), usize> = HashMap::new();
        let mut twins = Self::default();
        for (at, passage) in passages.iter().enumerate() {
            let collection = passage.metadata.gathered_from.as_deref();
            let first = *firsts.entry((collection, same_text(passage))).or_insert(at);
            if first == at {
                continue;
            }
            let next = twins.groups.len();
            let group = *twins.group_of.entry(first).or_insert(next);
            if group == next {
                twins.groups.push(vec![first]);
            }
            twins.groups[group].push(at);
            twins.group_of.insert(at, group);
        }
        twins
    }

    /// The other passages with the same text.
    pub fn others(&self, at: usize) -> impl Iterator<Item = usize> {
        let group = self.group_of.get(&at).map(|group| self.groups[*group].as_slice());
        group.unwrap_or_default().iter().copied().filter(move |other| *other != at)
    }

    /// Whether an earlier passage has the same text.
    pub fn is_repetition(&self, at: usize) -> bool {
        self.others(at).any(|other| other < at)
    }

    /// Gives each judgement to all passages with the same text. If they differ, the highest wins.
    pub fn share(&self, qrels: &mut Qrels, passages: &[Passage]) {
        let places: HashMap<&str, usize> =
            self.group_of.keys().map(|at| (passages[*at].id.as_str(), *at)).collect();
        let mut shared = Vec::new();
        for (query, grades) in qrels.iter() {
            for (passage, grade) in grades {
                let others = places.get(passage.as_str()).map(|at| self.others(*at));
                for other in others.into_iter().flatten().map(|other| &passages[other].id) {
                    let grade = grades.get(other).map_or(*grade, |own| *own.max(grade));
                    shared.push((query.clone(), other.clone(), grade));
                }
            }
        }
        // Of three twins with two judgements, the last word would be chance.
        shared.sort_by(|a, b| (&a.0, &a.1, a.2).cmp(&(&b.0, &b.1, b.2)));
        for (query, passage, grade) in shared {
            qrels.insert(query, passage, grade);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_share_their_highest_judgement() {
        let passage = |(id, text): &(&str, &str)| Passage {
            id: (*id).into(),
            title: id.to_uppercase(),
            text: (*text).into(),
            metadata: Default::default(),
        };
        let texts =
            [("a", "Same  text."), ("b", "Other."), ("c", "same text."), ("d", "Same text.")];
        let passages: Vec<Passage> = texts.iter().map(passage).collect();
        let twins = Twins::of(&passages);
        assert_eq!(twins.others(2).collect::<Vec<_>>(), [0, 3]);
        assert_eq!([0, 1, 2, 3].map(|at| twins.is_repetition(at)), [false, false, true, true]);
        let mut qrels = Qrels::default();
        for (query, passage, grade) in [("q", "a", 1), ("q", "c", 2), ("r", "b", 1)] {
            qrels.insert(query.into(), passage.into(), grade);
        }
        twins.share(&mut qrels, &passages);
        let grades =
            |query: &str| qrels.get(query).unwrap().values().copied().collect::<Vec<i32>>();
        assert_eq!((grades("q"), grades("r")), (vec![2, 2, 2], vec![1]));
    }
}
