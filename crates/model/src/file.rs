//! Reads the files of a model folder.

use crate::error::{Error, Result};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use whetstone_records::{Error as RecordsError, open_file};

/// Opens a file of a model folder.
///
/// # Errors
/// [`Error::Io`], whose hint says what a model folder holds; what is no regular file is refused.
pub(crate) fn open(path: &Path) -> Result<File> {
    open_file(path).map_err(|error| match error {
        RecordsError::Io { action, path, source } => Error::Io { action, path, source },
        other => other.into(),
    })
}

/// Returns the bytes of a file of a model folder. The errors are those of [`open`].
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    let mut file = open(path)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    Ok(bytes)
}
