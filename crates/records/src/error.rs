use crate::hint::Hint;
use std::path::PathBuf;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can be wrong with a file of records.
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
    #[error("`{}` line {line}: expected {expected}, got `{value}`", path.display())]
    Line { path: PathBuf, line: usize, expected: &'static str, value: String },
    #[error("`{}` line {line}: id `{id}` occurs twice", path.display())]
    DuplicateId { path: PathBuf, line: usize, id: String },
    #[error("`{}` has no records", path.display())]
    Empty { path: PathBuf },
    #[error("`{}` is not valid UTF-8", path.display())]
    NotUtf8 { path: PathBuf },
    #[error("`{}` exists and was not made by `whetstone {stage}`", path.display())]
    Occupied { path: PathBuf, stage: String },
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Error::Io { source, .. } => match source.kind() {
                std::io::ErrorKind::NotFound => Some("check the path; nothing was written".into()),
                std::io::ErrorKind::StorageFull => Some(
                    "free some disk space and run the same command again; what is complete is kept"
                        .into(),
                ),
                std::io::ErrorKind::PermissionDenied => {
                    Some("check the permissions of that path".into())
                }
                _ => None,
            },
            Error::Json { .. } => {
                Some("every line must be one JSON object; see the README for the fields".into())
            }
            Error::Line { .. } => Some("correct or delete that line".into()),
            Error::DuplicateId { .. } => Some("ids must be unique; delete one of the two".into()),
            Error::Empty { .. } => Some("check that this is the file you meant".into()),
            Error::NotUtf8 { .. } => Some("convert the file to UTF-8".into()),
            Error::Occupied { .. } => {
                Some("name another folder with --out, or move that one away".into())
            }
        }
    }
}

impl Error {
    /// Wraps what the system said about a path: `.map_err(Error::io("read", path))`.
    pub fn io(
        action: &'static str,
        path: &std::path::Path,
    ) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_path_buf();
        move |source| Error::Io { action, path, source }
    }
}
