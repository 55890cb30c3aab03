//! Holds a program's logits against `golden.json`: our engine's, those of ONNX Runtime, those of a
//! live server.

#[cfg(feature = "onnxruntime")]
mod onnx;
#[cfg(feature = "onnxruntime")]
mod quality;
mod server;

#[cfg(feature = "onnxruntime")]
pub use onnx::OnnxRuntime;
#[cfg(feature = "onnxruntime")]
pub use quality::QualityJob;
pub use server::Server;

use crate::error::{Error, Result};
use serde::Serialize;
use std::path::Path;
use whetstone_eval::{Interval, Measure};
use whetstone_model::{Engine, Placement, Scorer};
use whetstone_records::{Golden, GoldenPair, ModelDir, Silent};

/// How far a program is from `golden.json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Agreement {
    /// What computed the logits.
    pub scorer: String,
    pub pairs: usize,
    /// The largest difference of a logit.
    pub largest_difference: f64,
    pub tolerance: f64,
    /// Whether no logit differs by more than the tolerance.
    pub agrees: bool,
    /// The pair of the largest difference.
    pub worst: Difference,
}

/// A pair, with the logit of `golden.json` and the one found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    #[serde(flatten)]
    pub golden: GoldenPair,
    pub found: f32,
}

impl Difference {
    /// How far apart the two logits are; infinite where the one found is no number.
    fn size(&self) -> f64 {
        let size = (f64::from(self.golden.logit) - f64::from(self.found)).abs();
        if size.is_nan() { f64::INFINITY } else { size }
    }
}

impl Agreement {
    /// Compares logits with those of `golden.json`, which are as many.
    fn of(golden: &Golden, logits: &[f32], scorer: String, tolerance: f64) -> Option<Self> {
        let differences = golden.pairs.iter().zip(logits);
        let differences =
            differences.map(|(golden, &found)| Difference { golden: golden.clone(), found });
        let worst = differences.max_by(|a, b| a.size().total_cmp(&b.size()))?;
        let largest_difference = worst.size();
        Some(Self {
            scorer,
            pairs: golden.pairs.len(),
            largest_difference,
            tolerance,
            agrees: largest_difference <= tolerance,
            worst,
        })
    }
}

/// The measure of one program on a data set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Quality {
    /// What computed the logits.
    pub scorer: String,
    pub queries: usize,
    pub measure: Measure,
    pub mean: f64,
    /// The mean less that of our engine; None for the engine itself.
    pub difference: Option<f64>,
    /// Of the difference.
    pub interval: Option<Interval>,
}

/// The model whose `golden.json` is scored again.
pub struct Verification {
    model: ModelDir,
    golden: Golden,
    /// The tolerance asked for, in place of a scorer's own.
    tolerance: Option<f64>,
}

impl Verification {
    /// Reads the `golden.json` of a model folder.
    pub fn of(model: &Path, tolerance: Option<f64>) -> Result<Self> {
        let model = ModelDir::new(model);
        let golden = Golden::read(&model)?;
        Ok(Self { model, golden, tolerance })
    }

    fn agreement(&self, logits: &[f32], scorer: String, own: f64) -> Result<Agreement> {
        let tolerance = self.tolerance.unwrap_or(own);
        let missing =
            || Error::Records(whetstone_records::Error::NoGolden { path: self.model.golden() });
        Agreement::of(&self.golden, logits, scorer, tolerance).ok_or_else(missing)
    }

    /// Scores the pairs with our engine.
    pub fn engine(&self, placement: Placement) -> Result<Agreement> {
        let limit = Some(self.golden.max_seq_tokens);
        let engine = Engine::placed(placement)?;
        let scorer = Scorer::load(self.model.root(), None, limit, &engine)?;
        let placement = scorer.placement(placement);
        let logits = scorer.score(&self.golden.texts(), &Silent)?;
        let tolerance = placement.logit_tolerance();
        self.agreement(&logits, format!("whetstone on {placement}"), tolerance)
    }

