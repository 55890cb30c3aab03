//! The training-only half: backward passes, their integration into autodiff, dropout and optimizer.

mod attention;
pub(crate) mod dropout;
mod embeddings;
mod layer;
mod op;
mod optimizer;
mod pre_norm;
mod rows;
#[cfg(test)]
mod tests;
mod windows;

pub use dropout::Mask;
pub use optimizer::{adamw, squared_norm};
pub use rows::AdamWStep;
