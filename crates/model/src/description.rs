//! What a model folder is, read from its files without the values of its weights.

use crate::engine::{DeviceName, Engine};
use crate::error::{Error, Result};
use crate::families::{Architecture, Names};
use crate::footprint::{self, Fitting, TrainingBatch};
use crate::header::{self, Outlines};
use crate::labels::{self, output};
use crate::late_interaction::{Expansion, Settings};
use crate::network::PairNetwork;
use crate::sentence::SentenceConfig;
use crate::spec::{Pooling, Spec};
use crate::tokenizer::PairTokenizer;
use crate::tokenizer_files::read_tokenizer;
use crate::weights;
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::Path;
use tokenizers::ModelWrapper;
use whetstone_records::one_line;

/// What a model folder is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Description {
    /// The `model_type` of its config.json.
    pub family: &'static str,
    /// The labels of its relevance head: one for a cross-encoder, none for an encoder alone.
    pub labels: Vec<String>,
    /// Numbers in its weights.
    pub parameters: usize,
    /// The types of these numbers in the file, such as `f32`.
    pub dtypes: Vec<String>,
    pub layers: usize,
    pub hidden: usize,
    /// Tokens of the longest input that the network takes.
    pub longest_input: usize,
    /// Tokens after which a pair is cut unless the user says other.
    pub max_seq_tokens: usize,
    pub tokenizer: TokenizerDescription,
    /// How an encoder alone turns a text into a vector.
    pub bi_encoder: Option<BiEncoderDescription>,
    /// Why an encoder alone cannot serve as bi-encoder.
    pub bi_encoder_problem: Option<String>,
    /// How a late interaction turns a text into the vectors of its tokens.
    pub late_interaction: Option<LateInteractionDescription>,
    #[serde(skip)]
    spec: Spec,
    /// Numbers in the weights with a head of one label.
    #[serde(skip)]
    trained_parameters: usize,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TokenizerDescription {
    /// `WordPiece`, `BPE`, `Unigram` or `WordLevel`.
    pub kind: &'static str,
    pub tokens: usize,
    /// How many tokens the network embeds. Far more than the tokenizer has are a sign that it is
    /// another model's.
    pub embeddings: usize,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BiEncoderDescription {
    /// `mean` or `cls`.
    pub pooling: &'static str,
    /// The prompt before a query; empty if there is none.
    pub query_prompt: String,
    /// The prompt before a passage.
    pub passage_prompt: String,
    /// Tokens after which a text is cut.
    pub max_seq_tokens: usize,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LateInteractionDescription {
    /// The length of a token's vector.
    pub width: usize,
    /// Tokens after which a query is cut.
    pub query_tokens: usize,
    /// Whether masks fill up a shorter query.
    pub expands_queries: bool,
    /// Tokens after which a passage is cut.
    pub passage_tokens: usize,
}

impl Description {
    /// Reads a model folder.
    ///
    /// # Errors
    /// All that would keep the network from being loaded: a family that is not known, files that
    /// are missing or damaged, weights that contradict the config, a tokenizer of another family.
    pub fn read(model_dir: &Path) -> Result<Self> {
        let architecture = Architecture::read(model_dir)?;
        let Architecture { family, spec } = architecture;
        let outlines = header::outlines(model_dir, &architecture)?;
        let rows = outlines
            .get(&output(&family.names, "weight"))
            .and_then(|outline| outline.shape.first().copied());
        let labels = rows.map_or(Ok(vec![]), |rows| labels::of_config(model_dir, rows))?;
        let parameters = outlines.values().map(|outline| numbers(&outline.shape)).sum();
        let dtypes = dtypes(model_dir, &outlines)?;
        let trained_parameters = check_weights(model_dir, architecture, outlines)?;
        let max_seq_tokens = PairTokenizer::stored_limit(model_dir)?;
        PairTokenizer::open(model_dir, max_seq_tokens)?;
        let late_interaction = describe_late_interaction(model_dir, &spec)?;
        let is_encoder = labels.is_empty() && late_interaction.is_none();
        let bi_encoder = is_encoder.then(|| describe_bi_encoder(model_dir, max_seq_tokens));
        let (bi_encoder, bi_encoder_problem) = match bi_encoder {
            Some(Err(problem)) => (None, Some(one_line(&problem))),
            described => (described.and_then(Result::ok), None),
        };
        Ok(Self {
            family: family.model_type,
            labels,
            parameters,
            dtypes,
            layers: spec.layers,
            hidden: spec.hidden,
            longest_input: spec.longest_input,
            max_seq_tokens,
            tokenizer: describe_tokenizer(model_dir, &spec)?,
            bi_encoder,
            bi_encoder_problem,
            late_interaction,
            spec,
            trained_parameters,
        })
    }

    /// Returns about how many bytes it takes to train the model in such batches.
    pub fn training_bytes(&self, batch: TrainingBatch) -> u64 {
        footprint::training_bytes(&self.spec, self.trained_parameters, batch)
    }

    /// Returns about how much smaller a batch must be that does not fit into `limit` bytes; where
    /// they are unknown, a half.
    pub fn fitting(&self, batch: TrainingBatch, limit: Option<u64>) -> Fitting {
        footprint::fitting(batch, limit, |batch| self.training_bytes(batch))
    }
}

/// Holds the headers against the network of the config. Returns the numbers in the weights of that
/// network, with a head of one label.
fn check_weights(
    model_dir: &Path,
    architecture: Architecture,
    mut outlines: Outlines,
) -> Result<usize> {
    let names: &Names = &architecture.family.names;
    let engine = Engine::open(DeviceName::default())?;
    let mut network = PairNetwork::without_values(architecture, &engine);
    let path = weights::place(model_dir);
    if outlines.contains_key(&output(names, "weight")) {
        // Of several labels, training takes one.
        for kind in ["weight", "bias"] {
            if let Some(rows) =
                outlines.get_mut(&output(names, kind)).and_then(|outline| outline.shape.first_mut())
            {
                *rows = 1;
            }
        }
        weights::expect(&network.parameters(), &outlines, &path)?;
    } else {
        outlines.retain(|name, _| !names.is_head(name));
        weights::expect(&network.encoder.parameters(names), &outlines, &path)?;
    }
    Ok(network.parameters().iter().map(|one| numbers(&one.slot.file_shape())).sum())
}

fn numbers(shape: &[usize]) -> usize {
    shape.iter().product()
}

/// The types of the numbers, in lower case.
fn dtypes(model_dir: &Path, outlines: &Outlines) -> Result<Vec<String>> {
    let unreadable = outlines.values().find(|one| !weights::DTYPES.contains(&one.dtype.as_str()));
    if let Some(outline) = unreadable {
        return Err(Error::Dtype {
            path: weights::place(model_dir),
            name: outline.file_name.clone(),
            dtype: outline.dtype.clone(),
        });
    }
    let found: BTreeSet<String> =
        outlines.values().map(|outline| outline.dtype.to_lowercase()).collect();
    Ok(found.into_iter().collect())
}

fn describe_tokenizer(model_dir: &Path, spec: &Spec) -> Result<TokenizerDescription> {
    let tokenizer = read_tokenizer(model_dir)?;
    let kind = match tokenizer.get_model() {
        ModelWrapper::BPE(_) => "BPE",
        ModelWrapper::WordPiece(_) => "WordPiece",
        ModelWrapper::WordLevel(_) => "WordLevel",
        ModelWrapper::Unigram(_) => "Unigram",
    };
    let tokens = tokenizer.get_vocab_size(true);
    Ok(TokenizerDescription { kind, tokens, embeddings: spec.vocabulary })
}

fn describe_bi_encoder(model_dir: &Path, limit: usize) -> Result<BiEncoderDescription> {
    let config = SentenceConfig::read(model_dir)?;
    Ok(BiEncoderDescription {
        pooling: match config.pooling {
            Pooling::Mean => "mean",
            Pooling::FirstToken => "cls",
        },
        query_prompt: config.query_prompt,
        passage_prompt: config.passage_prompt,
        max_seq_tokens: config.max_seq_tokens.min(limit),
    })
}

fn describe_late_interaction(
    model_dir: &Path,
    spec: &Spec,
) -> Result<Option<LateInteractionDescription>> {
    let Some(settings) = Settings::read(model_dir)? else { return Ok(None) };
    Ok(Some(LateInteractionDescription {
        width: settings.width(model_dir)?,
        query_tokens: settings.query_tokens.min(spec.longest_input),
        expands_queries: settings.expansion != Expansion::None,
        passage_tokens: settings.passage_tokens.min(spec.longest_input),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn oracle(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracles").join(name)
    }

    #[test]
    fn a_model_is_described_without_its_values() {
        let model = Description::read(&oracle("tiny-xlm-roberta")).unwrap();
        assert_eq!(
            (model.family, model.labels.len(), model.longest_input),
            ("xlm-roberta", 1, 128)
        );
        assert_eq!((model.tokenizer.kind, model.tokenizer.tokens), ("Unigram", 500));
        assert_eq!(model.parameters, model.trained_parameters);
        assert_eq!((model.dtypes, model.bi_encoder), (vec!["f32".to_owned()], None));
    }

    #[test]
    fn an_encoder_is_described_with_its_pooling_and_trained_with_a_head() {
        let model = Description::read(&oracle("tiny-encoder")).unwrap();
        let bi_encoder = model.bi_encoder.unwrap();
        assert_eq!((model.labels.len(), bi_encoder.pooling), (0, "mean"));
        // The file has a pooler; the classifier's weights and its bias are new.
        assert_eq!(model.trained_parameters, model.parameters + model.hidden + 1);
    }

    #[test]
    fn longer_and_larger_batches_take_more_memory_and_checkpointing_takes_less() {
        let model = Description::read(&oracle("tiny-modernbert")).unwrap();
        let bytes = |pairs, tokens| {
            let [kept, computed_again] = [false, true].map(|gradient_checkpointing| {
                model.training_bytes(TrainingBatch {
                    pairs,
                    tokens,
                    gradient_checkpointing,
                    is_on_gpu: false,
                })
            });
            assert!(computed_again <= kept && (computed_again < kept) == (pairs > 0));
            kept
        };
        assert!(bytes(1, 8) < bytes(32, 64) && bytes(32, 64) < bytes(32, 128));
        assert_eq!(bytes(0, 0), (100 << 20) + 16 * model.trained_parameters as u64);
    }
}
