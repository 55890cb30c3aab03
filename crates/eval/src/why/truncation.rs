//! How many pairs are longer than the model's input.

use super::View;
use crate::bootstrap::{Interval, bootstrap_interval};
use crate::per_query::mean;
use serde::Serialize;
use std::collections::HashMap;
use whetstone_records::{PassageId, QueryId};

const RESAMPLES: usize = 2000;

/// Text lengths in tokens of a model, without special tokens.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lengths {
    /// The model's longest pair, special tokens included.
    pub max_seq_tokens: usize,
    /// Number of special tokens in a pair.
    pub special_tokens: usize,
    pub queries: HashMap<QueryId, usize>,
    pub passages: HashMap<PassageId, usize>,
}

/// How much of the candidates the model does not read, and what that seems to cost.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Truncation {
    pub max_seq_tokens: usize,
    pub pairs: usize,
    pub truncated: usize,
    /// Number of relevant candidates; `relevant_truncated` counts those that are cut.
    pub relevant: usize,
    pub relevant_truncated: usize,
    /// Queries with a relevant candidate that is cut; `unaffected` are those with only
    /// uncut ones.
    pub affected: Part,
    pub unaffected: Part,
}

/// System − baseline over some of the queries.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Part {
    pub queries: usize,
    pub difference: f64,
    pub interval: Option<Interval>,
}

pub(crate) fn truncation(view: &View) -> Option<Truncation> {
    let lengths = view.material.lengths.as_ref()?;
    let mut found = Truncation {
        max_seq_tokens: lengths.max_seq_tokens,
        pairs: 0,
        truncated: 0,
        relevant: 0,
        relevant_truncated: 0,
        affected: Part { queries: 0, difference: 0.0, interval: None },
        unaffected: Part { queries: 0, difference: 0.0, interval: None },
    };
    let (mut affected, mut unaffected) = (Vec::new(), Vec::new());
    for (place, query) in view.queries.iter().enumerate() {
        let Some(query_tokens) = lengths.queries.get(query) else { continue };
        let (mut relevant, mut cut) = (0, 0);
        for hit in view.first_stage.get(query.as_str()).unwrap_or_default() {
            let Some(tokens) = lengths.passages.get(&hit.passage) else { continue };
            let truncated = query_tokens + tokens + lengths.special_tokens > lengths.max_seq_tokens;
            found.pairs += 1;
            found.truncated += usize::from(truncated);
            if view.is_relevant(query, &hit.passage) {
                relevant += 1;
                cut += usize::from(truncated);
            }
        }
        found.relevant += relevant;
        found.relevant_truncated += cut;
        if relevant > 0 {
            (if cut > 0 { &mut affected } else { &mut unaffected }).push(view.difference(place));
        }
    }
    let part = |differences: Vec<f64>| Part {
        queries: differences.len(),
        difference: mean(&differences),
        interval: (differences.len() >= 10)
            .then(|| bootstrap_interval(&differences, RESAMPLES, view.alpha, view.seed)),
    };
    found.affected = part(affected);
    found.unaffected = part(unaffected);
    (found.pairs > 0).then_some(found)
}

impl Truncation {
    /// Returns what the counts say, in words.
    pub fn in_words(&self) -> String {
        let share =
            |count: usize, of: usize| format!("{:.1} %", 100.0 * count as f64 / of.max(1) as f64);
        let mut text = format!(
            "The model reads {} tokens: {} of {} pairs ({}) are cut, among them {} of {} relevant ones ({}).",
            self.max_seq_tokens,
            self.truncated,
            self.pairs,
            share(self.truncated, self.pairs),
            self.relevant_truncated,
            self.relevant,
            share(self.relevant_truncated, self.relevant),
        );
        let part = |part: &Part| {
            let interval = part
                .interval
                .map(|interval| format!(" ({:+.4} to {:+.4})", interval.low, interval.high));
            format!(
                "{:+.4}{} over {} queries",
                part.difference,
                interval.unwrap_or_default(),
                part.queries
            )
        };
        if self.affected.queries > 0 && self.unaffected.queries > 0 {
            text += &format!(
                " Where a relevant candidate is cut the difference is {}, elsewhere {}.",
                part(&self.affected),
                part(&self.unaffected)
            );
        }
        text
    }
}
