//! Makes a training set from a folder of documents: `chunk` cuts passages, `ask` makes queries for
//! them, `mine` finds passages that do not answer, `pair` writes what a trainer reads. Each stage
//! reads and writes one folder.

mod answers;
mod ask;
mod chunk;
mod collection;
mod config;
mod error;
#[cfg(test)]
mod fixture;
mod grade;
mod judging;
mod language;
mod llm;
mod mine;
mod pair;
mod random;
mod same_text;
mod split;
mod template;
mod titles;

pub use answers::{Case, Compared, Preference, compare_answers};
pub use ask::{AskJob, Preview, ask, batch_in, batch_out, estimate, preview};
pub use chunk::chunk;
pub use config::{
    AskConfig, ChunkConfig, FilterConfig, GeneratorName, LlmConfig, MineConfig, PairConfig, Price,
    RoundTrip, SameDocument, Sampling, SplitConfig, Style, SynthConfig, Teacher, TopBy,
};
pub use error::{Error, Result};
pub use grade::grade;
pub use llm::{BatchFiles, BatchResults, Estimate};
pub use mine::{bm25_run, mine};
pub use pair::pair;
