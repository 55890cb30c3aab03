//! Copies the weights of a model without the layers and the words that go.

use crate::error::{Error, Result};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensorError, SafeTensors};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use whetstone_model::{Family, PROJECTION};
use whetstone_records::{AtomicFile, ModelDir, read_whole};

/// What stays of a network.
pub(super) struct Kept<'a> {
    pub family: &'a Family,
    /// Numbers of layers, in order; None for all.
    pub layers: Option<&'a [usize]>,
    /// Rows of the word table, in their new order; None for all.
    pub words: Option<&'a [u32]>,
}

/// A tensor that stays, with its bytes as the file has them.
struct Tensor {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Kept<'_> {
    /// Writes what stays of a model's weights into one file, in the precision that they have and
    /// under the family's names. Returns the bytes of the file.
    pub fn copy(&self, model: &ModelDir, to: &Path) -> Result<u64> {
        let mut kept = BTreeMap::new();
        for name in model.weight_files()? {
            if name != ModelDir::WEIGHTS_INDEX {
                self.read(&model.path(name), &mut kept)?;
            }
        }
        let views = kept.iter().map(|(name, Tensor { dtype, shape, bytes })| {
            Ok((name, TensorView::new(*dtype, shape.clone(), bytes)?))
        });
        // transformers refuses a file whose metadata does not name the framework that wrote it.
        let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        let bytes = views
            .collect::<Result<Vec<_>, _>>()
            .and_then(|views| safetensors::serialize(views, Some(metadata)))
            .map_err(invalid(to))?;
        AtomicFile::write_all_to(to, &bytes)?;
        Ok(bytes.len() as u64)
    }

    fn read(&self, path: &Path, kept: &mut BTreeMap<String, Tensor>) -> Result<()> {
        let bytes = read_whole(path)?;
        for (file_name, view) in SafeTensors::deserialize(&bytes).map_err(invalid(path))?.iter() {
            let name = match file_name {
                // No part of the family's network.
                PROJECTION => Some(PROJECTION.to_owned()),
                _ => self.family.name_of(file_name),
            };
            let Some(name) = name else { continue };
            let Some(place) = self.place(&name) else { continue };
            let tensor = match self.words.filter(|_| self.is_word_table(&name)) {
                Some(words) => rows(&view, words).map_err(invalid(path))?,
                None => Tensor {
                    dtype: view.dtype(),
                    shape: view.shape().to_vec(),
                    bytes: view.data().to_vec(),
                },
            };
            kept.insert(place, tensor);
        }
        Ok(())
    }

    fn is_word_table(&self, name: &str) -> bool {
        name.strip_prefix(self.family.names.word) == Some(".weight")
    }

    /// Returns the name that a tensor has from now on; None if its layer goes.
    fn place(&self, name: &str) -> Option<String> {
        let names = &self.family.names;
        match (self.layers, names.in_layer(name)) {
            (Some(layers), Some((layer, inside))) => {
                let place = layers.iter().position(|kept| *kept == layer)?;
                Some(format!("{}{place}.{inside}", names.layers))
            }
            _ => Some(name.to_owned()),
        }
    }
}

/// Returns some rows of a table.
fn rows(view: &TensorView, rows: &[u32]) -> Result<Tensor, SafeTensorError> {
    let (dtype, bytes) = (view.dtype(), view.data());
    let [all, width] = *view.shape() else {
        return Err(SafeTensorError::InvalidTensorView(dtype, view.shape().to_vec(), bytes.len()));
    };
    let row = bytes.len() / all.max(1);
    let kept = rows.iter().map(|&id| bytes.get(id as usize * row..(id as usize + 1) * row));
    let kept: Option<Vec<&[u8]>> = kept.collect();
    match kept {
        Some(kept) => Ok(Tensor { dtype, shape: vec![rows.len(), width], bytes: kept.concat() }),
        None => Err(SafeTensorError::InvalidTensorView(dtype, vec![all, width], bytes.len())),
    }
}

fn invalid(path: &Path) -> impl FnOnce(SafeTensorError) -> Error + use<> {
    let path: PathBuf = path.into();
    move |source| Error::Safetensors { path, source }
}
