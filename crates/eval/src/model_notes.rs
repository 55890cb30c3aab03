//! What dev says about a model.

use crate::calibration::Calibration;
use crate::interpolation::FusionChoice;
use crate::threshold::Threshold;
use serde::{Deserialize, Serialize};

/// What is known of a model from dev: `whetstone.json` beside its weights. Other libraries pass
/// over the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelNotes {
    /// Version of the program that wrote it.
    pub version: String,
    /// How to join the model's order with the first stage's.
    pub fusion: FusionChoice,
    /// How the first stage names itself, such as `rrf`.
    pub first_stage: String,
    /// Logit to probability; none where dev holds too little.
    pub calibration: Option<Calibration>,
    pub thresholds: Vec<Threshold>,
    pub dev: Dev,
    /// What the user should know about all this.
    pub notes: Vec<String>,
    pub provenance: Provenance,
}

/// What the notes rest on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dev {
    pub queries: usize,
    pub pairs: usize,
    pub relevant_pairs: usize,
}

/// SHA-256 of what was read, and where the logits were computed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// Of `model.safetensors`: other weights make the notes void.
    pub weights: String,
    /// Of `dev.jsonl`.
    pub dev: String,
    pub device: String,
}
