//! What the first stage leaves for a reranker to improve.

use super::{View, rank};
use serde::Serialize;

/// What the first stage leaves for a reranker to improve.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FirstStage {
    pub queries: usize,
    /// Queries whose first candidate is relevant; reranking cannot improve their first place.
    pub first_is_relevant: usize,
    /// Queries whose relevant candidates are all below the first place; reranking can help.
    pub relevant_below: usize,
    /// Queries without a relevant candidate; no order helps.
    pub none_retrieved: usize,
    /// Number of relevant passages; `relevant_retrieved` counts those among the candidates.
    pub relevant: usize,
    pub relevant_retrieved: usize,
}

impl FirstStage {
    /// Returns what the counts mean for a reranker, in words.
    pub fn in_words(&self) -> String {
        let share =
            |count: usize| format!("{:.0} %", 100.0 * count as f64 / self.queries.max(1) as f64);
        let mut text = format!(
            "The first stage already has a relevant passage in the first place for {} of {} queries ({}). Reranking can \
             bring one there for {} more ({}); for {} ({}) no candidate is relevant, and no order helps.",
            self.first_is_relevant,
            self.queries,
            share(self.first_is_relevant),
            self.relevant_below,
            share(self.relevant_below),
            self.none_retrieved,
            share(self.none_retrieved),
        );
        if self.first_is_relevant * 2 > self.queries {
            text += " So reranking can't change much here; a better first stage, or harder questions, would show more.";
        } else if self.none_retrieved * 4 > self.queries {
            text +=
                " More candidates, or a better first stage, would help more than another reranker.";
        }
        text
    }
}

/// Returns the rank of the query's best-placed relevant passage.
pub(crate) fn best_rank(view: &View, place: usize) -> Option<usize> {
    let query = &view.queries[place];
    let hits = view.first_stage.get(query.as_str())?;
    view.relevant(query).iter().filter_map(|(passage, _)| rank(hits, passage)).min()
}

pub(crate) fn first_stage(view: &View) -> FirstStage {
    let ranks: Vec<Option<usize>> =
        (0..view.queries.len()).map(|place| best_rank(view, place)).collect();
    let count = |is_so: fn(&Option<usize>) -> bool| ranks.iter().filter(|rank| is_so(rank)).count();
    let relevant = view
        .queries
        .iter()
        .flat_map(|query| view.relevant(query).into_iter().map(move |one| (query, one)));
    let (mut total, mut retrieved) = (0, 0);
    for (query, (passage, _)) in relevant {
        total += 1;
        let hits = view.first_stage.get(query.as_str()).unwrap_or_default();
        retrieved += usize::from(rank(hits, passage).is_some());
    }
    FirstStage {
        queries: view.queries.len(),
        first_is_relevant: count(|rank| *rank == Some(1)),
        relevant_below: count(|rank| rank.is_some_and(|rank| rank > 1)),
        none_retrieved: count(Option::is_none),
        relevant: total,
        relevant_retrieved: retrieved,
    }
}
