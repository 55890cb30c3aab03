//! What can go wrong, and what to do about it.

use crate::engine::DeviceName;
use crate::families;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use whetstone_kernels::Precision;
use whetstone_records::{Hint, ModelDir};

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a model could not be loaded, saved or run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot {action} `{}`", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("`{}` is not the JSON that was expected", path.display())]
    Json {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    #[error("`{}`: `{key}` must be {expected}, got `{value}`", path.display())]
    Unsupported { path: PathBuf, key: &'static str, expected: &'static str, value: String },
    #[error("`{}`: `model_type` must be one of {}, got `{model_type}`", path.display(), families::known())]
    Family { path: PathBuf, model_type: String },
    #[error("`{}` is not a whole safetensors file", path.display())]
    Safetensors {
        path: PathBuf,
        #[source]
        source: safetensors::SafeTensorError,
    },
    #[error("`{}` does not fit the network: missing [{}], unused [{}]", path.display(), few(missing), few(unused))]
    Names { path: PathBuf, missing: Vec<String>, unused: Vec<String> },
    #[error("`{}`: tensor `{name}` has shape {found:?}, the config asks for {expected:?}", path.display())]
    Shape { path: PathBuf, name: String, expected: Vec<usize>, found: Vec<usize> },
    #[error("`{}`: the head gives {} labels ({}), and one is needed", path.display(), labels.len(), few(labels))]
    Labels { path: PathBuf, labels: Vec<String> },
    #[error("`{}` has no label `{label}` in `id2label`", path.display())]
    NoLabel { path: PathBuf, label: String, labels: Vec<String> },
    #[error("`{}` cannot be read: weights must be safetensors", path.display())]
    OtherWeights { path: PathBuf },
    #[error("`{}` is a SentencePiece model, and there is no tokenizer.json", path.display())]
    SentencePiece { path: PathBuf },
    #[error("`{}`: tensor `{name}` is {dtype}, which is not supported", path.display())]
    Dtype { path: PathBuf, name: String, dtype: String },
    #[error("`{}` cannot be used as a tokenizer", path.display())]
    Tokenizer {
        path: PathBuf,
        #[source]
        source: tokenizers::Error,
    },
    #[error("`{}` has no token `{token}`, which models of `{family}` need", path.display())]
    SpecialToken { path: PathBuf, token: String, family: &'static str },
    #[error("`{}` has {tokens} tokens, the model {embeddings} embeddings", path.display())]
    Vocabulary { path: PathBuf, tokens: usize, embeddings: usize },
    #[error("a text could not be tokenized")]
    Tokenize(#[source] tokenizers::Error),
    #[error("the model's {what} is no number")]
    NoNumber { what: &'static str },
    #[error(
        "the model in `{}` reads 8 to {longest} tokens, `max-seq-tokens` is {value}",
        path.display()
    )]
    MaxSeqTokens { path: PathBuf, value: usize, longest: usize },
    #[error("`{}` has no relevance head", path.display())]
    NoHead { path: PathBuf },
    #[error("`{}` is no model of late interaction", path.display())]
    NotLate { path: PathBuf },
    #[error("unknown device `{value}`")]
    UnknownDevice { value: String },
    #[error("this build has no support for device `{device}`")]
    DeviceNotBuilt { device: &'static str },
    #[error("device `{device}` cannot be used: {reason}")]
    NoSuchDevice { device: String, reason: String },
    #[error("device `{device}` cannot compute in `{precision}`")]
    NoPrecision { device: DeviceName, precision: Precision },
    #[error("{count} devices `{device}` were asked for")]
    DeviceCount { device: DeviceName, count: usize },
    #[error("the device failed: {message}")]
    Device { message: String },
    #[error(transparent)]
    Records(#[from] whetstone_records::Error),
}

/// Refuses a key of a model's file whose value no code here computes.
pub(crate) fn refuse<T>(
    path: &Path,
    key: &'static str,
    expected: &'static str,
    value: impl Display,
) -> Result<T> {
    Err(Error::Unsupported { path: path.into(), key, expected, value: value.to_string() })
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Error::Io { path, .. } => format!(
                "a model folder holds config.json, model.safetensors and tokenizer.json; \
                 `whetstone pull minilm-l6 --out {}` makes one",
                path.parent().unwrap_or(path).display()
            ),
            Error::Safetensors { .. } => {
                "the file is damaged or half downloaded; delete it and pull the model again".into()
            }
            Error::Names { .. } => format!(
                "weights are loaded all or not at all, and only models of {} are supported",
                families::known()
            ),
            Error::Labels { labels, .. } => format!(
                "name the one that is the score, with `--head-label \"{}\"` of rerank or with `head-label` \
                 in a training config",
                labels.first().map_or("0", String::as_str)
            ),
            Error::NoLabel { labels, .. } => format!(
                "`head-label` is one of {}, its number from 0, or the difference of two, `{}`",
                few(labels),
                labels.iter().take(2).map(String::as_str).collect::<Vec<_>>().join(" - ")
            ),
            Error::OtherWeights { path } | Error::SentencePiece { path } => {
                ModelDir::conversion(path)
            }
            Error::Family { .. } => {
                "docs/models.md lists which models each of these families has".into()
            }
            Error::Unsupported { .. } => {
                "choose another model: no code here computes what this config asks for".into()
            }
            Error::Shape { .. } => {
                "config and weights are of two models: take both from the same place".into()
            }
            Error::SpecialToken { .. } => {
                "the tokenizer is of another family than the weights: take both from the same place"
                    .into()
            }
            Error::Vocabulary { .. } => {
                "tokens were added to the tokenizer alone: take the tokenizer.json that belongs to these weights".into()
            }
            Error::NoNumber { .. } => {
                "the weights are broken, or training overflowed: take another step, or pull the model again; \
                 with `--precision f16`, numbers overflow that bf16 and f32 hold"
                    .into()
            }
            Error::NoHead { .. } => "train one first with `whetstone train`, or name a cross-encoder such as \
                 cross-encoder/ms-marco-MiniLM-L6-v2"
                .into(),
            Error::NotLate { .. } => "name one that colbert-ai or PyLate wrote, such as colbert-ir/colbertv2.0".into(),
            Error::UnknownDevice { .. } => "use one of cpu, ndarray, cuda, wgpu".into(),
            Error::DeviceNotBuilt { device } => {
                format!("build with `cargo build --release --features {device}`, or use `--device cpu`")
            }
            Error::NoSuchDevice { reason, .. } if reason.contains("libdevice") => {
                "install CUDA's libdevice (it comes with nvcc) and name its folder in `CUDA_PATH`, or use \
                 `--device cpu`"
                    .into()
            }
            Error::NoSuchDevice { .. } => {
                "check the GPU's driver, or use `--device cpu`; `whetstone devices` lists what there is".into()
            }
            Error::NoPrecision { .. } => {
                "leave `--precision` out for f32, which every device has; `whetstone devices` lists which have \
                 bf16 and f16"
                    .into()
            }
            Error::DeviceCount { .. } => "`--devices` is a number of GPUs, for `--device cuda` or `wgpu`".into(),
            Error::Records(error) => return error.hint(),
            _ => return None,
        })
    }
}

/// The first of many names, and how many there are besides.
fn few(names: &[String]) -> String {
    const SHOWN: usize = 8;
    match names.len().checked_sub(SHOWN) {
        None | Some(0) => names.join(", "),
        Some(more) => format!("{} and {more} more", names[..SHOWN].join(", ")),
    }
}

impl Error {
    pub(crate) fn io(
        action: &'static str,
        path: &std::path::Path,
    ) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_path_buf();
        move |source| Error::Io { action, path, source }
    }
}
