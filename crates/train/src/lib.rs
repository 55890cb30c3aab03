//! Fine-tuning of a cross-encoder on pairs: read the data, then evaluate → save → stop? → step → log.

mod checkpoint;
mod config;
mod data;
mod error;
mod fit;
mod loss;
mod optimizer;
mod order;
mod schedule;

pub use checkpoint::{Best, best_step};
pub use config::{LambdaWeighting, LossName, Schedule, TrainConfig};
pub use error::{Error, Result};
pub use fit::train;
pub use optimizer::AdamW;
