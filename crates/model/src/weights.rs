//! Hugging Face names and layouts: loading all or nothing, and saving.

use crate::error::{Error, Result};
use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use whetstone_records::{AtomicFile, f32_bytes};

/// A parameter of the network and how Hugging Face stores it.
pub enum Slot<'a> {
    /// An embedding table `[rows, hidden]`.
    Table(&'a mut Param<Tensor<2>>),
    /// A linear layer's matrix: `[in, out]` here, `[out, in]` in the file.
    Matrix(&'a mut Param<Tensor<2>>),
    /// A bias or a LayerNorm weight.
    Vector(&'a mut Param<Tensor<1>>),
}

/// Tensors that Hugging Face saves beside the weights and that hold no weights.
const NOT_WEIGHTS: [&str; 1] = ["embeddings.position_ids"];

/// Tensors of a file by name, as f32 in the file's layout.
pub(crate) type Tensors = HashMap<String, (Vec<usize>, Vec<f32>)>;

/// Reads every tensor of a safetensors file as f32.
pub(crate) fn read_tensors(path: &Path) -> Result<Tensors> {
    let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
    let file = SafeTensors::deserialize(&bytes)
        .map_err(|source| Error::Safetensors { path: path.into(), source })?;
    let mut tensors = Tensors::new();
    for (name, view) in file.iter() {
        if NOT_WEIGHTS.iter().any(|skip| name.ends_with(skip)) {
            continue;
        }
        let values = to_f32(&view).ok_or_else(|| Error::Dtype {
            path: path.into(),
            name: name.into(),
            dtype: format!("{:?}", view.dtype()),
        })?;
        tensors.insert(name.to_owned(), (view.shape().to_vec(), values));
    }
    Ok(tensors)
}

/// Reads the names of the tensors of a safetensors file, without converting a value.
pub(crate) fn read_names(path: &Path) -> Result<Vec<String>> {
    let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
    let file = SafeTensors::deserialize(&bytes)
        .map_err(|source| Error::Safetensors { path: path.into(), source })?;
    Ok(file.names().into_iter().map(str::to_owned).collect())
}

fn to_f32(view: &TensorView) -> Option<Vec<f32>> {
    let data = view.data();
    Some(match view.dtype() {
        Dtype::F32 => {
            data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
        }
        Dtype::BF16 => data
            .chunks_exact(2)
            .map(|b| f32::from_bits(u32::from_le_bytes([0, 0, b[0], b[1]])))
            .collect(),
        Dtype::F16 => {
            data.chunks_exact(2).map(|b| half_to_f32(u16::from_le_bytes([b[0], b[1]]))).collect()
        }
        _ => return None,
    })
}

/// IEEE 754 binary16 to f32.
fn half_to_f32(bits: u16) -> f32 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let exponent = i32::from((bits >> 10) & 0x1f);
    let fraction = f32::from(bits & 0x3ff);
    match exponent {
        0 => sign * fraction * 2f32.powi(-24),
        31 if fraction == 0.0 => sign * f32::INFINITY,
        31 => f32::NAN,
        _ => sign * (1.0 + fraction / 1024.0) * 2f32.powi(exponent - 15),
    }
}

/// Puts the tensors into the slots, each exactly once.
///
/// # Errors
/// [`Error::Names`] where a slot finds no tensor or a tensor no slot; [`Error::Shape`] where they
/// differ.
pub(crate) fn fill(
    slots: Vec<(String, Slot)>,
    mut tensors: Tensors,
    path: &Path,
    device: &Device,
) -> Result<()> {
    let missing: Vec<String> = slots
        .iter()
        .filter(|(name, _)| !tensors.contains_key(name))
        .map(|(name, _)| name.clone())
        .collect();
    let unused: Vec<String> = tensors
        .keys()
        .filter(|name| !slots.iter().any(|(slot, _)| slot == *name))
        .cloned()
        .collect();
    if !missing.is_empty() || !unused.is_empty() {
        return Err(Error::Names { path: path.into(), missing, unused });
    }
    for (name, slot) in slots {
        let (found, values) = tensors.remove(&name).expect("no name is missing");
        let expected = slot.file_shape();
        if found != expected {
            return Err(Error::Shape { path: path.into(), name, expected, found });
        }
        slot.put(values, device);
    }
    Ok(())
}

/// Writes the slots as a Hugging Face `model.safetensors`, whole or not at all.
pub(crate) fn save(slots: Vec<(String, Slot)>, path: &Path) -> Result<()> {
    let tensors: BTreeMap<String, (Vec<usize>, Vec<u8>)> = slots
        .into_iter()
        .map(|(name, slot)| (name, (slot.file_shape(), f32_bytes(&slot.take()))))
        .collect();
    let invalid = |source| Error::Safetensors { path: path.into(), source };
    let views = tensors
        .iter()
        .map(|(name, (shape, bytes))| {
            Ok((name, TensorView::new(Dtype::F32, shape.clone(), bytes)?))
        })
        .collect::<Result<Vec<_>, _>>()
        .map_err(invalid)?;
    // transformers refuses a file whose metadata does not say which framework wrote it.
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let bytes = safetensors::serialize(views, Some(metadata)).map_err(invalid)?;
    Ok(AtomicFile::write_all_to(path, &bytes)?)
}

impl Slot<'_> {
    /// The shape in the file. Asking for it does not make burn draw the random values that are
    /// about to be replaced.
    fn file_shape(&self) -> Vec<usize> {
        match self {
            Slot::Table(param) => param.lazy_shape().to_vec(),
            Slot::Matrix(param) => param.lazy_shape().iter().rev().copied().collect(),
            Slot::Vector(param) => param.lazy_shape().to_vec(),
        }
    }

    pub(crate) fn freeze(self) {
        fn freeze<const D: usize>(param: &mut Param<Tensor<D>>) {
            *param = param.clone().set_require_grad(false);
        }
        match self {
            Slot::Table(param) | Slot::Matrix(param) => freeze(param),
            Slot::Vector(param) => freeze(param),
        }
    }

    /// self := self + share · (other − self); the two are slots of the same name.
    pub(crate) fn blend(self, other: Slot, share: f32) {
        fn mix<const D: usize>(param: &mut Param<Tensor<D>>, other: &Param<Tensor<D>>, share: f32) {
            let (own, other) = (param.val().inner(), other.val().inner());
            *param = Param::from_tensor(Tensor::from_inner(own.clone() + (other - own) * share));
        }
        match (self, other) {
            (Slot::Table(own), Slot::Table(other)) | (Slot::Matrix(own), Slot::Matrix(other)) => {
                mix(own, other, share)
            }
            (Slot::Vector(own), Slot::Vector(other)) => mix(own, other, share),
            _ => unreachable!("slots of the same name are of the same kind"),
        }
    }

    /// Replaces the parameter by the values, given in the file's layout.
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

    /// The values in the file's layout.
    fn take(&self) -> Vec<f32> {
        match self {
            Slot::Table(param) => values(param.val()),
            Slot::Matrix(param) => {
                let [rows, cols] = param.val().dims();
                transpose(&values(param.val()), rows, cols)
            }
            Slot::Vector(param) => values(param.val()),
        }
    }
}

/// Made on the device without autodiff: the training crate tracks what it trains.
fn parameter<const D: usize>(
    values: Vec<f32>,
    shape: Vec<usize>,
    device: &Device,
) -> Param<Tensor<D>> {
    Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), device))
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.inner().into_data().try_into_vec().expect("parameters are f32")
}

fn transpose(values: &[f32], rows: usize, cols: usize) -> Vec<f32> {
    /// Columns of a strip: what a cache line holds, so that each line is read once and those
    /// written to stay in the cache.
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
