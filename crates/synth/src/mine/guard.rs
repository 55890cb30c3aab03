//! Which passages may be negatives of a query.

use crate::collection::Collection;
use crate::config::SameDocument;

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
    starts: Vec<Vec<usize>>,
}

impl<'a> Guard<'a> {
    pub fn new(collection: &'a Collection, same_document: SameDocument) -> Self {
        let mut starts = vec![Vec::new(); collection.document_split.len()];
        for (passage, document) in collection.passages.iter().zip(&collection.document) {
            starts[*document as usize].extend(passage.metadata.span.map(|(start, _)| start));
        }
        starts.iter_mut().for_each(|starts| starts.sort_unstable());
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

    fn is_refused_neighbour(&self, positive: u32, passage: u32) -> bool {
        let document = self.collection.document[positive as usize];
        if document != self.collection.document[passage as usize] {
            return false;
        }
        self.same_document == SameDocument::Exclude
            || self.are_neighbours(document, positive, passage)
    }

    /// Whether no third passage begins between the two. Also true if the corpus does not say where
    /// they stand.
    fn are_neighbours(&self, document: u32, a: u32, b: u32) -> bool {
        let span = |passage: u32| self.collection.passages[passage as usize].metadata.span;
        let (Some(a), Some(b)) = (span(a), span(b)) else { return true };
        let (first, second) = if a <= b { (a, b) } else { (b, a) };
        !self.starts[document as usize].iter().any(|start| (first.1..second.0).contains(start))
    }
}
