//! What flows between the stages of Whetstone: identifiers, records, and JSONL, BEIR and TREC
//! files. It also holds the contract of every stage: a file under its real name is whole, and the
//! manifest is written last.

mod atomic;
mod best;
mod error;
mod folder;
mod golden;
mod hint;
mod ids;
mod input;
mod io;
mod jsonl;
mod language;
mod layout;
mod lines;
mod model_files;
mod origin;
mod progress;
mod qrels;
mod records;
mod run;
mod stage;
mod trec;

pub use atomic::{AtomicFile, FolderLock};
pub use best::{Best, Blended};
pub use error::{Error, Result};
pub use folder::{AtomicFolder, remove_folder};
pub use golden::{Golden, GoldenPair};
pub use hint::{Hint, one_line};
pub use ids::{DocumentId, PassageId, QueryId};
pub use input::{Input, Stamp, digests};
pub use io::{
    digest_of_texts, f32_bytes, open_file, read_bytes, read_json, read_text, read_whole,
    sample_by_id, seeded_key, sha256_bytes, sha256_file, write_json,
};
pub use jsonl::{JsonlReader, read_jsonl, select_jsonl, write_jsonl};
pub use language::Language;
pub use layout::{DataSet, EvalDir, ModelDir, QuickstartDir, RunDir, manifest_name};
pub use lines::without_mark;
pub use origin::{Origin, Shrunk};
pub use progress::{Progress, Silent};
pub use qrels::Qrels;
pub use records::{
    BUILT_IN, GivenSplit, Negative, Pair, Passage, PassageMetadata, Place, Provenance, Query,
    QueryMetadata, QueryQuality,
};
pub use run::{Hit, Run};
pub use stage::{Cost, Manifest, Outcome, Stage, forget};
pub use trec::{QrelsLine, QrelsParser, RunLine, RunParser};
