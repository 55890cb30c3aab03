//! Finds training texts that reappear in the test set.

use crate::alike::{WordSet, pairs_alike};
use rayon::prelude::*;
use serde::Serialize;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use whetstone_records::{DocumentId, PassageId, QueryId};

/// Jaccard similarity (shared words / all words) from which two queries are near-duplicates.
pub const NEAR_DUPLICATE: f64 = 0.8;

/// Number of examples that a finding names.
const EXAMPLES: usize = 5;

/// A fact that an evaluation of the data set must not hide.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    pub guard: Guard,
    /// Whether it forbids a verdict.
    pub refuses: bool,
    /// How many were found, out of `of` examined.
    pub found: usize,
    pub of: usize,
    /// The first few, in words.
    pub examples: Vec<String>,
    /// Mean lexical overlap of the queries with their relevant passages; only for findings about
    /// the queries' origin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlap: Option<f64>,
}

/// The subject of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Guard {
    /// Training used a document that answers a test query.
    SharedDocuments,
    /// Training used a passage with the text of one that answers a test query.
    SharedPassages,
    /// Training used a test query, up to case and punctuation.
    SharedQueries,
    /// Training used a query with nearly the same words as a test query.
    NearDuplicateQueries,
    /// All test queries were generated.
    SyntheticOnly,
    /// There are only a few real test queries.
    FewRealQueries,
    /// The data set lacks the text of test queries, so they could not be checked.
    UnknownQueries,
    /// The data set holds no training pairs, so nothing could be checked.
    NoTrainingPairs,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { found, of, .. } = self;
        match self.guard {
            Guard::SharedDocuments => {
                write!(f, "{found} of {of} documents that answer test queries were trained on")
            }
            Guard::SharedPassages => {
                write!(
                    f,
                    "{found} of {of} passages that answer test queries have the text of one that was trained on"
                )
            }
            Guard::SharedQueries => write!(f, "{found} of {of} test queries were trained on"),
            Guard::NearDuplicateQueries => {
                write!(
                    f,
                    "{found} of {of} test queries have nearly the words of one that was trained on"
                )
            }
            Guard::SyntheticOnly => write!(f, "all {of} test queries are synthetic"),
            Guard::FewRealQueries => write!(f, "only {found} of {of} test queries are real"),
            Guard::UnknownQueries => {
                write!(f, "{found} of {of} test queries have no text in the data set")
            }
            Guard::NoTrainingPairs => {
                f.write_str("the data set has no training pairs to look for leakage in")
            }
        }?;
        if let Some(overlap) = self.overlap {
            write!(f, "; their passages hold {:.0} % of their words", 100.0 * overlap)?;
        }
        let Some((first, others)) = self.examples.split_first() else { return Ok(()) };
        write!(f, ": {first}")?;
        others.iter().try_for_each(|example| write!(f, "; {example}"))?;
        if self.found > self.examples.len() { f.write_str("; …") } else { Ok(()) }
    }
}

impl Finding {
    /// Returns what the user can do about it.
    pub fn hint(&self) -> &'static str {
        match self.guard {
            Guard::SharedDocuments | Guard::SharedPassages => {
                "take these documents out of training or of the test (`whetstone pair` splits by document)"
            }
            Guard::SharedQueries | Guard::NearDuplicateQueries => {
                "take these queries out of train.jsonl and train again, or out of the test qrels"
            }
            Guard::SyntheticOnly | Guard::FewRealQueries => {
                "judge 50 questions of real users with `whetstone label`; \
                 generated ones resemble the training data"
            }
            Guard::UnknownQueries => "name the data set that the qrels belong to",
            Guard::NoTrainingPairs => "name the data set that the model was trained on",
        }
    }
}

/// The texts that training uses, or the test.
#[derive(Clone, Debug, Default)]
pub struct Side {
    pub queries: Vec<(QueryId, String)>,
    /// Passages with their document and a digest of their text (see [`text_digest`]).
    pub passages: Vec<(PassageId, DocumentId, u64)>,
}

/// Returns a digest of a text that ignores case and white space.
pub fn text_digest(text: &str) -> u64 {
    // FNV-1a: among a million texts, the probability of a collision is 3e-8.
    let (mut hash, mut first) = (0xcbf2_9ce4_8422_2325u64, true);
    let mut push = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    for word in text.split_whitespace() {
        if !std::mem::take(&mut first) {
            push(b' ');
        }
        word.chars()
            .flat_map(char::to_lowercase)
            .for_each(|letter| letter.to_string().bytes().for_each(&mut push));
    }
    hash
}

