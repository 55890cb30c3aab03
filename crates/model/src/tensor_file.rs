//! Writes safetensors one tensor after the other, so that no second copy of a large model is in
//! memory.

use crate::error::{Error, Result};
use safetensors::{
    Dtype,
    tensor::{Metadata, TensorInfo},
};
use std::collections::HashMap;
use std::io::{self, Write};
use std::path::Path;
use whetstone_records::{AtomicFile, Error as RecordsError, f32_bytes};

/// The header's length is a multiple of this.
const ALIGNMENT: usize = 8;
/// Numbers that become bytes at once.
const CHUNK: usize = 1 << 16;

/// A tensor to be written.
pub struct Unwritten<F> {
    pub name: String,
    pub shape: Vec<usize>,
    /// Gives the numbers when their turn comes.
    pub values: F,
}

/// Writes f32 tensors as a whole file, or nothing: the bytes of `safetensors::serialize`.
pub fn write_tensors<F: FnOnce() -> Vec<f32>>(
    path: &Path,
    mut tensors: Vec<Unwritten<F>>,
    metadata: (&str, &str),
) -> Result<()> {
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    let header = header(path, &tensors, metadata)?;
    let mut file = AtomicFile::create(path)?;
    let write = |file: &mut AtomicFile| -> io::Result<()> {
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(&header)?;
        for tensor in tensors {
            let values = (tensor.values)();
            assert_eq!(values.len(), tensor.shape.iter().product::<usize>(), "{}", tensor.name);
            values.chunks(CHUNK).try_for_each(|chunk| file.write_all(&f32_bytes(chunk)))?;
        }
        Ok(())
    };
    write(&mut file).map_err(RecordsError::io("write", path))?;
    Ok(file.commit()?)
}

fn header<F>(path: &Path, tensors: &[Unwritten<F>], (key, value): (&str, &str)) -> Result<Vec<u8>> {
    let mut end = 0;
    let infos = tensors.iter().map(|Unwritten { name, shape, .. }| {
        let start = end;
        end += size_of::<f32>() * shape.iter().product::<usize>();
        let info =
            TensorInfo { dtype: Dtype::F32, shape: shape.clone(), data_offsets: (start, end) };
        (name.clone(), info)
    });
    let note = HashMap::from([(key.to_owned(), value.to_owned())]);
    let metadata = Metadata::new(Some(note), infos.collect())
        .map_err(|source| Error::Safetensors { path: path.into(), source })?;
    let mut header = serde_json::to_vec(&metadata).expect("names and numbers serialise");
    header.resize(header.len().next_multiple_of(ALIGNMENT), b' ');
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;
    use safetensors::tensor::TensorView;

    #[test]
    fn the_bytes_are_those_of_the_library() {
        let long: Vec<f32> = (0..CHUNK + 3).map(|i| i as f32).collect();
        let all = [("b", vec![1, long.len()], long), ("a.c", vec![2], vec![1.5, -0.0])];
        let bytes: Vec<Vec<u8>> = all.iter().map(|(_, _, values)| f32_bytes(values)).collect();
        let views = all.iter().zip(&bytes).map(|((name, shape, _), bytes)| {
            (*name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap())
        });
        let note = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        let expected = safetensors::serialize(views, Some(note)).unwrap();

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let tensors = all.map(|(name, shape, values)| Unwritten {
            name: name.into(),
            shape,
            values: move || values,
        });
        write_tensors(&path, tensors.into(), ("format", "pt")).unwrap();
        assert_eq!(std::fs::read(path).unwrap(), expected);
    }
}
