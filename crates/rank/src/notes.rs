//! `whetstone.json` in a model folder: what `calibrate` learned about the model.

use crate::error::{Error, Result};
use whetstone_eval::{ModelNotes, Scaling};
use whetstone_records::{ModelDir, read_json, write_json};

/// Reads the notes of a model; none if it has none.
pub fn read_notes(model: &ModelDir) -> Result<Option<ModelNotes>> {
    Ok(read_json(&model.notes())?)
}

/// Returns the notes of a model that has been calibrated.
///
/// # Errors
/// Where it has none, or those of other weights.
pub fn notes_of(model: &ModelDir) -> Result<ModelNotes> {
    let root = || model.root().to_path_buf();
    let notes = read_notes(model)?.ok_or_else(|| Error::NotCalibrated { model: root() })?;
    if notes.provenance.weights != model.weights_digest()? {
        return Err(Error::OtherWeights { model: root() });
    }
    Ok(notes)
}

/// Returns the scaling from a model's logits to probabilities.
///
/// # Errors
/// As [`notes_of`]; where dev was too small for a calibration.
pub fn scaling_of(model: &ModelDir) -> Result<Scaling> {
    let calibration = notes_of(model)?.calibration;
    let calibration = calibration.ok_or_else(|| Error::NoScaling { model: model.root().into() })?;
    Ok(calibration.scaling)
}

/// Writes the notes into a model folder.
pub(crate) fn write_notes(model: &ModelDir, notes: &ModelNotes) -> Result<()> {
    Ok(write_json(&model.notes(), notes)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use whetstone_eval::{Dev, Fusion, FusionChoice, Judged, Provenance, calibrate, threshold};

    #[test]
    fn notes_read_back_as_they_are_written() {
        let folder = tempfile::tempdir().unwrap();
        let model = ModelDir::new(folder.path());
        assert_eq!(read_notes(&model).unwrap(), None);
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
        write_notes(&model, &notes).unwrap();
        let back = read_notes(&model).unwrap().unwrap();
        assert_eq!(
            (&back.fusion, &back.dev, &back.notes),
            (&notes.fusion, &notes.dev, &notes.notes)
        );
        assert_eq!(back.thresholds[0].logit, notes.thresholds[0].logit);
        // Long fractions may differ in the last bit after a round trip.
        let (back, notes) = (back.calibration.unwrap(), notes.calibration.unwrap());
        assert!((back.scaling.probability(1.0) - notes.scaling.probability(1.0)).abs() < 1e-12);
        assert_eq!(back.bins_after.len(), notes.bins_after.len());
        std::fs::write(model.notes(), "{\n\"version\": 1}").unwrap();
        let message = read_notes(&model).unwrap_err().to_string();
        assert!(message.contains("whetstone.json` line 2"), "{message}");
    }
}
