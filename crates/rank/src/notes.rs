//! `whetstone.json` in a model folder: what `calibrate` learned about the model.

use crate::error::{Error, Result};
use serde::Deserialize;
use serde::de::IgnoredAny;
use whetstone_eval::{ModelNotes, Scaling};
use whetstone_records::{ModelDir, read_json, write_json};

/// The key of earlier versions, which knew one first stage and joined min-max scores.
#[derive(Deserialize)]
struct Earlier {
    first_stage: Option<IgnoredAny>,
}

/// Reads the notes of a model; none if it has none.
///
/// # Errors
/// The file is malformed, or an earlier version wrote it.
pub fn read_notes(model: &ModelDir) -> Result<Option<ModelNotes>> {
    let earlier: Option<Earlier> = read_json(&model.notes())?;
    if earlier.is_some_and(|notes| notes.first_stage.is_some()) {
        return Err(Error::OldNotes { model: model.root().to_path_buf() });
    }
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
    use whetstone_eval::{Dev, FusionChoice, Join, Judged, Provenance, calibrate, threshold};
    use whetstone_records::Hint;

    #[test]
    fn notes_read_back_as_they_are_written() {
        let folder = tempfile::tempdir().unwrap();
        let model = ModelDir::new(folder.path());
        assert_eq!(read_notes(&model).unwrap(), None);
        let pair =
            |at: usize| Judged { query: at / 10, logit: (at % 10) as f64, relevant: at % 10 > 7 };
        let pairs: Vec<Judged> = (0..100).map(pair).collect();
        let measure = "ndcg@10".parse().unwrap();
        let notes = ModelNotes {
            version: "1".into(),
            fusion: FusionChoice {
                join: Join::fixed(["bm25", "dense"]),
                chosen_on_dev: false,
                queries_of_people: 3,
                measure,
                first_stages: 0.1,
                model_alone: 0.2,
                ranks: 0.3,
                joined: 0.4,
            },
            first_stages: vec!["bm25".into(), "dense".into()],
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

    #[test]
    fn notes_of_an_earlier_version_are_refused_with_the_way_out() {
        let folder = tempfile::tempdir().unwrap();
        let model = ModelDir::new(folder.path());
        let earlier = r#"{"version": "0.1.0", "fusion": {"method": "interpolation", "weight": 0.5},
            "first_stage": "rrf"}"#;
        std::fs::write(model.notes(), earlier).unwrap();
        let error = read_notes(&model).unwrap_err();
        assert!(error.to_string().ends_with("whetstone.json` is of an earlier version"), "{error}");
        assert!(error.hint().unwrap().starts_with("run `whetstone calibrate --model "));
    }
}
