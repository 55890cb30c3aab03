//! A retriever at work for `mine`.

use crate::config::{MineConfig, Source};
use crate::error::Result;
use whetstone_retrieve::{Material, Retriever};

/// A retriever, with its settings from the config.
pub struct Miner {
    pub source: Source,
    /// How many passages it may find for a query.
    pub rank_max: usize,
    pub retriever: Box<dyn Retriever>,
}

impl Miner {
    /// Builds the retrievers of a config, in its order.
    pub fn build_all(config: &MineConfig, material: &Material) -> Result<Vec<Self>> {
        let build = |source: &Source| {
            let retriever = source.retriever.settings().build(material)?;
            let rank_max = source.rank_max.unwrap_or(config.rank_max);
            Ok(Self { source: source.clone(), rank_max, retriever })
        };
        config.from.iter().map(build).collect()
    }

    pub fn name(&self) -> &str {
        self.source.name()
    }
}
