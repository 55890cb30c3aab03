//! What the headers of safetensors files say of their tensors, without the values.

use crate::error::{Error, Result};
use crate::families::Architecture;
use crate::file;
use crate::weights;
use safetensors::SafeTensorError;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

/// Tensors of a model, by the family's names.
pub(crate) type Outlines = BTreeMap<String, Outline>;

/// A tensor without its values.
pub(crate) struct Outline {
    /// Its name in the file, for errors.
    pub file_name: String,
    pub shape: Vec<usize>,
    /// The type of its values, as the file spells it: `F32`.
    pub dtype: String,
}

/// The part of a tensor's header entry that describes it.
#[derive(Deserialize)]
struct Entry {
    shape: Option<Vec<usize>>,
    dtype: Option<String>,
}

/// Reads the headers of all files of the weights.
pub(crate) fn outlines(model_dir: &Path, architecture: &Architecture) -> Result<Outlines> {
    outlines_named(model_dir, |file_name| architecture.known_as(file_name))
}

/// The same of the tensors that `known_as` gives a name to.
pub(crate) fn outlines_named(
    model_dir: &Path,
    known_as: impl Fn(&str) -> Option<String>,
) -> Result<Outlines> {
    let mut outlines = Outlines::new();
    for path in weights::files(model_dir)? {
        for (file_name, entry) in header(&path)? {
            // The header's entry `__metadata__` is no tensor.
            let Entry { shape: Some(shape), dtype: Some(dtype) } = entry else { continue };
            if let Some(name) = known_as(&file_name) {
                outlines.insert(name, Outline { file_name, shape, dtype });
            }
        }
    }
    Ok(outlines)
}

/// Returns the shape of a tensor, by the family's name. None if no file has it.
pub(crate) fn shape(model_dir: &Path, name: &str) -> Result<Option<Vec<usize>>> {
    let architecture = Architecture::read(model_dir)?;
    Ok(outlines(model_dir, &architecture)?.remove(name).map(|outline| outline.shape))
}

/// Returns the shape of a tensor of a file, by its name there. None if the file lacks it.
pub(crate) fn shape_in(path: &Path, name: &str) -> Result<Option<Vec<usize>>> {
    Ok(header(path)?.remove(name).and_then(|entry| entry.shape))
}

fn header(path: &Path) -> Result<BTreeMap<String, Entry>> {
    let mut file = file::open(path)?;
    let mut bytes = [0u8; 8];
    let whole = file.metadata().map_err(Error::io("read", path))?.len();
    let mut length = 0;
    if file.read_exact(&mut bytes).is_ok() {
        length = u64::from_le_bytes(bytes).min(whole);
    }
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    serde_json::from_slice(&bytes).map_err(|_| Error::Safetensors {
        path: path.into(),
        source: SafeTensorError::InvalidHeaderLength,
    })
}
