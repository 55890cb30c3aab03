//! Makes a training set from a folder of documents. `chunk` cuts passages, `ask` makes queries for
//! them, `mine` finds passages that do not answer them, `pair` writes the trainer's files. Each
//! stage reads and writes one folder.

mod ask;
mod chunk;
mod collection;
mod config;
mod error;
#[cfg(test)]
mod fixture;
mod gather;
mod grade;
mod language;
mod mine;
mod pair;
mod random;
mod same_text;
mod split;
mod titles;
mod twins;

pub use ask::{AskJob, Preview, ask, batch_in, batch_out, estimate, preview};
pub use chunk::chunk;
pub use config::{
    AskConfig, ChunkConfig, FilterConfig, GatherConfig, GeneratorName, MineConfig, PairConfig,
    RoundTrip, SameDocument, Sampling, Source, SplitConfig, Style, SynthConfig, Teacher, TopBy,
};
pub use error::{Error, Result};
pub use gather::gather;
pub use grade::grade;
pub use mine::{MineJob, mine};
pub use pair::{PairJob, pair};
