//! What can go wrong with an evaluation.

use crate::measure::Measure;
use std::path::PathBuf;
use whetstone_records::Hint;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong with an evaluation.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Records(#[from] whetstone_records::Error),
    #[error("`{measure}` is not a measure")]
    UnknownMeasure { measure: String },
    #[error("two runs are named `{name}`")]
    DuplicateRun { name: String },
    #[error("`{}` has no query with a relevant passage", path.display())]
    NothingRelevant { path: PathBuf },
    #[error("run `{name}` (`{}`) has none of the {queries} queries of `{}`", path.display(), qrels.display())]
    NoQueryInCommon { name: String, path: PathBuf, qrels: PathBuf, queries: usize },
    #[error("runs `{baseline}` and `{system}` were measured over different queries")]
    DifferentQueries { baseline: String, system: String },
    #[error("run `{name}` was not measured by {measure}")]
    NotMeasured { name: String, measure: Measure },
    #[error("there is no run `{name}`")]
    UnknownRun { name: String, runs: Vec<String> },
    #[error("`{name}` is the baseline and cannot be the system as well")]
    SystemIsBaseline { name: String },
    #[error("`{}` and `{}` have no {what} in common", a.display(), b.display())]
    NothingInCommon { what: &'static str, a: PathBuf, b: PathBuf },
    #[error("`{key}` must be {expected}, got {value}")]
    Config { key: &'static str, expected: &'static str, value: f64 },
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Error::Records(error) => error.hint(),
            Error::UnknownMeasure { .. } => Some(
                "write ndcg@10, ndcg-exp@10 (gain 2^grade - 1), mrr@10, p@1, recall@10, hit@10, judged@10 or map"
                    .into(),
            ),
            Error::DuplicateRun { .. } => Some("give each --run a name of its own".into()),
            Error::NothingRelevant { .. } => Some("a passage is relevant where its grade is 1 or more".into()),
            Error::NoQueryInCommon { .. } => Some("check that qrels and run belong to the same queries".into()),
            Error::DifferentQueries { .. } => Some("measure both with the same qrels".into()),
            Error::NotMeasured { measure, .. } => Some(format!("add {measure} to the measures")),
            Error::UnknownRun { runs, .. } => Some(format!("the runs are {}", quoted(runs))),
            Error::SystemIsBaseline { .. } => Some("name two different runs".into()),
            Error::NothingInCommon { .. } => Some("compare evaluations of the same queries and runs".into()),
            Error::Config { .. } => None,
        }
    }
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
