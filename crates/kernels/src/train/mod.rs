//! What only training needs: backward passes and their place in autodiff, dropout, the optimizer.

mod attention;
pub(crate) mod dropout;
mod embeddings;
mod layer;
mod op;
mod optimizer;
mod rows;
#[cfg(test)]
mod tests;

pub use optimizer::{adamw, squared_norm};
pub use rows::AdamWStep;
