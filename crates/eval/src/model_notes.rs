//! What dev says about a model.

use crate::calibration::Calibration;
use crate::error::Result;
use crate::interpolation::FusionChoice;
use crate::threshold::Threshold;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use whetstone_records::{ModelDir, read_json, write_json};

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

impl ModelNotes {
    /// The file's name in a model dir.
    pub const FILE: &str = ModelDir::NOTES;

    /// Returns where the notes of a model lie.
    pub fn path(model_dir: &Path) -> PathBuf {
        ModelDir::new(model_dir).notes()
    }

    /// Reads the notes of a model; none where it has none.
    pub fn read(model_dir: &Path) -> Result<Option<Self>> {
        Ok(read_json(&Self::path(model_dir))?)
    }

    /// Writes the notes into a model dir.
    pub fn write(&self, model_dir: &Path) -> Result<()> {
        Ok(write_json(&Self::path(model_dir), self)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Fusion, Judged, calibrate, threshold};

    #[test]
    fn notes_read_back_as_they_are_written() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(ModelNotes::read(folder.path()).unwrap(), None);
        let pair =
            |at: usize| Judged { query: at / 10, logit: (at % 10) as f64, relevant: at % 10 > 7 };
        let pairs: Vec<Judged> = (0..100).map(pair).collect();
        let fusion = Fusion::Interpolation { weight: 0.55 };
        let measure = "ndcg@10".parse().unwrap();
        let notes = ModelNotes {
            version: "1".into(),
            fusion: FusionChoice {
                fusion,
                measure,
                first_stage_alone: 0.1,
                reranked: 0.2,
                fused: 0.3,
                tried: 22,
            },
            first_stage: "rrf".into(),
            calibration: Some(calibrate(&pairs).unwrap()),
            thresholds: vec![threshold(&pairs, 0.9).unwrap()],
            dev: Dev { queries: 10, pairs: 100, relevant_pairs: 20 },
            notes: vec!["few".into()],
            provenance: Provenance { weights: "a".into(), dev: "b".into(), device: "cpu".into() },
        };
        notes.write(folder.path()).unwrap();
        let back = ModelNotes::read(folder.path()).unwrap().unwrap();
        assert_eq!(
            (&back.fusion, &back.dev, &back.notes),
            (&notes.fusion, &notes.dev, &notes.notes)
        );
        assert_eq!(back.thresholds[0].logit, notes.thresholds[0].logit);
        // Long fractions may come back with another last bit.
        let (back, notes) = (back.calibration.unwrap(), notes.calibration.unwrap());
        assert!((back.scaling.probability(1.0) - notes.scaling.probability(1.0)).abs() < 1e-12);
        assert_eq!(back.bins_after.len(), notes.bins_after.len());
        std::fs::write(ModelNotes::path(folder.path()), "{\n\"version\": 1}").unwrap();
        let message = ModelNotes::read(folder.path()).unwrap_err().to_string();
        assert!(message.contains("whetstone.json` line 2"), "{message}");
    }
}
