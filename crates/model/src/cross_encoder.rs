use crate::config::BertConfig;
use crate::embeddings::mask;
use crate::encoder::{Encoder, StepDropout, first, linear_slots};
use crate::error::{Error, Result};
use crate::score::by_length;
use crate::tokenizer::{Packed, PairTokenizer};
use crate::weights::{self, Slot, Tensors};
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use std::collections::HashMap;
use std::path::Path;
use whetstone_kernels::Precision;
use whetstone_records::Progress;

/// BertForSequenceClassification with one label: encoder, pooler over the first token, classifier.
#[derive(Module, Debug)]
pub struct CrossEncoderNetwork {
    encoder: Encoder,
    pooler: Linear,
    classifier: Linear,
}

/// Standard deviation of a fresh head: BERT's `initializer_range`.
const HEAD_STD: f32 = 0.02;
const CLASSIFIER: &str = "classifier.weight";

impl CrossEncoderNetwork {
    fn init(config: &BertConfig, device: &Device) -> Self {
        Self {
            encoder: Encoder::init(config, device),
            pooler: LinearConfig::new(config.hidden_size, config.hidden_size).init(device),
            classifier: LinearConfig::new(config.hidden_size, 1).init(device),
        }
    }

    /// Loads a model folder that has a relevance head.
    ///
    /// # Errors
    /// [`Error::NoHead`] for an encoder alone; names, shapes and files as in [`Error`].
    pub fn load(model_dir: &Path, device: &Device) -> Result<Self> {
        let path = model_dir.join("model.safetensors");
        let tensors = weights::read_tensors(&path)?;
        if !tensors.contains_key(CLASSIFIER) {
            return Err(Error::NoHead { path: model_dir.into() });
        }
        Self::from_tensors(model_dir, tensors, device)
    }

    /// Loads a model folder; where it has no relevance head, makes one from `seed`.
    pub fn load_or_init_head(model_dir: &Path, seed: u64, device: &Device) -> Result<Self> {
        let path = model_dir.join("model.safetensors");
        let mut tensors = weights::read_tensors(&path)?;
        if !tensors.contains_key(CLASSIFIER) {
            if !tensors.contains_key("bert.embeddings.word_embeddings.weight") {
                tensors = tensors
                    .into_iter()
                    .map(|(name, tensor)| (format!("bert.{name}"), tensor))
                    .collect();
            }
            add_head(&mut tensors, BertConfig::load(model_dir)?.hidden_size, seed);
        }
        Self::from_tensors(model_dir, tensors, device)
    }

    fn from_tensors(model_dir: &Path, tensors: Tensors, device: &Device) -> Result<Self> {
        let mut network = Self::init(&BertConfig::load(model_dir)?, device);
        weights::fill(network.slots(), tensors, &model_dir.join("model.safetensors"), device)?;
        Ok(network)
    }

    /// Returns the logit of every pair, `[batch]`.
    pub fn forward(
        &self,
        batch: &Packed,
        dropout: Option<StepDropout>,
        device: &Device,
    ) -> Tensor<1> {
        self.head(self.encoder.forward_first(batch, dropout, device), dropout, device)
    }

    /// The same in plain burn operations on padded sequences: what runs where there is no fused
    /// layer.
    pub fn forward_padded(
        &self,
        batch: &Packed,
        dropout: Option<StepDropout>,
        device: &Device,
    ) -> Tensor<1> {
        self.head(first(self.encoder.forward_padded(batch, dropout, device)), dropout, device)
    }

    fn head(&self, first: Tensor<2>, dropout: Option<StepDropout>, device: &Device) -> Tensor<1> {
        let pooled = self.pooler.forward(first).tanh(); // [batch, hidden]
        let pooled = match dropout {
            Some(d) if d.hidden > 0.0 => {
                pooled.clone() * mask(d.site(d.hidden, 0, 4), pooled.dims(), device)
            }
            _ => pooled,
        };
        let [sequences, _] = pooled.dims();
        self.classifier.forward(pooled).reshape([sequences]) // [batch]
    }

    /// The same network with its large products in another precision; f32 after loading. Only the
    /// fused layer reads it.
    pub fn with_precision(mut self, precision: Precision) -> Self {
        self.encoder.set_precision(precision);
        self
    }

    /// Keeps the embeddings as they are from now on: they get no gradient.
    pub fn freeze_embeddings(&mut self) {
        for (name, slot) in self.slots() {
            if name.starts_with("bert.embeddings.") {
                slot.freeze();
            }
        }
    }

