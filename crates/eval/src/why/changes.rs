//! The queries that gained and lost most.

use super::highlight::{Piece, snippet};
use super::{View, rank};
use crate::compare::TIE;
use crate::highlight::Highlighter;
use serde::Serialize;
use std::collections::HashSet;
use whetstone_records::{PassageId, QueryId};

/// Queries shown at either end.
const SHOWN: usize = 5;
/// Relevant passages shown per query.
const RELEVANT_SHOWN: usize = 3;
/// Characters shown of a passage.
const SNIPPET_CHARS: usize = 280;

/// The queries that changed most.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Changes {
    /// Greatest gain first.
    pub best: Vec<Change>,
    /// Greatest loss first.
    pub worst: Vec<Change>,
}

/// A query under the baseline and the system.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    pub query_id: QueryId,
    /// Empty if the queries' texts are unknown.
    pub text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub style: Option<String>,
    pub baseline: f64,
    pub system: f64,
    pub passages: Vec<MovedPassage>,
}

/// A passage in both rankings.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MovedPassage {
    pub passage_id: PassageId,
    /// None if the passage is unjudged.
    pub grade: Option<i32>,
    /// Its rank under the baseline, from 1; None if it is not ranked.
    pub before: Option<usize>,
    pub after: Option<usize>,
    pub title: Vec<Piece>,
    /// The part of its text with the most words of the query.
    pub snippet: Vec<Piece>,
}

pub(crate) fn changes(view: &View) -> Changes {
    let mut order: Vec<usize> = (0..view.queries.len()).collect();
    order.sort_by(|a, b| view.difference(*b).total_cmp(&view.difference(*a)));
    let gains = order.iter().filter(|place| view.difference(**place) > TIE);
    let losses = order.iter().rev().filter(|place| view.difference(**place) < -TIE);
    Changes {
        best: gains.take(SHOWN).map(|place| change(view, *place)).collect(),
        worst: losses.take(SHOWN).map(|place| change(view, *place)).collect(),
    }
}

fn change(view: &View, place: usize) -> Change {
    let query_id = &view.queries[place];
    let query = view.material.queries.get(query_id);
    let text = query.map(|query| query.text.clone()).unwrap_or_default();
    let highlighter = Highlighter::new(&text, view.material.language);
    let (before, after) =
        (view.baseline.get(query_id.as_str()), view.system.get(query_id.as_str()));
    let (before, after) = (before.unwrap_or_default(), after.unwrap_or_default());
    let mut relevant: Vec<&PassageId> =
        view.relevant(query_id).into_iter().map(|(passage, _)| passage).collect();
    // The relevant passages that rank highest in either run say the most.
    relevant.sort_by_key(|passage| {
        rank(before, passage).into_iter().chain(rank(after, passage)).min().unwrap_or(usize::MAX)
    });
    let firsts =
        [after, before].into_iter().filter_map(|hits| hits.first()).map(|hit| &hit.passage);
    let mut seen = HashSet::new();
    let shown = relevant
        .into_iter()
        .take(RELEVANT_SHOWN)
        .chain(firsts)
        .filter(|passage| seen.insert(*passage));
    let moved = |id: &PassageId| {
        moved(view, query_id, id, &highlighter, (rank(before, id), rank(after, id)))
    };
    Change {
        query_id: query_id.clone(),
        style: query.and_then(|query| query.metadata.style.clone()),
        baseline: view.baseline_values[place],
        system: view.system_values[place],
        passages: shown.map(moved).collect(),
        text,
    }
}

fn moved(
    view: &View,
    query: &QueryId,
    id: &PassageId,
    highlighter: &Highlighter,
    (before, after): (Option<usize>, Option<usize>),
) -> MovedPassage {
    let passage = view.material.passages.get(id);
    let pieces = |text: Option<&String>| {
        text.map(|text| snippet(text, highlighter, SNIPPET_CHARS)).unwrap_or_default()
    };
    MovedPassage {
        passage_id: id.clone(),
        grade: view.grade(query, id),
        before,
        after,
        title: pieces(passage.map(|passage| &passage.title)),
        snippet: pieces(passage.map(|passage| &passage.text)),
    }
}
