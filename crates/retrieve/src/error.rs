//! What can go wrong in a search for passages.

use std::path::PathBuf;
use whetstone_records::Hint;

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Records(#[from] whetstone_records::Error),
    #[error(transparent)]
    Model(#[from] whetstone_model::Error),

    #[error("`{key}` of the retriever `{retriever}` must be {expected}, got {value}")]
    Setting { retriever: String, key: &'static str, expected: &'static str, value: String },
    #[error("the retriever `{retriever}` needs a model")]
    NoModel { retriever: &'static str },
    #[error("the model gave an embedding that is not finite")]
    EmbeddingNotFinite,

    #[error("the run `{}` of the retriever `{retriever}` is not there", path.display())]
    RunMissing { retriever: String, path: PathBuf },
    #[error("`{}` line {line}: passage `{passage}` is not in the corpus", path.display())]
    UnknownPassage { path: PathBuf, line: usize, passage: String },
    #[error(
        "`{}` ranks none of the {queries} queries of the data set; its first is `{first}`",
        path.display()
    )]
    NoKnownQuery { path: PathBuf, queries: usize, first: String },
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Error::Records(error) => error.hint(),
            Error::Model(error) => error.hint(),
            Error::Setting { .. } => Some("correct the value in the config".into()),
            Error::NoModel { .. } => Some("name one as `model` in the config".into()),
            Error::EmbeddingNotFinite => {
                Some("check the weights of the model; nothing was kept".into())
            }
            Error::RunMissing { .. } | Error::NoKnownQuery { .. } => Some(
                "after `whetstone ask`, run your search over queries.jsonl of the data set and \
                 write its TREC run there; then run `whetstone mine`"
                    .into(),
            ),
            Error::UnknownPassage { .. } => Some(
                "let your search rank the passages of the data set's corpus.jsonl, by their `_id`; \
                 a run over other passages does not fit"
                    .into(),
            ),
        }
    }
}

/// `Ok` where the condition holds, else the error that names retriever, key and value.
pub(crate) fn must(
    holds: bool,
    (retriever, key): (&str, &'static str),
    expected: &'static str,
    value: impl ToString,
) -> Result<()> {
    if holds {
        return Ok(());
    }
    let (retriever, value) = (retriever.to_owned(), value.to_string());
    Err(Error::Setting { retriever, key, expected, value })
}
