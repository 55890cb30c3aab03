//! Chooses the documents for training and those held out for measuring.

use crate::config::SplitConfig;
use rand::seq::SliceRandom;
use std::collections::{BTreeMap, BTreeSet};
use whetstone_records::{DataSet, DocumentId};

/// Which part of the data set a document or a query belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Split {
    Train,
    Dev,
    Test,
}

impl Split {
    pub const ALL: [Split; 3] = [Split::Train, Split::Dev, Split::Test];

    /// The word used in manifests.
    pub fn name(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Dev => "dev",
            Split::Test => "test",
        }
    }

    /// The path of its judgements, below the data set.
    pub fn qrels(self) -> &'static str {
        match self {
            Split::Train => DataSet::TRAIN_QRELS,
            Split::Dev => DataSet::DEV_QRELS,
            Split::Test => DataSet::TEST_QRELS,
        }
    }
}

/// Puts every document into one split.
///
/// Documents that answer a human question are the test: they are among `held`, with those that a
/// gathered collection keeps for dev. If none is held for the test, `test-fraction` of the
/// documents are drawn. `dev-fraction` of the documents that no question holds out are dev, and the
/// rest is for training.
pub fn split_documents(
    documents: &BTreeSet<DocumentId>,
    held: &BTreeMap<DocumentId, Split>,
    config: &SplitConfig,
    seed: u64,
) -> BTreeMap<DocumentId, Split> {
    let mut free: Vec<&DocumentId> =
        documents.iter().filter(|document| !held.contains_key(*document)).collect();
    free.shuffle(&mut crate::random::rng(seed, "split", ""));
    let has_test = held.values().any(|split| *split == Split::Test);
    let test = if has_test { 0 } else { share(config.test_fraction, free.len()) };
    let dev = share(config.dev_fraction, free.len());
    let drawn = free.iter().enumerate().map(|(place, document)| {
        let split = match place {
            place if place < test => Split::Test,
            place if place < test + dev => Split::Dev,
            _ => Split::Train,
        };
        ((*document).clone(), split)
    });
    let held = held.iter().filter(|(document, _)| documents.contains(*document));
    drawn.chain(held.map(|(document, split)| (document.clone(), *split))).collect()
}

/// Returns a share of `count`, rounded, but at least one if a share was asked for and there is
/// enough.
fn share(fraction: f64, count: usize) -> usize {
    let least = usize::from(fraction > 0.0 && count >= 3);
    ((fraction * count as f64).round() as usize).max(least)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents(names: std::ops::Range<usize>) -> BTreeSet<DocumentId> {
        names.map(|name| DocumentId::new(format!("{name}.md"))).collect()
    }

    fn count(split: &BTreeMap<DocumentId, Split>, wanted: Split) -> usize {
        split.values().filter(|split| **split == wanted).count()
    }

    #[test]
    fn every_document_has_one_split_and_the_shares_are_kept() {
        let config = SplitConfig { dev_fraction: 0.1, test_fraction: 0.2 };
        for seed in 0..20 {
            let split = split_documents(&documents(0..50), &BTreeMap::new(), &config, seed);
            assert_eq!(split.keys().cloned().collect::<BTreeSet<_>>(), documents(0..50));
            let counts = Split::ALL.map(|wanted| count(&split, wanted));
            assert_eq!(counts, [35, 5, 10]);
        }
    }

    #[test]
    fn documents_that_answer_human_questions_are_the_whole_test() {
        let config = SplitConfig { dev_fraction: 0.1, test_fraction: 0.5 };
        let held = documents(10..20).into_iter().map(|document| (document, Split::Test)).collect();
        let split = split_documents(&documents(0..50), &held, &config, 3);
        let test: BTreeSet<_> = split
            .iter()
            .filter(|(_, split)| **split == Split::Test)
            .map(|(document, _)| document.clone())
            .collect();
        assert_eq!(test, documents(10..20));
        assert_eq!(count(&split, Split::Dev), 4);
    }

    #[test]
    fn documents_held_for_dev_are_dev_beside_those_that_are_drawn() {
        let config = SplitConfig { dev_fraction: 0.1, test_fraction: 0.2 };
        let held = documents(10..20).into_iter().map(|document| (document, Split::Dev)).collect();
        let split = split_documents(&documents(0..50), &held, &config, 3);
        assert!(documents(10..20).iter().all(|document| split[document] == Split::Dev));
        assert_eq!(Split::ALL.map(|wanted| count(&split, wanted)), [28, 14, 8]);
    }

    #[test]
    fn the_seed_decides_and_nothing_else() {
        let config = SplitConfig::default();
        let split = |seed| split_documents(&documents(0..50), &BTreeMap::new(), &config, seed);
        assert_eq!(split(1), split(1));
        assert_ne!(split(1), split(2));
    }

    #[test]
    fn no_fraction_means_no_document() {
        let config = SplitConfig { dev_fraction: 0.0, test_fraction: 0.0 };
        let split = split_documents(&documents(0..50), &BTreeMap::new(), &config, 1);
        assert_eq!(count(&split, Split::Train), 50);
    }
}
