//! The collections that a data set was gathered from.

use super::Collection;
use crate::error::{Error, Result};
use std::collections::HashMap;
use std::ops::Range;
use whetstone_records::{Passage, Query};

/// A collection inside a data set: the places of its passages and queries. A query meets only
/// passages of its own part.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// None for a data set that was not gathered.
    pub name: Option<String>,
    pub passages: Range<u32>,
    pub queries: Range<usize>,
}

impl Part {
    /// The part's passages and queries.
    pub fn slices<'a>(&self, collection: &'a Collection) -> (&'a [Passage], &'a [Query]) {
        let passages = self.passages.start as usize..self.passages.end as usize;
        (&collection.passages[passages], &collection.queries[self.queries.clone()])
    }
}

/// Returns the parts that have passages and queries, in the order of their ids.
///
/// # Errors
/// [`Error::ScatteredCollection`] where the ids of one collection stand among those of another.
pub fn parts(passages: &[Passage], queries: &[Query]) -> Result<Vec<Part>> {
    let passages = ranges(passages, |passage| {
        (passage.metadata.gathered_from.as_deref(), passage.id.as_str())
    })?;
    let queries =
        ranges(queries, |query| (query.metadata.gathered_from.as_deref(), query.id.as_str()))?;
    let passages: HashMap<Option<&str>, Range<usize>> = passages.into_iter().collect();
    let part = |(name, queries): Named| {
        let Range { start, end } = passages.get(&name)?;
        let passages = *start as u32..*end as u32;
        Some(Part { name: name.map(str::to_owned), passages, queries })
    };
    Ok(queries.into_iter().filter_map(part).collect())
}

/// A collection's name, none outside all, and the places of its records.
type Named<'a> = (Option<&'a str>, Range<usize>);

/// Returns where the records of each collection stand. `of` gives collection and id of a record.
fn ranges<T>(records: &[T], of: impl Fn(&T) -> (Option<&str>, &str)) -> Result<Vec<Named<'_>>> {
    let mut ranges: Vec<Named> = Vec::new();
    for records in records.chunk_by(|a, b| of(a).0 == of(b).0) {
        let (name, id) = of(&records[0]);
        if ranges.iter().any(|(earlier, _)| *earlier == name) {
            let collection = name.map(str::to_owned);
            return Err(Error::ScatteredCollection { collection, id: id.into() });
        }
        let start = ranges.last().map_or(0, |(_, range)| range.end);
        ranges.push((name, start..start + records.len()));
    }
    Ok(ranges)
}
