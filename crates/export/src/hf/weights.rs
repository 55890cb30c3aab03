//! Writes the weights of an exported folder.

use crate::error::{Error, Result};
use safetensors::SafeTensors;
use std::collections::HashMap;
use std::path::Path;
use whetstone_records::{AtomicFile, read_whole};

/// Copies the tensors of a safetensors file into another, with the metadata that transformers
/// requires.
pub fn write(from: &Path, to: &Path) -> Result<()> {
    let bytes = read_whole(from)?;
    let invalid = |path: &Path| {
        let path = path.to_path_buf();
        move |source| Error::Safetensors { path, source }
    };
    let tensors = SafeTensors::deserialize(&bytes).map_err(invalid(from))?;
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let bytes = safetensors::serialize(tensors.iter(), Some(metadata)).map_err(invalid(to))?;
    Ok(AtomicFile::write_all_to(to, &bytes)?)
}
