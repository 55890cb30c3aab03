//! Reads the files of a model folder.

use crate::error::{Error, Result};
use std::path::Path;
use whetstone_records::{Error as RecordsError, read_whole};

/// Returns the bytes of a file of a model folder.
///
/// # Errors
/// [`Error::Io`], whose hint says what a model folder holds; what is no regular file is refused.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    read_whole(path).map_err(|error| match error {
        RecordsError::Io { action, path, source } => Error::Io { action, path, source },
        other => other.into(),
    })
}
