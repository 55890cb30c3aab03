//! Reads Hugging Face's safetensors under the names of a family, all or nothing.

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::families::Architecture;
use crate::file;
use crate::header::Outlines;
use crate::nn::Encoder;
use crate::parameters::{Parameter, Slot};
use crate::spec::{Positions, Relative};
use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};
use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use whetstone_records::ModelDir;

/// Tensors of a file, by the family's names.
pub type Tensors = BTreeMap<String, Stored>;

/// The types of numbers that are read, as files spell them.
pub(crate) const DTYPES: [&str; 3] = ["F32", "F16", "BF16"];

/// The projection of a model of late interaction, beside its encoder or in a file of its own.
pub const PROJECTION: &str = "linear.weight";

/// A tensor as f32 in the layout of the file.
pub struct Stored {
    /// Its name in the file, for errors.
    pub file_name: String,
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

impl Architecture {
    /// Reads the tensors of a model folder under the family's names.
    pub fn tensors(&self, model_dir: &Path) -> Result<Tensors> {
        read(model_dir, self)
    }

    /// Returns the name in [`Names`](crate::Names) of a tensor of a file; None if the loader ignores
    /// it. Files of DeBERTa have a table of positions that their config says not to read, and those of
    /// late interaction a projection, which is no part of the encoder.
    pub(crate) fn known_as(&self, file_name: &str) -> Option<String> {
        let names = &self.family.names;
        if file_name == PROJECTION {
            return None;
        }
        let is_unread = |name: &str| {
            let is_relative =
                matches!(self.spec.positions, Positions::Relative(Relative { absolute: None, .. }));
            is_relative && name.strip_prefix(names.position) == Some(".weight")
        };
        (self.family.known_as)(file_name).filter(|name| !is_unread(name))
    }
}

/// Loads the encoder of a model folder, whatever else the folder has.
pub(crate) fn encoder(
    model_dir: &Path,
    architecture: &Architecture,
    engine: &Engine,
) -> Result<Encoder> {
    let names = &architecture.family.names;
    let mut tensors = read(model_dir, architecture)?;
    tensors.retain(|name, _| !names.is_head(name));
    let mut encoder = Encoder::init(&architecture.spec, engine.device());
    fill(encoder.parameters(names), tensors, &place(model_dir), engine)?;
    Ok(encoder)
}

/// Reads every tensor that the network does not ignore, from all files of the weights.
pub(crate) fn read(model_dir: &Path, architecture: &Architecture) -> Result<Tensors> {
    let mut tensors = Tensors::new();
    for path in files(model_dir)? {
        read_into(&mut tensors, &path, architecture)?;
    }
    Ok(tensors)
}

/// The file or the index that names the weights in errors.
pub(crate) fn place(model_dir: &Path) -> PathBuf {
    let dir = ModelDir::new(model_dir);
    match dir.weights().is_file() || !dir.weights_index().is_file() {
        true => dir.weights(),
        false => dir.weights_index(),
    }
}

/// The safetensors files of a model folder.
pub(crate) fn files(model_dir: &Path) -> Result<Vec<PathBuf>> {
    let dir = ModelDir::new(model_dir);
    if !place(model_dir).is_file() {
        let other = ModelDir::OTHER_WEIGHTS.map(|name| dir.path(name));
        if let Some(path) = other.into_iter().find(|path| path.is_file()) {
            return Err(Error::OtherWeights { path });
        }
    }
    let files = dir.weight_files()?.into_iter().filter(|name| name != ModelDir::WEIGHTS_INDEX);
    Ok(files.map(|name| dir.path(name)).collect())
}

fn read_into(tensors: &mut Tensors, path: &Path, architecture: &Architecture) -> Result<()> {
    read_named(tensors, path, |file_name| architecture.known_as(file_name))
}

/// Reads the tensors of a file that `known_as` gives a name to.
pub(crate) fn read_named(
    tensors: &mut Tensors,
    path: &Path,
    known_as: impl Fn(&str) -> Option<String>,
) -> Result<()> {
    let bytes = file::read(path)?;
    for (file_name, view) in open(path, &bytes)?.iter() {
        let Some(name) = known_as(file_name) else { continue };
        let values = to_f32(&view).ok_or_else(|| Error::Dtype {
            path: path.into(),
            name: file_name.into(),
            dtype: format!("{:?}", view.dtype()),
        })?;
        let file_name = file_name.to_owned();
        let stored = Stored { file_name, shape: view.shape().to_vec(), values };
        if let Some(twin) = tensors.insert(name, stored) {
            // Two names for one parameter, such as LayerNorm.gamma beside LayerNorm.weight.
            let (path, unused) = (path.into(), vec![twin.file_name]);
            return Err(Error::Names { path, missing: vec![], unused });
        }
    }
    Ok(())
}

fn open<'a>(path: &Path, bytes: &'a [u8]) -> Result<SafeTensors<'a>> {
    SafeTensors::deserialize(bytes)
        .map_err(|source| Error::Safetensors { path: path.into(), source })
}

