//! `results.json` in a model folder: what an evaluation found about the model.

use crate::error::Result;
use serde::{Deserialize, Serialize};
use whetstone_eval::Recommendation;
use whetstone_records::{ModelDir, read_json, sha256_file, write_json};

/// What an evaluation found about a model: `results.json` beside its weights. Other libraries
/// ignore the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// Version of the program that wrote it.
    pub version: String,
    /// Digest of `model.safetensors`; other weights make the results void.
    pub weights: String,
    /// Digest of the judgements.
    pub qrels: String,
    pub recommendation: Recommendation,
}

/// Returns the results of a model: none if nobody measured it, if they are those of other weights,
/// or if the file cannot be read. They inform and nothing depends on them.
pub fn read_results(model: &ModelDir) -> Option<Results> {
    let results: Results = read_json(&model.results()).ok()??;
    (results.weights == sha256_file(&model.weights()).ok()?).then_some(results)
}

/// Writes the results into a model folder, unless they stand there already.
pub(crate) fn write_results(
    model: &ModelDir,
    qrels: &str,
    recommendation: &Recommendation,
) -> Result<()> {
    let results = Results {
        version: env!("CARGO_PKG_VERSION").into(),
        weights: sha256_file(&model.weights())?,
        qrels: qrels.into(),
        recommendation: recommendation.clone(),
    };
    if read_results(model).as_ref() == Some(&results) {
        return Ok(());
    }
    Ok(write_json(&model.results(), &results)?)
}