    /// Has a server score the pairs.
    pub fn server(&self, server: &Server) -> Result<Agreement> {
        let logits = server.score(&self.golden.texts())?;
        self.agreement(&logits, server.address().into(), Placement::default().logit_tolerance())
    }

    /// Scores the pairs with every ONNX file of the folder.
    ///
    /// # Errors
    /// [`Error::NoOnnx`] for a folder without one.
    #[cfg(feature = "onnxruntime")]
    pub fn onnx(&self, runtime: &OnnxRuntime) -> Result<Vec<Agreement>> {
        let files = onnx::files(&self.model);
        if files.is_empty() {
            return Err(Error::NoOnnx { model: self.model.root().into() });
        }
        let score = |(file, tolerance): (&str, f64)| {
            let logits = runtime.open(&self.model, file, Some(self.golden.max_seq_tokens))?;
            let logits = logits.score(&self.golden.texts(), &Silent)?;
            self.agreement(&logits, format!("ONNX Runtime, {file}"), tolerance)
        };
        files.into_iter().map(score).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use whetstone_model::{CrossEncoder, DeviceName};

    fn golden(logits: &[f32]) -> Golden {
        let pair =
            |logit: &f32| GoldenPair { query: "q".into(), passage: "p".into(), logit: *logit };
        let pairs = logits.iter().map(pair).collect();
        Golden { version: "1".into(), source: "test".into(), max_seq_tokens: 32, pairs }
    }

    fn agreement(logits: &[f32], found: &[f32]) -> Agreement {
        Agreement::of(&golden(logits), found, "x".into(), Placement::default().logit_tolerance())
            .unwrap()
    }

    #[test]
    fn the_pair_of_the_largest_difference_decides() {
        let close = agreement(&[1.0, -2.0], &[1.000_01, -2.0]);
        assert!(close.agrees && close.worst.found > 1.0, "{close:?}");
        let far = agreement(&[1.0, -2.0, 3.0], &[1.0, -1.5, 3.1]);
        assert!(!far.agrees && far.worst.golden.logit == -2.0, "{far:?}");
        assert_eq!(far.largest_difference, 0.5);
    }

    #[test]
    fn a_logit_that_is_no_number_never_agrees() {
        let broken = agreement(&[1.0, 2.0], &[f32::NAN, 2.0]);
        assert!(!broken.agrees && broken.worst.golden.logit == 1.0, "{broken:?}");
    }

    #[test]
    fn the_engine_finds_the_logits_again_unless_the_weights_are_others() {
        let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracles/tiny-model");
        let folder = tempfile::tempdir().unwrap();
        for name in ["config.json", "model.safetensors", "tokenizer.json"] {
            std::fs::copy(tiny.join(name), folder.path().join(name)).unwrap();
        }
        let model = ModelDir::new(folder.path());
        assert!(Verification::of(folder.path(), None).is_err());
        let texts = [("what is the limit", "60 degrees"), ("snow", "snow fell all night")];
        let engine = Engine::open(DeviceName::Cpu).unwrap();
        let encoder = CrossEncoder::load(folder.path(), Some(32), &engine).unwrap();
        let mut golden = golden(&encoder.score(&texts, &Silent).unwrap());
        golden.pairs.iter_mut().zip(texts).for_each(|(pair, (query, passage))| {
            (pair.query, pair.passage) = (query.into(), passage.into());
        });
        let verified = |golden: &Golden| {
            whetstone_records::write_json(&model.golden(), golden).unwrap();
            Verification::of(folder.path(), None).unwrap().engine(DeviceName::Cpu.into()).unwrap()
        };
        assert!(verified(&golden).agrees);
        golden.pairs[1].logit += 0.01;
        let moved = verified(&golden);
        assert!(!moved.agrees && moved.worst.golden.query == "snow", "{moved:?}");
    }
}
