//! Makes a training set from a folder of documents: `chunk` cuts passages, `ask` makes queries for them, `mine` finds
//! passages that do not answer, `pair` writes what a trainer reads. Each stage reads and writes one folder.

mod ask;
mod chunk;
mod collection;
mod config;
mod error;
#[cfg(test)]
mod fixture;
mod mine;
mod pair;
mod random;
mod split;

pub use ask::ask;
pub use chunk::chunk;
pub use config::{
    AskConfig, ChunkConfig, GeneratorName, MineConfig, PairConfig, SameDocument, Sampling, SplitConfig, SynthConfig,
};
pub use error::{Error, Result};
pub use mine::mine;
pub use pair::pair;
