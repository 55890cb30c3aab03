//! Writes a model as an ONNX file, for runtimes that know nothing of Hugging Face's weights.

mod disentangled;
mod embeddings;
mod graph;
mod head;
mod network;
mod post_norm;
mod pre_norm;
mod proto;
mod quantize;
mod token_vectors;

pub use graph::Numbers;

use crate::error::{Error, Result};
use network::Ending;
use prost::Message;
use proto::{ModelProto, OperatorSetIdProto, StringStringEntryProto};
use std::path::Path;
use whetstone_model::{Architecture, LateInteraction};
use whetstone_records::AtomicFile;

/// The oldest set of operators with LayerNormalization. Every onnxruntime since 1.12 knows it, and
/// so do the tools that are built on older ones.
const OPSET: i64 = 17;
/// The version of the file format that came with that set.
const IR_VERSION: i64 = 8;
/// Protobuf reads no message of 2 GiB or more.
const LARGEST: usize = i32::MAX as usize;

/// Writes the network of the model folder `from` as the ONNX file `to`.
///
/// # Errors
/// [`Error::OnnxKind`] for a network that cannot be written, [`Error::OnnxSize`] for one that is
/// too large.
pub fn write(from: &Path, to: &Path, numbers: Numbers, max_seq_tokens: usize) -> Result<()> {
    let model = encode(from, numbers, max_seq_tokens)?;
    let bytes = model.encoded_len();
    if bytes > LARGEST {
        return Err(Error::OnnxSize { path: to.into(), bytes });
    }
    Ok(AtomicFile::write_all_to(to, &model.encode_to_vec())?)
}

fn encode(from: &Path, numbers: Numbers, max_seq_tokens: usize) -> Result<ModelProto> {
    let architecture = Architecture::read(from)?;
    let tensors = architecture.tensors(from)?;
    let ending = match LateInteraction::is_in(from)? {
        true => Ending::TokenVectors(LateInteraction::projection(from)?),
        false => Ending::Logits,
    };
    let graph = network::graph(&architecture, &tensors, (from, &ending), numbers)?;
    let note =
        StringStringEntryProto { key: "max_seq_tokens".into(), value: max_seq_tokens.to_string() };
    Ok(ModelProto {
        ir_version: IR_VERSION,
        producer_name: "whetstone".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
        metadata_props: vec![note],
    })
}

#[cfg(test)]
mod tests;
