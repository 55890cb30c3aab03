//! API keys: who may ask.

use crate::error::{Error, Result};
use std::path::Path;
use subtle::{Choice, ConstantTimeEq};
use whetstone_records::read_text;

/// The keys that are let in.
#[derive(Clone)]
pub struct Keys(Vec<String>);

impl Keys {
    /// Reads one key a line. Skips blank lines and those that begin with `#`.
    ///
    /// # Errors
    /// A file without a key would lock everybody out. A key with other bytes than visible ASCII
    /// could never be sent in a header.
    pub fn read(path: &Path) -> Result<Self> {
        let text = read_text(path)?;
        let lines = text.lines().map(str::trim).enumerate();
        let keys = lines.filter(|(_, key)| !key.is_empty() && !key.starts_with('#'));
        let checked = keys.map(|(at, key)| match key.bytes().all(|byte| byte.is_ascii_graphic()) {
            true => Ok(key.to_owned()),
            false => Err(Error::Key { path: path.into(), line: at + 1 }),
        });
        let keys: Vec<String> = checked.collect::<Result<_>>()?;
        if keys.is_empty() {
            return Err(Error::NoKeys { path: path.into() });
        }
        Ok(Self(keys))
    }

    /// Returns whether a header such as `Bearer KEY` holds one of the keys. The time it takes says
    /// nothing about the keys but their lengths.
    pub fn admit(&self, authorization: &[u8]) -> bool {
        let Some((scheme, sent)) = authorization.split_at_checked("bearer ".len()) else {
            return false;
        };
        let sent = sent.trim_ascii();
        let equal = self.0.iter().map(|key| key.as_bytes().ct_eq(sent));
        let known = equal.fold(Choice::from(0), |any, equal| any | equal);
        scheme.eq_ignore_ascii_case(b"bearer ") && bool::from(known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Result<Keys> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        std::fs::write(&path, text).unwrap();
        Keys::read(&path)
    }

    #[test]
    fn each_key_of_the_file_is_let_in_and_no_other() {
        let keys = keys("# mine\nalpha-1\n\n  beta-2  \n").unwrap();
        for header in ["Bearer alpha-1", "bearer beta-2", "Bearer   alpha-1"] {
            assert!(keys.admit(header.as_bytes()), "{header}");
        }
        for header in ["", "Bearer ", "Bearer alpha", "Bearer alpha-11", "Basic alpha-1", "alpha-1"]
        {
            assert!(!keys.admit(header.as_bytes()), "{header}");
        }
        assert!(!keys.admit(b"Bearer # mine"));
    }

    #[test]
    fn a_file_that_would_lock_everybody_out_is_refused() {
        assert!(matches!(keys("\n# none\n"), Err(Error::NoKeys { .. })));
        assert!(matches!(keys("good\nno good\n"), Err(Error::Key { line: 2, .. })));
    }
}
