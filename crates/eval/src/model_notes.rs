//! What dev says about a model, stored in `whetstone.json`.

use crate::calibration::Calibration;
use crate::orders::FusionChoice;
use crate::threshold::Threshold;
use serde::{Deserialize, Serialize};

/// What dev says about a model: `whetstone.json` beside its weights. Other libraries ignore the
/// file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelNotes {
    /// Version of the program that wrote it.
    pub version: String,
    /// How to join the model's logits with the first stages' scores.
    pub fusion: FusionChoice,
    /// The names of the first stages on dev, such as `bm25`. Some may have no weight in the join.
    pub first_stages: Vec<String>,
    /// Maps a logit to a probability; None if dev is too small.
    pub calibration: Option<Calibration>,
    pub thresholds: Vec<Threshold>,
    pub dev: Dev,
    /// What the user should know about these results.
    pub notes: Vec<String>,
    pub provenance: Provenance,
}

/// The basis of the notes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dev {
    pub queries: usize,
    pub pairs: usize,
    pub relevant_pairs: usize,
}

/// SHA-256 of the files read, and where the logits were computed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// Digest of `model.safetensors`; other weights make the notes void.
    pub weights: String,
    /// Digest of `dev.jsonl`.
    pub dev: String,
    pub device: String,
}
