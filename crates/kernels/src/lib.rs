//! Fused operations for the CPU (burn-flex): the embeddings and each encoder layer as one op with a
//! hand-written backward pass, over packed tokens, with run-time CPU detection. ENGINE: plain ops
//! spend most of their time on copies, scalar `erf` and padding.

mod after_attention;
mod attention;
mod backward;
#[cfg(target_arch = "x86_64")]
mod bf16;
mod embeddings;
mod gemm;
mod layer;
mod op;
mod precision;
mod rows;
mod simd;

pub use embeddings::{EmbeddingSpec, embeddings};
pub use layer::LayerSpec;
pub use op::{LayerTensors, adamw, encoder_layer, squared_norm};
pub use precision::Precision;
pub use rows::{AdamWStep, Dropout};
