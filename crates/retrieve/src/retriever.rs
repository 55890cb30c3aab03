//! The trait of every retriever.

use crate::top::Scored;
use std::ops::Range;

/// A way to find passages for queries. Queries and passages are numbered by their places in the
/// lists that it was built from. Passages stand in the order of their ids, so that ties break as in
/// trec_eval.
///
/// ```
/// use whetstone_records::Language;
/// use whetstone_retrieve::{Bm25, Bm25Parameters, Retriever};
///
/// let passages = ["Oil the chain twice a year.", "A red valve stops the water."];
/// let queries = ["which valve is red?", "how often are chains oiled?"];
/// let index = Bm25::build(&passages, &queries, Bm25Parameters::default(), Language::English);
/// let found: Vec<u32> = index.search(0..2, 10).iter().map(|ranking| ranking[0].passage).collect();
/// assert_eq!(found, [1, 0]);
/// ```
pub trait Retriever: Sync {
    /// The name in runs, manifests and the provenance of a negative.
    fn name(&self) -> &str;

    /// Returns the best `limit` passages of each query of the block, best first; fewer if fewer
    /// match.
    fn search(&self, queries: Range<usize>, limit: usize) -> Vec<Vec<Scored>>;

    /// Returns the score of any passage for a query, the same as in [`Retriever::search`]; none if
    /// the retriever cannot know it.
    fn score(&self, query: usize, passage: u32) -> Option<f32>;
}
