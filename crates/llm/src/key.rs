//! The key to the endpoint, from a file or the environment. No output contains it.

use crate::config::LlmConfig;
use crate::error::{Error, Result};

/// A key that no output shows.
#[derive(Clone)]
pub struct ApiKey(Option<String>);

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(if self.0.is_some() { "ApiKey(***)" } else { "ApiKey(none)" })
    }
}

impl ApiKey {
    /// Reads the key from the place in the config; a local server may need none.
    pub fn read(config: &LlmConfig) -> Result<Self> {
        let (key, place) = match &config.api_key_file {
            Some(path) => {
                let text = whetstone_records::read_text(path)?;
                (Some(text), format!("file `{}`", path.display()))
            }
            None => (
                std::env::var(&config.api_key_env).ok(),
                format!("environment variable `{}`", config.api_key_env),
            ),
        };
        let key = key.map(|key| key.trim().to_owned()).filter(|key| !key.is_empty());
        if key.as_ref().is_some_and(|key| !key.bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err(Error::BadKey { place });
        }
        if key.is_none() && config.api_key_file.is_some() {
            return Err(Error::EmptyKey { place });
        }
        Ok(Self(key))
    }

    pub fn is_set(&self) -> bool {
        self.0.is_some()
    }

    /// The key itself, for the header of a request.
    pub fn secret(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// The text with the key removed, because a server may repeat it.
    pub fn hidden_in(&self, text: &str) -> String {
        self.0.as_ref().map_or_else(|| text.to_owned(), |key| text.replace(key.as_str(), "***"))
    }
}
