//! The passages to judge: the first ones of several runs, with their texts.

use crate::error::Result;
use crate::texts::{TextFiles, Texts, Wanted};
use whetstone_eval::{Pool, pool};
use whetstone_records::{PassageId, QueryId, Run};

/// A passage to judge for a query.
#[derive(Clone, Debug)]
pub struct Item {
    pub query: QueryId,
    pub query_text: String,
    pub passage: PassageId,
    pub title: String,
    pub text: String,
    /// The query's place among the queries, from 1, and how many there are.
    pub query_place: (usize, usize),
    /// The passage's place among those of the query, from 1, and how many there are.
    pub passage_place: (usize, usize),
}

/// Returns the first `depth` passages of each run in the order of judging, which follows from the
/// seed and reveals no ranks.
pub fn pooled(runs: &[Run], files: TextFiles, depth: usize, seed: u64) -> Result<Vec<Item>> {
    let pools = pool(&runs.iter().collect::<Vec<_>>(), depth, seed);
    let wanted = Wanted {
        queries: pools.iter().map(|pool| &pool.query).collect(),
        passages: pools.iter().flat_map(|pool| &pool.passages).collect(),
    };
    let texts = Texts::read(files, &wanted)?;
    let items = |(place, pool): (usize, &Pool)| {
        let place = (place, pools.len());
        items_of(pool, place, &texts)
    };
    Ok((1..).zip(&pools).flat_map(items).collect())
}

fn items_of(pool: &Pool, query_place: (usize, usize), texts: &Texts) -> Vec<Item> {
    let item = |(place, id): (usize, &PassageId)| {
        let passage = &texts.passages[id];
        Item {
            query: pool.query.clone(),
            query_text: texts.queries[&pool.query].text.clone(),
            passage: id.clone(),
            title: passage.title.clone(),
            text: passage.text.clone(),
            query_place,
            passage_place: (place, pool.passages.len()),
        }
    };
    (1..).zip(&pool.passages).map(item).collect()
}
