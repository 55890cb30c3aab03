//! Which passages may be negatives of a query.

use crate::collection::Collection;
use crate::config::SameDocument;
use std::collections::HashMap;
use whetstone_records::{DocumentId, Passage};

/// Why a passage cannot be a negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// It is judged relevant.
    Positive,
    /// It has a positive's text, up to white space and case.
    Duplicate,
    /// It shares text with a positive.
    Overlap,
    /// It belongs to a positive's document, and is too near or not wanted at all.
    SameDocument,
    /// Its document is held out from training, or a held-out document has the same text.
    HeldOut,
    /// Its score comes too near the positive's.
    Margin,
    MaxScore,
    MinScore,
}

impl Refusal {
    /// The word in the manifest's counts.
    pub fn name(self) -> &'static str {
        match self {
            Refusal::Positive => "positive",
            Refusal::Duplicate => "duplicate",
            Refusal::Overlap => "overlap",
            Refusal::SameDocument => "same-document",
            Refusal::HeldOut => "held-out",
            Refusal::Margin => "margin",
            Refusal::MaxScore => "max-score",
            Refusal::MinScore => "min-score",
        }
    }
}

/// Knows which passages may be negatives of a query, regardless of scores.
pub struct Guard<'a> {
    collection: &'a Collection,
    same_document: SameDocument,
    /// First bytes of the passages of every document, ascending.
    starts: HashMap<&'a DocumentId, Vec<usize>>,
}

impl<'a> Guard<'a> {
    pub fn new(collection: &'a Collection, same_document: SameDocument) -> Self {
        let mut starts: HashMap<&DocumentId, Vec<usize>> = HashMap::new();
        for (document, (start, _)) in collection.passages.iter().flat_map(Passage::spans) {
            starts.entry(document).or_default().push(start);
        }
        starts.values_mut().for_each(|starts| starts.sort_unstable());
        Self { collection, same_document, starts }
    }

    /// Returns the first reason, in the order of [`Refusal`], why `passage` cannot be a negative
    /// for these positives.
    pub fn refuse(&self, positives: &[u32], passage: u32) -> Option<Refusal> {
        let Collection { passages, text, .. } = self.collection;
        let any = |holds: &dyn Fn(u32) -> bool| positives.iter().any(|positive| holds(*positive));
        if any(&|positive| positive == passage) {
            Some(Refusal::Positive)
        } else if any(&|positive| text[positive as usize] == text[passage as usize]) {
            Some(Refusal::Duplicate)
        } else if any(&|positive| passages[positive as usize].overlaps(&passages[passage as usize]))
        {
            Some(Refusal::Overlap)
        } else if any(&|positive| self.is_refused_neighbour(positive, passage)) {
            Some(Refusal::SameDocument)
        } else if !self.collection.is_trainable(passage) {
            Some(Refusal::HeldOut)
        } else {
            None
        }
    }

    /// Whether the two stand in one document, and too near to each other or so at all. So also
    /// where the corpus does not say where they stand.
    fn is_refused_neighbour(&self, positive: u32, passage: u32) -> bool {
        let Collection { passages, document, .. } = self.collection;
        let [a, b] = [positive, passage].map(|place| &passages[place as usize]);
        if a.spans().next().is_none() || b.spans().next().is_none() {
            return document[positive as usize] == document[passage as usize];
        }
        let excluded = self.same_document == SameDocument::Exclude;
        a.spans().any(|(document, here)| {
            let mut beside = b.spans().filter(|(other, _)| *other == document);
            beside.any(|(_, there)| excluded || self.are_neighbours(document, here, there))
        })
    }

    /// Whether no third passage begins between the two.
    fn are_neighbours(&self, document: &DocumentId, a: (usize, usize), b: (usize, usize)) -> bool {
        let (first, second) = if a <= b { (a, b) } else { (b, a) };
        !self.starts[document].iter().any(|start| (first.1..second.0).contains(start))
    }
}
