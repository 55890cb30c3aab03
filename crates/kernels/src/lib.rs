//! The embeddings and encoder layers of a transformer as fused operations of burn-flex, burn's CPU
//! backend.
//!
//! Each is one operation over packed tokens: the sequences of a batch follow each other, `[tokens,
//! hidden]`, without padding or mask. A network composed of burn's own operations spends most of
//! its time on copies, a scalar `erf` and padding.
//!
//! Start with [`encoder_layer`]. At run time it picks the instruction set: AVX-512, AVX2 or the
//! target's baseline, and AVX-512 BF16 for products in [`Precision::Bf16`].
//!
//! # Features
//! - `gpu`: the module `gpu`, kernels for GPUs.
//! - `train`: the backward passes behind burn's autodiff, dropout, and the optimizer's step.
//!   Without it, nothing depends on burn-autodiff.

#![deny(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks, clippy::missing_safety_doc)]

mod after_attention;
mod attention;
#[cfg(target_arch = "x86_64")]
mod bf16;
mod block;
mod dropout;
mod embeddings;
mod gemm;
#[cfg(feature = "gpu")]
pub mod gpu;
mod layer;
mod op;
mod pre_norm;
mod precision;
#[cfg(test)]
mod reference;
mod rows;
mod simd;
#[cfg(feature = "train")]
mod train;
mod windows;

pub use attention::KEPT_LENGTH;
pub use dropout::Dropout;
pub use embeddings::{EmbeddingSpec, embeddings};
pub use layer::LayerSpec;
pub use op::{LayerTensors, encoder_layer};
pub use pre_norm::PreNormSpec;
pub use pre_norm::op::{PreNormTensors, pre_norm_layer};
pub use pre_norm::rotation::Rotation;
pub use precision::Precision;
#[cfg(feature = "train")]
pub use train::{AdamWStep, Mask, adamw, squared_norm};
