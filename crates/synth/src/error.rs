use std::path::PathBuf;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong while a data set is made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Records(#[from] whetstone_records::Error),

    // The source is part of the message, for toml's own line and caret; it is not repeated as #[source].
    #[error("config `{}` is not understood\n{source}", path.display())]
    ConfigSyntax { path: PathBuf, source: Box<toml::de::Error> },
    #[error("`{key}` must be {expected}, got {value}")]
    ConfigValue { key: &'static str, expected: &'static str, value: String },

    #[error("cannot {action} `{}`", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

impl Error {
    /// What the user can do about it, where there is something to say beyond the message.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Records(error) => error.hint(),
            Error::ConfigSyntax { .. } => Some("configs/synth.toml lists every key with its default".into()),
            Error::ConfigValue { .. } => Some("configs/synth.toml says for every key what it does".into()),
            Error::Io { .. } => None,
        }
    }

    pub(crate) fn io(action: &'static str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_path_buf();
        move |source| Error::Io { action, path, source }
    }
}
