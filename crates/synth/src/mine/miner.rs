use super::top::Scored;
use std::ops::Range;

/// A way to find passages for the queries of a collection. Queries and passages go by their place
/// in it.
pub trait Miner: Sync {
    /// The name in runs, manifests and the provenance of a negative.
    fn name(&self) -> &'static str;

    /// Returns the best `limit` passages of each query of the block, best first; fewer where fewer
    /// match.
    fn search(&self, queries: Range<usize>, limit: usize) -> Vec<Vec<Scored>>;

    /// Returns the score of any passage for a query: the one that [`Miner::search`] gives it if it
    /// finds it.
    fn score(&self, query: usize, passage: u32) -> f32;
}
