//! Reads the files of a model folder.

use crate::error::{Error, Result};
use std::fs::File;
use std::path::Path;
use whetstone_records::{Error as RecordsError, open_file, read_whole};

/// Opens a file of a model folder.
///
/// # Errors
/// [`Error::Io`], whose hint says what a model folder holds; what is no regular file is refused.
pub(crate) fn open(path: &Path) -> Result<File> {
    open_file(path).map_err(of_model)
}

/// Returns the bytes of a file of a model folder. The errors are those of [`open`].
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    read_whole(path).map_err(of_model)
}

fn of_model(error: RecordsError) -> Error {
    match error {
        RecordsError::Io { action, path, source } => Error::Io { action, path, source },
        other => other.into(),
    }
}
