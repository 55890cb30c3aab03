//! Why a training run could not start or continue.

use crate::dev::Mute;
use crate::watch::Sign;
use std::path::PathBuf;
use whetstone_records::{Hint, RunDir};

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a training run could not start or continue.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("`{}` is not a training config", path.display())]
    Config {
        path: PathBuf,
        #[source]
        source: Box<toml::de::Error>,
    },
    #[error("`{key}` must be {expected}, got {value}")]
    Value { key: &'static str, expected: String, value: String },
    #[error("`{}` line {line}: label must be in 0..=1, got {label}", path.display())]
    Label { path: PathBuf, line: usize, label: f32 },
    #[error("`{}` has no {what}", path.display())]
    NoPairs { path: PathBuf, what: &'static str },
    #[error("`{}` line {line}: `loss` needs a `teacher` score, and this pair has none", path.display())]
    NoTeacher { path: PathBuf, line: usize },
    #[error("query `{query}` has {pairs} pairs, more than the {batch} of `batch-pairs`")]
    GroupTooLarge { query: String, pairs: usize, batch: usize },
    #[error("`{}` cannot tell models apart: {why}", path.display())]
    MuteDev { path: PathBuf, why: Mute },
    #[error("`max-seq-tokens` is {config} here and {data} in `{}`", path.display())]
    MaxSeqTokens { config: usize, data: usize, path: PathBuf },
    #[error("`{}` holds a run with another {what}", path.display())]
    OtherRun { path: PathBuf, what: String },
    #[error("the loss became {loss} at step {step}, or its gradient was no number")]
    Diverged { step: usize, loss: f32 },
    #[error("step {step}: the model's scores of the dev passages are no numbers")]
    DevScores { step: usize },
    #[error("`{}` is where its run ended, and has no optimizer to go on with", path.display())]
    NoOptimizer { path: PathBuf },
    #[error("step {step}: {sign}")]
    Collapse { step: usize, sign: Sign },
    #[error("`{}` is damaged: {what}", path.display())]
    Checkpoint { path: PathBuf, what: String },
    #[error(transparent)]
    Model(#[from] whetstone_model::Error),
    #[error(transparent)]
    Records(#[from] whetstone_records::Error),
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Error::Config { .. } => {
                "configs/reference.toml lists every key with its default and range".into()
            }
            Error::Label { .. } => "grades must be scaled to 0..=1 (grade / highest grade)".into(),
            Error::NoPairs { .. } => {
                "every query needs a positive and a negative; see the counts of `whetstone pair`"
                    .into()
            }
            Error::NoTeacher { .. } => {
                "add `teacher` (a raw score) to every pair, or choose a loss on labels such as bce"
                    .into()
            }
            Error::GroupTooLarge { .. } => {
                "raise `batch-pairs`, or mine fewer negatives per query".into()
            }
            Error::MuteDev { .. } => {
                "leave `general-dev` out, or give every query relevant and other passages".into()
            }
            Error::MaxSeqTokens { .. } => {
                "delete it from the training config; the data set's own limit applies".into()
            }
            Error::DevScores { .. } => {
                "the weights are broken or overflow: check the base model or lower `learning-rate`"
                    .into()
            }
            Error::NoOptimizer { .. } => {
                "restore the `patience` that it had, or start over with --force".into()
            }
            Error::OtherRun { .. } => {
                "give this run another --out, or start it over with --force".into()
            }
            Error::Diverged { .. } => {
                "lower `learning-rate`; the last checkpoint before this step is kept".into()
            }
            Error::Collapse { .. } => "`strict = false` makes this a warning".into(),
            Error::Checkpoint { path, .. } if path.ends_with(RunDir::BEST) => {
                "run the same `whetstone train` again, which writes it anew".into()
            }
            // Only the newest step has an optimizer to go on with.
            Error::Checkpoint { .. } => {
                "start the run over with --force, or give it another --out".into()
            }
            Error::Model(error) => return error.hint(),
            Error::Records(error) => return error.hint(),
            _ => return None,
        })
    }
}
