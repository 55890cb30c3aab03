//! The formats that an export adds to Hugging Face's.

use crate::onnx::Numbers;
use serde::Serialize;
use std::path::PathBuf;
use whetstone_records::ModelDir;

/// A file that a model folder has beside Hugging Face's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// ONNX in 32 bits.
    Onnx,
    /// ONNX in 16 bits.
    OnnxF16,
    /// ONNX with matrices of 8 bits.
    OnnxInt8,
}

impl Format {
    /// The path of its file below the model folder.
    pub fn file(self) -> &'static str {
        match self {
            Format::Onnx => ModelDir::ONNX,
            Format::OnnxF16 => ModelDir::ONNX_F16,
            Format::OnnxInt8 => ModelDir::ONNX_INT8,
        }
    }

    pub(crate) fn numbers(self) -> Numbers {
        match self {
            Format::Onnx => Numbers::F32,
            Format::OnnxF16 => Numbers::F16,
            Format::OnnxInt8 => Numbers::Int8,
        }
    }

    /// The path of its file in a model folder.
    pub(crate) fn path(self, dir: &ModelDir) -> PathBuf {
        dir.path(self.file())
    }
}
