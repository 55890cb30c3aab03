//! Why a stage on a model folder failed, and what to do about it.

use std::path::PathBuf;
use whetstone_records::{DataSet, Hint, ModelDir, PassageId, QueryId};

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a stage on a model folder failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Records(#[from] whetstone_records::Error),
    #[error(transparent)]
    Model(#[from] whetstone_model::Error),
    #[error(transparent)]
    Eval(#[from] whetstone_eval::Error),
    #[error(transparent)]
    Llm(#[from] whetstone_llm::Error),
    #[error("{count} {what} are not in `{}`, the first is `{first}`", path.display())]
    Missing { what: &'static str, path: PathBuf, count: usize, first: String },
    #[error("the candidates do not belong to {what}")]
    Foreign {
        what: &'static str,
        #[source]
        source: Box<Error>,
    },
    #[error("`{}` is to be read and to be written over", path.display())]
    WritesOver { path: PathBuf },
    #[error("`{}` has no pairs", path.display())]
    NoDevPairs { path: PathBuf },
    #[error("`{}` line {line}: the pair has no score of the first stage", path.display())]
    NoFirstStage { path: PathBuf, line: usize },
    #[error("`{}` ranks no candidate of `{}`", run.display(), dev.display())]
    NoneRanked { run: PathBuf, dev: PathBuf },
    #[error("the join needs the scores of the first stage `{name}`, and there is no run of it")]
    NoRunOf { name: String },
    #[error("`{}` and `{}` are both named `{name}`", one.display(), other.display())]
    SameName { name: String, one: PathBuf, other: PathBuf },
    #[error("`{}` has not been calibrated", model.display())]
    NotCalibrated { model: PathBuf },
    #[error("`{}` was made for other weights", ModelDir::new(model).notes().display())]
    OtherWeights { model: PathBuf },
    #[error("`{}` is of an earlier version", ModelDir::new(model).notes().display())]
    OldNotes { model: PathBuf },
    #[error(
        "`{}` holds no calibration: dev had too little for one",
        ModelDir::new(model).notes().display()
    )]
    NoScaling { model: PathBuf },
    #[error(
        "no query of `{}` has a relevant passage in {}",
        queries.display(),
        DataSet::TEST_QRELS
    )]
    NothingRelevant { queries: PathBuf },
    #[error("`{}` and `{}` have no query in common", before.display(), after.display())]
    NoQueryInCommon { before: PathBuf, after: PathBuf },
    #[error("`{}` holds no runs", folder.display())]
    NoRuns { folder: PathBuf },
    #[error("`{}` line {line}: `{query}` with `{passage}` is judged twice", path.display())]
    JudgedTwice { path: PathBuf, line: usize, query: QueryId, passage: PassageId },
    #[error("`{}` is open in another labeller", path.display())]
    JudgementsInUse { path: PathBuf },
    #[error("cannot reach `{url}`")]
    Unreachable {
        url: String,
        #[source]
        source: Box<ureq::Error>,
    },
    #[error("`{url}` answered with status {status}: {message}")]
    ServerAnswer { url: String, status: u16, message: String },
    #[cfg(feature = "onnxruntime")]
    #[error("`{}` has no ONNX file", model.display())]
    NoOnnx { model: PathBuf },
    #[cfg(feature = "onnxruntime")]
    #[error("`{}` cannot be used as ONNX Runtime: {message}", path.display())]
    OnnxLibrary { path: PathBuf, message: String },
    #[cfg(feature = "onnxruntime")]
    #[error("ONNX Runtime refuses `{}`: {message}", path.display())]
    Onnx { path: PathBuf, message: String },
    #[cfg(feature = "onnxruntime")]
    #[error("ONNX Runtime failed: {message}")]
    OnnxRun { message: String },
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Error::Records(error) => return error.hint(),
            Error::Model(error) => return error.hint(),
            Error::Eval(error) => return error.hint(),
            Error::Llm(error) => return error.hint(),
            Error::Foreign { source, .. } => return source.hint(),
            Error::Missing { .. } => {
                "corpus, queries and candidates must be of one data set".into()
            }
            Error::WritesOver { .. } => "give --out another name".into(),
            Error::NoDevPairs { .. } => {
                "the data set needs dev queries: raise `dev-fraction` in [split]".into()
            }
            Error::NoFirstStage { .. } => {
                "name the first stage's run over the dev candidates with --first-stage".into()
            }
            Error::NoneRanked { .. } => "the run must be over the dev queries".into(),
            Error::NoRunOf { name } => {
                format!(
                    "name it with --first-stage {name}=RUN, or calibrate with the runs you have"
                )
            }
            Error::SameName { .. } => "give one of them another name: NAME=RUN".into(),
            Error::NotCalibrated { model }
            | Error::OtherWeights { model }
            | Error::OldNotes { model } => {
                format!("run `whetstone calibrate --model {} --data DIR` first", model.display())
            }
            Error::NoScaling { .. } => "calibrate on a data set with more dev queries".into(),
            Error::NothingRelevant { .. } => {
                "a general set is a BEIR folder: corpus.jsonl, queries.jsonl, qrels/test.tsv".into()
            }
            Error::NoQueryInCommon { .. } => "both must rank the queries of one data set".into(),
            Error::NoRuns { .. } => "name the runs to judge with --run NAME=RUN".into(),
            Error::JudgedTwice { .. } => "delete one of the two lines".into(),
            Error::JudgementsInUse { .. } => "close it, or name another file with --out".into(),
            Error::Unreachable { .. } => {
                "start the server, and give its address with the scheme: http://127.0.0.1:8080"
                    .into()
            }
            Error::ServerAnswer { status: 401 | 403, .. } => {
                "name the environment variable with the server's key with --api-key-env".into()
            }
            Error::ServerAnswer { .. } => {
                "the server must rerank as text-embeddings-inference does: POST /rerank".into()
            }
            #[cfg(feature = "onnxruntime")]
            Error::NoOnnx { .. } => "export the model with `--format onnx`".into(),
            #[cfg(feature = "onnxruntime")]
            Error::OnnxLibrary { .. } => {
                "name libonnxruntime.so, .dylib or .dll, version 1.17 or later".into()
            }
            #[cfg(feature = "onnxruntime")]
            Error::Onnx { .. } | Error::OnnxRun { .. } => {
                "the file is damaged, or the library is too old: export again, or take a newer one"
                    .into()
            }
        })
    }

    fn is_failed_check(&self) -> bool {
        match self {
            Error::Records(error) => error.is_failed_check(),
            Error::Model(error) => error.is_failed_check(),
            Error::Eval(error) => error.is_failed_check(),
            Error::Llm(error) => error.is_failed_check(),
            _ => false,
        }
    }
}
