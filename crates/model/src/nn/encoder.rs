//! Embeddings and layers, without a head.

use super::{Embeddings, EncoderLayer};
use crate::spec::Spec;
use burn::module::Module;
use burn::tensor::Device;

/// The part that an engine runs; see [`crate::engine`].
#[derive(Module, Debug)]
pub struct Encoder {
    pub(crate) embeddings: Embeddings,
    pub(crate) layers: Vec<EncoderLayer>,
    #[module(skip)]
    pub(crate) spec: Spec,
}

impl Encoder {
    pub fn init(spec: &Spec, device: &Device) -> Self {
        Self {
            embeddings: Embeddings::init(spec, device),
            layers: (0..spec.layers).map(|_| EncoderLayer::init(spec, device)).collect(),
            spec: *spec,
        }
    }
}
