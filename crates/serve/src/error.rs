//! Why the server does not start or does not take a model, and what to do about it.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use whetstone_records::Hint;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the server does not start, or does not take a model.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Records(#[from] whetstone_records::Error),
    #[error(transparent)]
    Model(#[from] whetstone_model::Error),
    #[error(transparent)]
    Rank(#[from] whetstone_rank::Error),
    #[error("cannot listen on `{address}`")]
    Listen {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error("`{host}` can be reached from other machines, and there are no API keys")]
    Anonymous { host: IpAddr },
    #[error("`{}` holds no API key", path.display())]
    NoKeys { path: PathBuf },
    #[error("`{}` line {line}: an API key is visible ASCII without spaces", path.display())]
    Key { path: PathBuf, line: usize },
    #[error(
        "`{}`: pair {pair} scores {found}, and {expected} is expected", path.display()
    )]
    Golden { path: PathBuf, pair: usize, found: f32, expected: f32 },
    #[error("cannot start the server's {what}")]
    Start {
        what: &'static str,
        #[source]
        source: std::io::Error,
    },
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Error::Records(error) => return error.hint(),
            Error::Model(error) => return error.hint(),
            Error::Rank(error) => return error.hint(),
            Error::Listen { source, .. } => match source.kind() {
                std::io::ErrorKind::AddrInUse => "name another port with --port".into(),
                std::io::ErrorKind::PermissionDenied => "ports below 1024 need rights".into(),
                _ => "name an address of this machine with --host".into(),
            },
            Error::Anonymous { .. } => {
                "name a file of keys with --api-keys, or let everybody in with --allow-anonymous"
                    .into()
            }
            Error::NoKeys { .. } | Error::Key { .. } => {
                "write one key a line; blank lines and lines that begin with # are skipped".into()
            }
            Error::Golden { .. } => {
                "the folder mixes files of two models, or this engine is wrong: export the model \
                 again"
                    .into()
            }
            Error::Start { .. } => return None,
        })
    }
}