fn to_f32(view: &TensorView) -> Option<Vec<f32>> {
    fn convert<const N: usize>(data: &[u8], from: fn([u8; N]) -> f32) -> Vec<f32> {
        data.as_chunks::<N>().0.iter().map(|bytes| from(*bytes)).collect()
    }
    let data = view.data();
    Some(match view.dtype() {
        Dtype::F32 => convert(data, f32::from_le_bytes),
        Dtype::BF16 => convert(data, |bytes| bf16::from_le_bytes(bytes).to_f32()),
        Dtype::F16 => convert(data, |bytes| f16::from_le_bytes(bytes).to_f32()),
        _ => return None,
    })
}

/// Gives each parameter its tensor, and uses each tensor once.
///
/// # Errors
/// [`Error::Names`] where a parameter finds no tensor or a tensor no parameter; [`Error::Shape`]
/// where they differ.
pub(crate) fn fill(
    parameters: Vec<Parameter>,
    mut tensors: Tensors,
    path: &Path,
    engine: &Engine,
) -> Result<()> {
    let files = tensors.iter().map(|(name, stored)| (name.as_str(), stored.file_name.as_str()));
    expect_names(&parameters, files.collect(), path)?;
    for Parameter { name, slot, .. } in parameters {
        let stored = tensors.remove(&name).expect("no name is missing");
        stored.expect_shape(path, &slot.file_shape())?;
        slot.put(stored.values, engine.device());
    }
    Ok(())
}

/// Holds the headers of a model against its parameters, as [`fill`] holds the tensors.
pub(crate) fn expect(parameters: &[Parameter], outlines: &Outlines, path: &Path) -> Result<()> {
    let files = outlines.iter().map(|(name, outline)| (name.as_str(), outline.file_name.as_str()));
    expect_names(parameters, files.collect(), path)?;
    parameters.iter().try_for_each(|Parameter { name, slot, .. }| {
        let outline = &outlines[name];
        expect_shape(path, &outline.file_name, &outline.shape, &slot.file_shape())
    })
}

/// Refuses parameters without a tensor and tensors without a parameter. `tensors` are names of the
/// family with those of the file.
fn expect_names(
    parameters: &[Parameter],
    tensors: BTreeMap<&str, &str>,
    path: &Path,
) -> Result<()> {
    let wanted: HashSet<&str> = parameters.iter().map(|p| p.name.as_str()).collect();
    let missing = parameters.iter().filter(|p| !tensors.contains_key(p.name.as_str()));
    let missing: Vec<String> = missing.map(|p| p.name.clone()).collect();
    let unused = tensors.iter().filter(|(name, _)| !wanted.contains(*name));
    let unused: Vec<String> = unused.map(|(_, file_name)| (*file_name).to_owned()).collect();
    if missing.is_empty() && unused.is_empty() {
        return Ok(());
    }
    Err(Error::Names { path: path.into(), missing, unused })
}

fn expect_shape(path: &Path, name: &str, found: &[usize], expected: &[usize]) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(Error::Shape {
        path: path.into(),
        name: name.into(),
        expected: expected.to_vec(),
        found: found.to_vec(),
    })
}

impl Stored {
    /// Refuses a shape that differs from the config's.
    pub fn expect_shape(&self, path: &Path, expected: &[usize]) -> Result<()> {
        expect_shape(path, &self.file_name, &self.shape, expected)
    }
}

impl Slot<'_> {
    /// The shape in the file. Reading it does not make burn draw the random values that are about
    /// to be replaced.
    pub(crate) fn file_shape(&self) -> Vec<usize> {
        match self {
            Slot::Table(param) => param.lazy_shape().to_vec(),
            Slot::Matrix(param) => param.lazy_shape().iter().rev().copied().collect(),
            Slot::Vector(param) => param.lazy_shape().to_vec(),
        }
    }

    /// Replaces the parameter by values in the file's layout.
    fn put(self, values: Vec<f32>, device: &Device) {
        let shape = self.file_shape();
        match self {
            Slot::Table(param) => *param = parameter(values, shape, device),
            Slot::Matrix(param) => {
                let values = transpose(&values, shape[0], shape[1]);
                *param = parameter(values, vec![shape[1], shape[0]], device);
            }
            Slot::Vector(param) => *param = parameter(values, shape, device),
        }
    }
}

pub(crate) fn parameter<const D: usize>(
    values: Vec<f32>,
    shape: Vec<usize>,
    device: &Device,
) -> Param<Tensor<D>> {
    Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), device))
}

/// Turns a matrix `[rows, cols]` into `[cols, rows]`.
pub fn transpose(values: &[f32], rows: usize, cols: usize) -> Vec<f32> {
    /// Columns of a strip: one cache line, so that each line is read once and those written stay in
    /// the cache.
    const STRIP: usize = 16;
    let mut transposed = vec![0.0; values.len()];
    for first in (0..cols).step_by(STRIP) {
        for row in 0..rows {
            for col in first..cols.min(first + STRIP) {
                transposed[col * rows + row] = values[row * cols + col];
            }
        }
    }
    transposed
}