    /// Moves every parameter towards that of `other` by `share` of the way; with `keep_head`,
    /// pooler and classifier stay. After LM-Cocktail (Xiao et al. 2023): what fine-tuning forgot
    /// comes back, most of what it learned stays.
    pub fn blend(&mut self, mut other: Self, share: f32, keep_head: bool) {
        for ((name, slot), (_, other)) in self.slots().into_iter().zip(other.slots()) {
            let is_head = name.starts_with("classifier.") || name.starts_with("bert.pooler.");
            if !(keep_head && is_head) {
                slot.blend(other, share);
            }
        }
    }

    /// Every parameter under its Hugging Face name.
    pub fn slots(&mut self) -> Vec<(String, Slot<'_>)> {
        let mut slots = self.encoder.slots("bert.");
        linear_slots(&mut self.pooler, "bert.pooler.dense", &mut slots);
        linear_slots(&mut self.classifier, "classifier", &mut slots);
        slots
    }

    /// Writes `model.safetensors` with Hugging Face's names and layouts.
    pub fn save(&self, path: &Path) -> Result<()> {
        weights::save(self.clone().slots(), path)
    }
}

/// Returns whether a model folder has a relevance head.
pub fn has_head(model_dir: &Path) -> Result<bool> {
    Ok(weights::read_names(&model_dir.join("model.safetensors"))?
        .iter()
        .any(|name| name == CLASSIFIER))
}

/// Adds a classifier, and a pooler where there is none.
fn add_head(tensors: &mut Tensors, hidden: usize, seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut normal = |len: usize| -> Vec<f32> {
        (0..len).map(|_| HEAD_STD * standard_normal(&mut rng)).collect()
    };
    let mut add = |name: &str, shape: Vec<usize>, values: Vec<f32>| {
        tensors.entry(name.to_owned()).or_insert((shape, values));
    };
    add(CLASSIFIER, vec![1, hidden], normal(hidden));
    add("classifier.bias", vec![1], vec![0.0]);
    add("bert.pooler.dense.weight", vec![hidden, hidden], normal(hidden * hidden));
    add("bert.pooler.dense.bias", vec![hidden], vec![0.0; hidden]);
}

/// Box & Muller 1958.
fn standard_normal(rng: &mut ChaCha8Rng) -> f32 {
    let mut uniform = || (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
    let (u, v) = (1.0 - uniform(), uniform());
    ((-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()) as f32
}

/// A cross-encoder that scores.
pub struct CrossEncoder {
    network: CrossEncoderNetwork,
    tokenizer: PairTokenizer,
    device: Device,
}

impl CrossEncoder {
    /// Loads a model folder; `max_seq_tokens` defaults to what the folder says, at most the model's
    /// positions.
    pub fn load(model_dir: &Path, max_seq_tokens: Option<usize>, device: &Device) -> Result<Self> {
        let limit = match max_seq_tokens {
            Some(limit) => limit,
            None => PairTokenizer::stored_limit(model_dir)?,
        };
        let tokenizer = PairTokenizer::open(model_dir, limit)?;
        Ok(Self {
            network: CrossEncoderNetwork::load(model_dir, device)?,
            tokenizer,
            device: device.clone(),
        })
    }

    /// Wraps a network that is already in memory.
    pub fn new(network: CrossEncoderNetwork, tokenizer: PairTokenizer, device: &Device) -> Self {
        Self { network, tokenizer, device: device.clone() }
    }

    /// Returns the raw logit of every pair (query, passage), in the order given.
    pub fn score(&self, pairs: &[(&str, &str)], progress: &dyn Progress) -> Result<Vec<f32>> {
        // Each text once: reranking repeats the query with every candidate, and often the passage
        // too.
        let mut index = HashMap::new();
        let mut texts = Vec::new();
        let mut number = |text| {
            *index.entry(text).or_insert_with(|| {
                texts.push(text);
                texts.len() - 1
            })
        };
        let numbered: Vec<(usize, usize)> =
            pairs.iter().map(|&(query, passage)| (number(query), number(passage))).collect();
        let tokens = self.tokenizer.tokenize(&texts)?;
        let lengths: Vec<usize> = numbered
            .iter()
            .map(|&(query, passage)| self.tokenizer.joined_len(&tokens[query], &tokens[passage]))
            .collect();
        let mut logits = vec![0f32; pairs.len()];
        for group in by_length(&lengths) {
            let batch = self
                .tokenizer
                .batch(group.iter().map(|&i| (&tokens[numbered[i].0], &tokens[numbered[i].1])));
            let scores = self.network.forward(&batch, None, &self.device);
            let scores: Vec<f32> =
                scores.into_data().try_into_vec().expect("the network computes in f32");
            group.iter().zip(scores).for_each(|(&i, score)| logits[i] = score);
            progress.advance(group.len() as u64);
        }
        Ok(logits)
    }
}
