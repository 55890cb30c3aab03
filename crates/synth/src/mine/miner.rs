//! A retriever at work for `mine`.

use crate::collection::Part;
use crate::config::{MineConfig, Source};
use crate::error::Result;
use std::ops::Range;
use whetstone_retrieve::{Material, Retriever, Scored};

/// A retriever over one part of the data set, with its settings from the config. Queries and
/// passages are numbered as in the whole data set.
pub struct Miner {
    pub source: Source,
    /// How many passages it may find for a query.
    pub rank_max: usize,
    retriever: Box<dyn Retriever>,
    part: Part,
}

impl Miner {
    /// Builds the retrievers of a config, in its order, over the material of a part.
    pub fn build_all(config: &MineConfig, material: &Material, part: &Part) -> Result<Vec<Self>> {
        let build = |source: &Source| {
            let retriever = source.retriever.settings().build(material)?;
            let rank_max = source.rank_max.unwrap_or(config.rank_max);
            Ok(Self { source: source.clone(), rank_max, retriever, part: part.clone() })
        };
        config.from.iter().map(build).collect()
    }

    pub fn name(&self) -> &str {
        self.source.name()
    }

    /// Returns the best passages of each query of the block.
    pub fn search(&self, queries: Range<usize>) -> Vec<Vec<Scored>> {
        let Part { queries: own, passages, .. } = &self.part;
        let inside = queries.start - own.start..queries.end - own.start;
        let mut found = self.retriever.search(inside, self.rank_max);
        found.iter_mut().flatten().for_each(|hit| hit.passage += passages.start);
        found
    }

    /// Returns the score of a passage of the part; none if the retriever cannot know it.
    pub fn score(&self, query: usize, passage: u32) -> Option<f32> {
        let Part { queries, passages, .. } = &self.part;
        self.retriever.score(query - queries.start, passage - passages.start)
    }
}
