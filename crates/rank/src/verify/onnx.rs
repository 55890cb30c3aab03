//! Scores pairs with ONNX Runtime, whose library is found when the program runs.

use crate::error::{Error, Result};
use ort::environment::Environment;
use ort::session::Session;
use ort::value::TensorRef;
use std::path::Path;
use std::sync::Mutex;
use whetstone_model::{Packed, PairTokenizer, Placement, Precision};
use whetstone_records::{ModelDir, Progress};

/// What multiplies a matrix of 8 bits is itself rounded to 8 bits, over the whole batch at once.
const INT8_TOLERANCE: f64 = 1.0;
/// Pairs in a call: several, so that padding is computed and must not matter.
const BATCH: usize = 8;

/// The library of ONNX Runtime.
pub struct OnnxRuntime {
    environment: Environment,
}

/// A model's network in ONNX Runtime, with the tokenizer.
pub struct OnnxEncoder {
    session: Mutex<Session>,
    tokenizer: PairTokenizer,
}

/// The ONNX files that a model folder has, each with its tolerance.
pub(super) fn files(model: &ModelDir) -> Vec<(&'static str, f64)> {
    let rounded = |precision| Placement { precision, ..Placement::default() }.logit_tolerance();
    let all = [
        (ModelDir::ONNX, rounded(Precision::F32)),
        (ModelDir::ONNX_F16, rounded(Precision::F16)),
        (ModelDir::ONNX_INT8, INT8_TOLERANCE),
    ];
    all.into_iter().filter(|(file, _)| model.path(file).is_file()).collect()
}

impl OnnxRuntime {
    /// Loads the library, such as `libonnxruntime.so`. A program can do so once.
    pub fn load(library: &Path) -> Result<Self> {
        let unusable = |message: String| Error::OnnxLibrary { path: library.into(), message };
        let builder = ort::init_from(library).map_err(|error| unusable(error.to_string()))?;
        let environment = builder.build().map_err(|error| unusable(error.to_string()))?;
        Ok(Self { environment })
    }

    /// Opens an ONNX file of a model folder.
    pub fn open(&self, model: &ModelDir, file: &str, max_seq_tokens: usize) -> Result<OnnxEncoder> {
        let path = model.path(file);
        let session = Session::builder(&self.environment)
            .and_then(|mut builder| builder.commit_from_file(&path))
            .map_err(|error| Error::Onnx { path: path.clone(), message: error.to_string() })?;
        let tokenizer = PairTokenizer::open(model.root(), max_seq_tokens)?;
        Ok(OnnxEncoder { session: Mutex::new(session), tokenizer })
    }
}

impl OnnxEncoder {
    /// Returns the raw logit of every pair. Pairs of similar length go into one call.
    pub fn score(&self, pairs: &[(&str, &str)], progress: &dyn Progress) -> Result<Vec<f32>> {
        let (queries, passages): (Vec<&str>, Vec<&str>) = pairs.iter().copied().unzip();
        let (queries, passages) =
            (self.tokenizer.tokenize(&queries)?, self.tokenizer.tokenize(&passages)?);
        let length = |&pair: &usize| self.tokenizer.joined_len(&queries[pair], &passages[pair]);
        let mut order: Vec<usize> = (0..pairs.len()).collect();
        order.sort_by_key(length);
        let mut logits = vec![0.0; pairs.len()];
        for group in order.chunks(BATCH) {
            let batch = group.iter().map(|&pair| (&queries[pair], &passages[pair]));
            let found = self.logits(&self.tokenizer.batch(batch))?;
            group.iter().zip(found).for_each(|(&pair, logit)| logits[pair] = logit);
            progress.advance(group.len() as u64);
        }
        Ok(logits)
    }

    fn logits(&self, batch: &Packed) -> Result<Vec<f32>> {
        let failed = |error: ort::Error| Error::OnnxRun { message: error.to_string() };
        let padded = Padded::of(batch);
        let mut session = self.session.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut inputs = vec![];
        for (name, values) in padded.inputs {
            // Families with one token type have no input of them.
            if session.inputs().iter().any(|input| input.name() == name) {
                inputs.push((name, values));
            }
        }
        let tensors: Vec<_> = inputs
            .iter()
            .map(|(name, values)| {
                Ok((*name, TensorRef::from_array_view((padded.shape, values.as_slice()))?))
            })
            .collect::<Result<_, ort::Error>>()
            .map_err(failed)?;
        let outputs = session.run(tensors).map_err(failed)?;
        let logits = outputs
            .get("logits")
            .ok_or_else(|| Error::OnnxRun { message: "there is no output `logits`".into() })?;
        let (_, logits) = logits.try_extract_tensor::<f32>().map_err(failed)?;
        Ok(logits.to_vec())
    }
}

/// A batch with padding at the end of every sequence.
struct Padded {
    shape: [usize; 2],
    inputs: [(&'static str, Vec<i64>); 3],
}

impl Padded {
    fn of(batch: &Packed) -> Self {
        let shape = [batch.sequences(), batch.longest()];
        let mut rows = [(); 3].map(|()| vec![0; shape[0] * shape[1]]);
        for (row, bounds) in batch.starts.windows(2).enumerate() {
            for (column, token) in (bounds[0]..bounds[1]).enumerate() {
                let place = row * shape[1] + column;
                rows[0][place] = i64::from(batch.ids[token]);
                rows[1][place] = 1;
                rows[2][place] = i64::from(batch.types[token]);
            }
        }
        let [ids, mask, types] = rows;
        let inputs = [("input_ids", ids), ("attention_mask", mask), ("token_type_ids", types)];
        Self { shape, inputs }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_stands_at_the_end_and_is_masked() {
        let batch = Packed {
            ids: vec![2, 7, 3, 2, 3],
            types: vec![0, 1, 1, 0, 1],
            starts: vec![0, 3, 5],
            seen: None,
            compared: None,
        };
        let Padded { shape, inputs: [ids, mask, types] } = Padded::of(&batch);
        assert_eq!(shape, [2, 3]);
        assert_eq!(ids.1, [2, 7, 3, 2, 3, 0]);
        assert_eq!(mask.1, [1, 1, 1, 1, 1, 0]);
        assert_eq!(types.1, [0, 1, 1, 0, 1, 0]);
    }
}
