//! What can go wrong with reading and writing records.

use crate::hint::Hint;
use std::path::{Path, PathBuf};

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong with reading and writing records.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot {action} `{}`", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("`{}` line {line} is not the JSON that was expected", path.display())]
    Json {
        path: PathBuf,
        line: usize,
        #[source]
        source: serde_json::Error,
    },
    /// The same of a file that has an object a line.
    #[error("`{}` line {line} is not the JSON that was expected", path.display())]
    JsonLine {
        path: PathBuf,
        line: usize,
        #[source]
        source: serde_json::Error,
    },
    #[error("`{}` line {line}: expected {expected}, got `{value}`", path.display())]
    Line { path: PathBuf, line: usize, expected: &'static str, value: String },
    #[error("`{}` line {line}: id `{id}` occurs twice", path.display())]
    DuplicateId { path: PathBuf, line: usize, id: String },
    #[error("`{}` has no records", path.display())]
    Empty { path: PathBuf },
    #[error("`{}` is not valid UTF-8", path.display())]
    NotUtf8 { path: PathBuf },
    #[error("`{}` line {line} has more than {limit} bytes", path.display())]
    LongLine { path: PathBuf, line: usize, limit: usize },
    #[error("`{}` has more than {limit} bytes", path.display())]
    LargeFile { path: PathBuf, limit: u64 },
    #[error("`{}` is {what}, not a file", path.display())]
    NoFile { path: PathBuf, what: &'static str },
    #[error("`{}` cannot hold {what}: expected {expected}", path.display())]
    Unwritable { path: PathBuf, what: String, expected: &'static str },
    #[error("`{}` names the part `{name}`, which is no safetensors file beside it", path.display())]
    Part { path: PathBuf, name: String },
    #[error("`{}` was changed while it was read", path.display())]
    Changed { path: PathBuf },
    #[error("another run of whetstone is writing to `{}`", path.display())]
    Busy { path: PathBuf },
    #[error("`{}` exists and was not made by `whetstone {stage}`", path.display())]
    Occupied { path: PathBuf, stage: String },
    #[error("`{}` is missing or has no pairs", path.display())]
    NoGolden { path: PathBuf },
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        let hint = match self {
            Error::Io { source, .. } => return source.hint(),
            Error::Json { .. } => "write or get that file again; docs/json.md has the fields",
            Error::JsonLine { .. } => {
                "every line must be one JSON object; see docs/json.md for the fields"
            }
            Error::Line { .. } => "correct or delete that line",
            Error::DuplicateId { .. } => "ids must be unique; delete one of the two",
            Error::Empty { .. } | Error::LargeFile { .. } => {
                "check that this is the file you meant"
            }
            Error::LongLine { .. } => {
                "check that this is the file you meant: it must have one record a line"
            }
            Error::NotUtf8 { .. } => "convert the file to UTF-8",
            Error::NoFile { what: "a folder", .. } => "name a file in it",
            Error::NoFile { .. } => "save what it holds to a file, and name that file",
            Error::Part { .. } => "get that file again from where the model comes from",
            Error::Unwritable { .. } => "correct it at its source",
            Error::Changed { .. } => "run the same command again once the file is complete",
            Error::Busy { .. } => {
                "wait for the other run to end, or stop it; what is complete is kept"
            }
            Error::NoGolden { .. } => {
                "`whetstone export` writes it: export the model again with this version"
            }
            Error::Occupied { .. } => "name another folder with --out, or move that one away",
        };
        Some(hint.into())
    }
}

impl Error {
    /// Returns a function that wraps an I/O error in one that names the action and the path. Other
    /// crates wrap this error instead of having such a variant of their own.
    ///
    /// ```
    /// # use std::path::Path;
    /// # use whetstone_records::Error;
    /// let path = Path::new("nowhere/corpus.jsonl");
    /// let error = std::fs::read(path).map_err(Error::io("read", path)).unwrap_err();
    /// assert_eq!(error.to_string(), "cannot read `nowhere/corpus.jsonl`");
    /// ```
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_path_buf();
        move |source| Error::Io { action, path, source }
    }
}
