//! Makes a training set from a folder of documents: `chunk` cuts passages, `ask` makes queries for them, `mine` finds
//! passages that do not answer, `pair` writes what a trainer reads. Each stage reads and writes one folder.

mod config;
mod error;

pub use config::{
    AskConfig, ChunkConfig, GeneratorName, MineConfig, PairConfig, Sampling, SplitConfig, SynthConfig,
};
pub use error::{Error, Result};
