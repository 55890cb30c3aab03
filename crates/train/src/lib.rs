//! Fine-tuning of a cross-encoder on pairs: read the data, then evaluate → save → stop? → step →
//! log.

mod checkpoint;
mod config;
mod data;
mod dev;
mod distillation;
mod error;
mod fit;
mod flat;
mod forget;
mod log;
mod loss;
mod measure;
mod optimizer;
mod order;
mod pair_file;
mod pass;
mod plan;
mod plot;
mod schedule;
mod states;
mod step;
mod teacher;
mod view;
mod watch;

pub use checkpoint::best_step;
pub use config::{LambdaWeighting, LossName, ModelKind, Schedule, TrainConfig};
pub use dev::Mute;
pub use error::{Error, Result};
pub use fit::train;
pub use forget::forget_run;
pub use optimizer::{AdamW, GradNorm, Rates, StepGradients};
pub use watch::Sign;
