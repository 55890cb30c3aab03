//! What can go wrong, and what to do about it.

use crate::engine::DeviceName;
use crate::families;
use std::path::PathBuf;
use whetstone_records::Hint;

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
    #[error("`{}` does not fit the network: missing [{}], unused [{}]", path.display(), missing.join(", "), unused.join(", "))]
    Names { path: PathBuf, missing: Vec<String>, unused: Vec<String> },
    #[error("`{}`: tensor `{name}` has shape {found:?}, the config asks for {expected:?}", path.display())]
    Shape { path: PathBuf, name: String, expected: Vec<usize>, found: Vec<usize> },
    #[error("`{}`: the head gives {labels} labels, and one is needed", path.display())]
    Labels { path: PathBuf, labels: usize },
    #[error("`{}`: tensor `{name}` is {dtype}, which is not supported", path.display())]
    Dtype { path: PathBuf, name: String, dtype: String },
    #[error("`{}` cannot be used as a tokenizer", path.display())]
    Tokenizer {
        path: PathBuf,
        #[source]
        source: tokenizers::Error,
    },
    #[error("`{}` has no token `{token}`", path.display())]
    SpecialToken { path: PathBuf, token: &'static str },
    #[error("`{}` has {tokens} tokens, the model {embeddings} embeddings", path.display())]
    Vocabulary { path: PathBuf, tokens: usize, embeddings: usize },
    #[error("a text could not be tokenized")]
    Tokenize(#[source] tokenizers::Error),
    #[error("the model's {what} is no number")]
    NoNumber { what: &'static str },
    #[error("`max-seq-tokens` must be in 8..={longest}, the model's positions, got {value}")]
    MaxSeqTokens { value: usize, longest: usize },
    #[error("`{}` has no relevance head", path.display())]
    NoHead { path: PathBuf },
    #[error("unknown device `{value}`")]
    UnknownDevice { value: String },
    #[error("this build has no support for device `{device}`")]
    DeviceNotBuilt { device: &'static str },
    #[error("device `{device}` cannot be used: {reason}")]
    NoSuchDevice { device: String, reason: String },
    #[error("{count} devices `{device}` were asked for")]
    DeviceCount { device: DeviceName, count: usize },
    #[error("the device failed: {message}")]
    Device { message: String },
    #[error(transparent)]
    Records(#[from] whetstone_records::Error),
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
            Error::Labels { .. } => {
                "a reranker has one score: choose a model with `\"num_labels\": 1`, or train one from an encoder \
                 without a head"
                    .into()
            }
            Error::Vocabulary { .. } => {
                "tokens were added to the tokenizer alone: take the tokenizer.json that belongs to these weights".into()
            }
            Error::NoNumber { .. } => {
                "the weights are broken, or training overflowed: take another step, or pull the model again".into()
            }
            Error::NoHead { .. } => "train one first with `whetstone train`, or name a cross-encoder such as \
                 cross-encoder/ms-marco-MiniLM-L6-v2"
                .into(),
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
            Error::DeviceCount { .. } => "`--devices` is a number of GPUs, for `--device cuda` or `wgpu`".into(),
            Error::Records(error) => return error.hint(),
            _ => return None,
        })
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
