//! Breaks the differences down by properties of the queries.

use super::View;
use super::first_stage::best_rank;
use crate::bootstrap::{Interval, bootstrap_interval};
use crate::compare::TIE;
use crate::per_query::mean;
use serde::Serialize;
use std::collections::BTreeMap;
use whetstone_records::QueryId;

/// Documents shown; the others are grouped.
const DOCUMENTS_SHOWN: usize = 8;
/// With fewer queries an interval says nothing.
const MIN_FOR_INTERVAL: usize = 10;
const RESAMPLES: usize = 2000;

/// The queries, divided by one of their properties.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SliceGroup {
    pub by: &'static str,
    pub slices: Vec<Slice>,
}

/// Queries that share a property.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Slice {
    pub name: String,
    pub queries: usize,
    pub baseline: f64,
    pub system: f64,
    pub difference: f64,
    /// Bootstrap interval of the difference, not corrected for the number of slices. It shows where
    /// to look; it proves nothing.
    pub interval: Option<Interval>,
    pub wins: usize,
    pub losses: usize,
}

/// The key of a slice: its place in the group, and its name.
type Key = (usize, String);

pub(crate) fn slices(view: &View) -> Vec<SliceGroup> {
    let groups = [
        group(view, "first stage", |place| Some(by_first_stage(view, place))),
        group(view, "query length", |place| by_length(view, &view.queries[place])),
        group(view, "query's origin", |place| by_origin(view, &view.queries[place])),
        group(view, "query's style", |place| by_style(view, &view.queries[place])),
        by_document(view),
    ];
    // A group with one slice is just the whole set.
    groups.into_iter().filter(|group| group.slices.len() > 1).collect()
}

fn group(view: &View, by: &'static str, key: impl Fn(usize) -> Option<Key>) -> SliceGroup {
    let mut members: BTreeMap<Key, Vec<usize>> = BTreeMap::new();
    for place in 0..view.queries.len() {
        if let Some(key) = key(place) {
            members.entry(key).or_default().push(place);
        }
    }
    let slices =
        members.into_iter().map(|((_, name), places)| slice(view, name, &places)).collect();
    SliceGroup { by, slices }
}

fn slice(view: &View, name: String, places: &[usize]) -> Slice {
    let differences: Vec<f64> = places.iter().map(|place| view.difference(*place)).collect();
    let of = |values: &[f64]| mean(&places.iter().map(|place| values[*place]).collect::<Vec<_>>());
    let enough = places.len() >= MIN_FOR_INTERVAL;
    Slice {
        name,
        queries: places.len(),
        baseline: of(view.baseline_values),
        system: of(view.system_values),
        difference: mean(&differences),
        interval: enough
            .then(|| bootstrap_interval(&differences, RESAMPLES, view.alpha, view.seed)),
        wins: differences.iter().filter(|difference| **difference > TIE).count(),
        losses: differences.iter().filter(|difference| **difference < -TIE).count(),
    }
}

fn by_first_stage(view: &View, place: usize) -> Key {
    let (order, name) = match best_rank(view, place) {
        Some(1) => (0, "relevant passage in first place"),
        Some(2..=5) => (1, "first relevant at rank 2 to 5"),
        Some(6..=10) => (2, "first relevant at rank 6 to 10"),
        Some(_) => (3, "first relevant below rank 10"),
        None => (4, "no relevant candidate"),
    };
    (order, name.into())
}

fn by_length(view: &View, query: &QueryId) -> Option<Key> {
    let words = view.material.queries.get(query)?.text.split_whitespace().count();
    let (order, name) = match words {
        0..=3 => (0, "1 to 3 words"),
        4..=7 => (1, "4 to 7 words"),
        8..=12 => (2, "8 to 12 words"),
        13..=20 => (3, "13 to 20 words"),
        _ => (4, "over 20 words"),
    };
    Some((order, name.into()))
}

fn by_origin(view: &View, query: &QueryId) -> Option<Key> {
    let generator = view.material.queries.get(query)?.metadata.generator.clone();
    Some((usize::from(generator.is_some()), generator.unwrap_or_else(|| "asked by people".into())))
}

fn by_style(view: &View, query: &QueryId) -> Option<Key> {
    Some((0, view.material.queries.get(query)?.metadata.style.clone()?))
}

/// Groups by the document of the relevant passage with the highest grade. Documents with few
/// queries share a group.
fn by_document(view: &View) -> SliceGroup {
    let document = |place: usize| {
        let (passage, _) = *view.relevant(&view.queries[place]).first()?;
        let metadata = &view.material.passages.get(passage)?.metadata;
        metadata.document.as_ref().map(|document| document.as_str().to_owned())
    };
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for name in (0..view.queries.len()).filter_map(document) {
        *counts.entry(name).or_default() += 1;
    }
    let mut names: Vec<(&String, &usize)> =
        counts.iter().filter(|(_, count)| **count > 1).collect();
    names.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), (*name).clone()));
    let places: BTreeMap<&str, usize> = names
        .iter()
        .take(DOCUMENTS_SHOWN)
        .enumerate()
        .map(|(place, (name, _))| (name.as_str(), place))
        .collect();
    if places.is_empty() {
        return SliceGroup { by: "document", slices: vec![] };
    }
    group(view, "document", |place| {
        let name = document(place)?;
        let shown = places.get(name.as_str()).map(|order| (*order, name.clone()));
        Some(shown.unwrap_or_else(|| (DOCUMENTS_SHOWN, "all other documents".into())))
    })
}