/// Returns what the test shares with training; each finding forbids a verdict.
pub fn leakage(train: &Side, test: &Side) -> Vec<Finding> {
    let documents = shared_documents(train, test);
    let passages = shared_passages(train, test);
    let [queries, near] = shared_queries(train, test);
    [documents, passages, queries, near].into_iter().filter(|finding| finding.found > 0).collect()
}

fn finding(guard: Guard, of: usize, found: impl ExactSizeIterator<Item = String>) -> Finding {
    Finding {
        guard,
        refuses: true,
        found: found.len(),
        of,
        examples: found.take(EXAMPLES).collect(),
        overlap: None,
    }
}

fn shared_documents(train: &Side, test: &Side) -> Finding {
    let documents = |side: &Side| {
        side.passages.iter().map(|(_, document, _)| document.clone()).collect::<BTreeSet<_>>()
    };
    let (trained, tested) = (documents(train), documents(test));
    let shared: Vec<String> =
        tested.intersection(&trained).map(|document| format!("`{document}`")).collect();
    finding(Guard::SharedDocuments, tested.len(), shared.into_iter())
}

/// Finds passages with equal texts in different documents. Those of shared documents are reported
/// with these.
fn shared_passages(train: &Side, test: &Side) -> Finding {
    let trained: HashMap<u64, &(PassageId, DocumentId, u64)> =
        train.passages.iter().map(|passage| (passage.2, passage)).collect();
    let of = test.passages.iter().map(|(passage, ..)| passage).collect::<BTreeSet<_>>().len();
    let mut shared: Vec<String> = test
        .passages
        .iter()
        .filter_map(|passage| Some((passage, trained.get(&passage.2)?)))
        .filter(|(passage, other)| passage.1 != other.1)
        .map(|(passage, other)| format!("`{}` (trained on as `{}`)", passage.0, other.0))
        .collect();
    shared.sort();
    shared.dedup();
    finding(Guard::SharedPassages, of, shared.into_iter())
}

/// Finds equal queries, and nearly equal ones.
fn shared_queries(train: &Side, test: &Side) -> [Finding; 2] {
    let of = test.queries.len();
    let texts =
        |side: &Side| side.queries.iter().map(|(_, text)| text.clone()).collect::<Vec<String>>();
    let matches = near_duplicates(&texts(train), &texts(test), NEAR_DUPLICATE);
    let describe = |found: &&Match| {
        let ((id, text), (_, other)) = (&test.queries[found.test], &train.queries[found.train]);
        if found.equal {
            format!("`{id}` “{text}”")
        } else {
            format!("`{id}` “{text}” (trained on: “{other}”)")
        }
    };
    [(Guard::SharedQueries, true), (Guard::NearDuplicateQueries, false)].map(|(guard, equal)| {
        let found: Vec<&Match> = matches.iter().filter(|found| found.equal == equal).collect();
        finding(guard, of, found.iter().map(&describe))
    })
}

/// A test query and the most similar training query, by their positions in the lists given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Match {
    pub train: usize,
    pub test: usize,
    pub jaccard: f64,
    /// Whether both have the same words in the same order.
    pub equal: bool,
}

/// Returns, for each test query that has one, the most similar training query. Similarity is
/// Jaccard's over words (runs of letters and digits, in lower case) and at least `least`. Queries
/// whose words with digits differ never match: "torque of bolt M6" and "torque of bolt M8" ask for
/// two things.
pub fn near_duplicates(train: &[String], test: &[String], least: f64) -> Vec<Match> {
    let texts: Vec<Vec<String>> = test.par_iter().chain(train).map(|text| words(text)).collect();
    let sets: Vec<WordSet> = texts.par_iter().map(|words| word_set(words)).collect();
    let tests = test.len();
    let found = pairs_alike(&sets, tests, least, |_, place| place >= tests);
    let one = |(place, test): (usize, usize)| {
        let equal = texts[place] == texts[test];
        Match { train: place - tests, test, jaccard: sets[place].alike(&sets[test]), equal }
    };
    let pairs = found
        .into_iter()
        .enumerate()
        .flat_map(|(place, alike)| alike.into_iter().map(move |test| (place, test)));
    let mut matches: Vec<Match> = pairs.map(one).collect();
    let rank = |found: &Match| (found.test, !found.equal, -found.jaccard, found.train);
    matches.sort_by(|a, b| rank(a).partial_cmp(&rank(b)).expect("similarities are finite"));
    matches.dedup_by_key(|found| found.test);
    matches
}

fn word_set(words: &[String]) -> WordSet {
    let numbers = words.iter().filter(|word| word.contains(char::is_numeric)).cloned().collect();
    WordSet { words: words.iter().cloned().collect(), numbers }
}

/// Returns the runs of letters and digits, in lower case.
fn words(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    lower
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests;
