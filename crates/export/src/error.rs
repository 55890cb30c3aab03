//! Why an export fails, and what to do about it.

use std::path::PathBuf;
use whetstone_records::Hint;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a checkpoint could not be exported.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("`{}` is neither a training run with a best step nor a step folder", path.display())]
    NoCheckpoint { path: PathBuf },
    #[error(
        "the best step of `{}` is its start, whose relevance head is random: nothing was learned",
        run.display()
    )]
    Untrained { run: PathBuf, start: PathBuf },
    #[error("`{}` is not the JSON that was expected", path.display())]
    Json {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    #[error("`{}` is not the TOML that was expected", path.display())]
    Toml {
        path: PathBuf,
        #[source]
        source: toml::de::Error,
    },
    #[error("`{}` is not a whole safetensors file", path.display())]
    Safetensors {
        path: PathBuf,
        #[source]
        source: safetensors::SafeTensorError,
    },
    #[error("`{}` cannot be used as a tokenizer", path.display())]
    Tokenizer {
        path: PathBuf,
        #[source]
        source: tokenizers::Error,
    },
    #[error("`{}` has no texts", path.display())]
    NoTexts { path: PathBuf },
    #[error("`{}` is the model to be made smaller", path.display())]
    ShrinksItself { path: PathBuf },
    #[error(
        "`{}` describes a network with {part} of a kind that cannot be written as ONNX",
        path.display()
    )]
    OnnxKind { path: PathBuf, part: &'static str },
    #[error("`{}` would have {bytes} bytes, and an ONNX file has less than 2 GiB", path.display())]
    OnnxSize { path: PathBuf, bytes: usize },
    #[error("`{}` has no pairs", path.display())]
    NoPairs { path: PathBuf },
    #[error("`{}` has {layers} layers, and {wanted} cannot be kept", path.display())]
    Layers { path: PathBuf, layers: usize, wanted: usize },
    #[error("`{}` is a vocabulary of the kind `{kind}`, which cannot lose tokens", path.display())]
    VocabularyKind { path: PathBuf, kind: String },
    #[error("`{}`: the token `{token}` cannot get another number", path.display())]
    Renumber { path: PathBuf, token: String },
    #[error("`{}`: with fewer tokens, a text is split in another way: `{text}…`", path.display())]
    SplitOtherwise { path: PathBuf, text: String },
    #[error(transparent)]
    Model(#[from] whetstone_model::Error),
    #[error(transparent)]
    Records(#[from] whetstone_records::Error),
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Error::NoTexts { .. } => Some("name a corpus.jsonl or a queries.jsonl with --vocabulary".into()),
            Error::ShrinksItself { .. } => Some("give --out another name".into()),
            Error::NoCheckpoint { .. } => Some(
                "name the --out folder of `whetstone train`, or a step-000500 folder in it".into(),
            ),
            Error::Untrained { start, .. } => Some(format!(
                "train longer or at another learning rate; to export the start all the same, name \
                 `--checkpoint {}`",
                start.display()
            )),
            Error::Json { .. }
            | Error::Toml { .. }
            | Error::Safetensors { .. }
            | Error::Tokenizer { .. } => {
                Some("the checkpoint is damaged; choose another step, or train again".into())
            }
            Error::OnnxKind { .. } => Some(
                "leave --format out: the folder has safetensors, which Hugging Face's tools load"
                    .into(),
            ),
            Error::OnnxSize { .. } => {
                Some("export it with `--format onnx-f16` or `--format onnx-int8` alone".into())
            }
            Error::NoPairs { .. } => {
                Some("name another data set with --data, or none: there are built-in pairs".into())
            }
            Error::Layers { layers, .. } => Some(format!("`--layers` is a number from 1 to {layers}")),
            Error::VocabularyKind { .. } => Some(
                "leave --vocabulary out: only WordPiece and Unigram vocabularies can be pruned, as \
                 the tokens of others are made from each other"
                    .into(),
            ),
            Error::Renumber { .. } | Error::SplitOtherwise { .. } => {
                Some("leave --vocabulary out: this tokenizer needs all of its tokens".into())
            }
            Error::Model(error) => error.hint(),
            Error::Records(error) => error.hint(),
        }
    }
}
