//! Scores pairs with ONNX Runtime, whose library is found when the program runs.

use crate::error::{Error, Result};
use ort::environment::Environment;
use ort::session::Session;
use ort::value::TensorRef;
use std::path::Path;
use std::sync::Mutex;
use whetstone_model::{
    AroundNetwork, LateInteraction, Packed, PairTokenizer, Placement, Precision, TokenNetwork,
};
use whetstone_records::{ModelDir, Progress};

/// What multiplies a matrix of 8 bits is itself rounded to 8 bits, over the whole batch at once.
const INT8_TOLERANCE: f64 = 1.0;
/// Pairs or texts in a call: several, so that padding is computed and must not matter.
const BATCH: usize = 8;

/// The library of ONNX Runtime.
pub struct OnnxRuntime {
    environment: Environment,
}

/// A model whose network runs in ONNX Runtime.
pub struct OnnxScorer {
    network: Network,
    around: Around,
}

struct Network {
    session: Mutex<Session>,
}

/// What makes sequences of texts.
enum Around {
    CrossEncoder(PairTokenizer),
    LateInteraction(AroundNetwork),
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

    /// Opens an ONNX file of a model folder. `max_seq_tokens` defaults to the folder's own limit.
    pub fn open(
        &self,
        model: &ModelDir,
        file: &str,
        max_seq_tokens: Option<usize>,
    ) -> Result<OnnxScorer> {
        let path = model.path(file);
        let session = Session::builder(&self.environment)
            .and_then(|mut builder| builder.commit_from_file(&path))
            .map_err(|error| Error::Onnx { path: path.clone(), message: error.to_string() })?;
        let (root, limit) = (model.root(), max_seq_tokens);
        let around = match LateInteraction::is_in(root)? {
            true => Around::LateInteraction(AroundNetwork::open(root, limit)?),
            false => {
                let limit = limit.map_or_else(|| PairTokenizer::stored_limit(root), Ok)?;
                Around::CrossEncoder(PairTokenizer::open(root, limit)?)
            }
        };
        Ok(OnnxScorer { network: Network { session: Mutex::new(session) }, around })
    }
}

impl OnnxScorer {
    /// Returns the raw score of every pair. Sequences of similar length go into one call.
    pub fn score(&self, pairs: &[(&str, &str)], progress: &dyn Progress) -> Result<Vec<f32>> {
        match &self.around {
            Around::CrossEncoder(tokenizer) => self.network.logits(tokenizer, pairs, progress),
            Around::LateInteraction(around) => {
                let network = TokenVectors { network: &self.network, width: around.width };
                around.score(&network, pairs, progress)
            }
        }
    }
}

/// A network whose output is a vector for every token.
struct TokenVectors<'a> {
    network: &'a Network,
    width: usize,
}

impl TokenNetwork for TokenVectors<'_> {
    type Error = Error;

    fn groups(&self, lengths: &[usize]) -> Vec<Vec<usize>> {
        groups(lengths)
    }

    fn vectors(&self, batch: &Packed) -> Result<Vec<f32>> {
        let row = batch.longest() * self.width;
        let found = self.network.run(batch, ("token_embeddings", row))?;
        let own = batch.starts.windows(2).zip(found.chunks_exact(row.max(1)));
        Ok(own.flat_map(|(span, row)| &row[..(span[1] - span[0]) * self.width]).copied().collect())
    }
}

/// Sequences by their lengths, as many as go into a call.
fn groups(lengths: &[usize]) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&sequence| lengths[sequence]);
    order.chunks(BATCH).map(<[usize]>::to_vec).collect()
}

impl Network {
    fn logits(
        &self,
        tokenizer: &PairTokenizer,
        pairs: &[(&str, &str)],
        progress: &dyn Progress,
    ) -> Result<Vec<f32>> {
        let (queries, passages): (Vec<&str>, Vec<&str>) = pairs.iter().copied().unzip();
        let (queries, passages) = (tokenizer.tokenize(&queries)?, tokenizer.tokenize(&passages)?);
        let both = queries.iter().zip(&passages);
        let lengths: Vec<usize> =
            both.map(|(query, passage)| tokenizer.joined_len(query, passage)).collect();
        let mut logits = vec![0.0; pairs.len()];
        for group in groups(&lengths) {
            let batch = group.iter().map(|&pair| (&queries[pair], &passages[pair]));
            let found = self.run(&tokenizer.batch(batch), ("logits", 1))?;
            group.iter().zip(found).for_each(|(&pair, logit)| logits[pair] = logit);
            progress.advance(group.len() as u64);
        }
        Ok(logits)
    }

    /// Returns an output of the network, which has so many numbers for each sequence.
    fn run(&self, batch: &Packed, (output, numbers): (&str, usize)) -> Result<Vec<f32>> {
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
        let missing = || Error::OnnxRun { message: format!("there is no output `{output}`") };
        let found = outputs.get(output).ok_or_else(missing)?;
        let (_, values) = found.try_extract_tensor::<f32>().map_err(failed)?;
        let (found, expected) = (values.len(), batch.sequences() * numbers);
        if found != expected {
            let message = format!("`{output}` has {found} numbers, not {expected}");
            return Err(Error::OnnxRun { message });
        }
        Ok(values.to_vec())
    }
}

/// A batch with padding at the end of every sequence. Attention sees neither that nor the masks of
/// a query where the model hides them.
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
                let seen = batch.seen.as_ref().is_none_or(|seen| column < seen[row]);
                rows[1][place] = i64::from(seen);
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
        let mut batch = Packed {
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
        batch.seen = Some(vec![2, 2]);
        assert_eq!(Padded::of(&batch).inputs[1].1, [1, 1, 0, 1, 1, 0]);
    }
}
