//! What a training config holds, and the checks on it.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use whetstone_model::Precision;
use whetstone_records::DataSet;

/// Used if neither the config nor the data set states the input length.
const MAX_SEQ_TOKENS: usize = 256;

/// Everything that shapes a training run. `configs/reference.toml` says when to change what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct TrainConfig {
    /// A Hugging Face id, `minilm-l6`, or a folder.
    pub model: String,
    /// What the model becomes.
    pub kind: ModelKind,
    /// The label of the base model's classifier that is the score: its name in config.json, its
    /// number, or the difference of two, `entailment - contradiction`. One label needs no key.
    pub head_label: Option<String>,
    /// Seeds the data order, dropout and a fresh head.
    pub seed: u64,
    pub epochs: usize,
    /// Pairs in one forward pass.
    pub batch_pairs: usize,
    /// Batches per optimizer step; their gradients are averaged.
    pub accumulation_steps: usize,
    /// Longest query and passage together, in tokens; by default the data set's own limit.
    pub max_seq_tokens: Option<usize>,
    /// Number of first epochs, and the warm start before them, that cut pairs at
    /// `short_seq_tokens`.
    pub short_epochs: usize,
    pub short_seq_tokens: usize,
    pub loss: LossName,
    /// Only for `mse` and `margin-mse`: a reranker whose scores replace the pairs' own `teacher`
    /// scores, by its folder or its Hugging Face id.
    pub teacher: Option<PathBuf>,
    /// For each layer of the model, the layer of the teacher whose output it learns too, both
    /// counted from 0. Empty: logits alone.
    pub teacher_layers: Vec<usize>,
    /// Only for `hinge`.
    pub margin: f32,
    /// Only for `softmax`: what the scores are divided by. Below 1, the loss looks at the negatives
    /// that come near the positive.
    pub softmax_temperature: f32,
    /// Only for `lambda`.
    pub lambda_weighting: LambdaWeighting,
    /// Only for `bce`: weight of the positives; by default negatives / positives.
    pub positive_weight: Option<f32>,
    pub learning_rate: f64,
    /// Peak learning rate of the full-length epochs, whose schedule then starts anew. By default
    /// one schedule spans all epochs.
    pub full_length_learning_rate: Option<f64>,
    /// Factor on the learning rate from each layer to the one below. The head has the full rate.
    pub layer_decay: f64,
    /// Keeps the embeddings fixed.
    pub freeze_embeddings: bool,
    /// Factor on the learning rate of a randomly initialised head.
    pub fresh_head_multiplier: f64,
    /// Steps in which a randomly initialised head first learns to score like the base model's own
    /// embeddings.
    pub warm_start_steps: usize,
    /// Peak learning rate of the warm start.
    pub warm_start_learning_rate: f64,
    pub schedule: Schedule,
    pub warmup_fraction: f64,
    /// Not applied to biases and LayerNorms.
    pub weight_decay: f64,
    /// Gradients are scaled down to this global norm; 0 turns clipping off.
    pub max_grad_norm: f64,
    /// On embeddings, sub-layers and attention; by default the model's own.
    pub dropout: Option<f32>,
    /// Precision of the large matrix products in training. Falls back to f32 on a CPU without
    /// bfloat16. Evaluation always uses f32.
    pub precision: Precision,
    /// Keeps only each layer's input for the backward pass, which then computes the layer again: the
    /// same weights from less memory for more work. Only where the CPU's kernels serve the model.
    pub gradient_checkpointing: bool,
    /// Steps between two evaluations (dev nDCG@10), each with a checkpoint.
    pub eval_every_steps: usize,
    /// Stops after this many evaluations without a better one; 0 turns this off.
    pub patience: usize,
    /// How many recent checkpoints are kept beside the first and the best one.
    pub keep_checkpoints: usize,
    /// A second data set with a dev.jsonl. Its nDCG@10 is logged to show what the model forgets.
    pub general_dev: Option<PathBuf>,
    /// Fraction of the base model's weights mixed into the best checkpoint at the end; 0 turns this
    /// off.
    pub interpolate: f64,
    /// Makes a sign of collapse an error instead of a warning.
    pub strict: bool,
}

/// How a model scores a pair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelKind {
    /// It reads query and passage together.
    #[default]
    CrossEncoder,
    /// It reads them apart and compares their tokens: the maximum similarity. It takes a bi-encoder or
    /// a late interaction as its base, and a loss that compares passages.
    LateInteraction,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LossName {
    /// Binary cross-entropy on each pair.
    Bce,
    /// Squared error to a teacher's scores.
    Mse,
    /// max(0, margin − (positive − negative)) over the pairs of a query.
    Hinge,
    /// Squared error to a teacher's score differences within a query.
    MarginMse,
    /// −log σ(better − worse) over the pairs of a query.
    #[serde(rename = "ranknet")]
    RankNet,
    /// RankNet with the pairs weighted by their effect on nDCG.
    Lambda,
    /// Cross-entropy of a query's passages, the positive as the target.
    Softmax,
    /// Cross-entropy between the distributions of labels and logits of a query.
    #[serde(rename = "listnet")]
    ListNet,
    /// Likelihood of the order of a query's labels.
    #[serde(rename = "listmle")]
    ListMle,
}

impl LossName {
    /// Returns whether a query's pairs must share a batch.
    pub fn compares(self) -> bool {
        !matches!(self, LossName::Bce | LossName::Mse)
    }

    /// Returns whether every pair needs a teacher's score.
    pub fn needs_teacher(self) -> bool {
        matches!(self, LossName::Mse | LossName::MarginMse)
    }
}

/// How [`LossName::Lambda`] weights a pair (Wang et al. 2018).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LambdaWeighting {
    None,
    NdcgLoss1,
    NdcgLoss2,
    LambdaRank,
    /// 10 · NDCGLoss2 + LambdaRank.
    NdcgLoss2pp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    Constant,
    /// Falls to 0 at the last step.
    Linear,
    /// Half a cosine, falling to 0 at the last step.
    Cosine,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            model: "cross-encoder/ms-marco-MiniLM-L6-v2".into(),
            kind: ModelKind::CrossEncoder,
            head_label: None,
            seed: 1,
            epochs: 2,
            batch_pairs: 32,
            accumulation_steps: 1,
            max_seq_tokens: None,
            short_epochs: 0,
            short_seq_tokens: 128,
            loss: LossName::Bce,
            teacher: None,
            teacher_layers: vec![],
            margin: 1.0,
            softmax_temperature: 1.0,
            lambda_weighting: LambdaWeighting::NdcgLoss2pp,
            positive_weight: None,
            learning_rate: 2e-5,
            full_length_learning_rate: None,
            layer_decay: 1.0,
            freeze_embeddings: false,
            fresh_head_multiplier: 10.0,
            warm_start_steps: 150,
            warm_start_learning_rate: 1e-4,
            schedule: Schedule::Linear,
            warmup_fraction: 0.1,
            weight_decay: 0.01,
            max_grad_norm: 1.0,
            dropout: None,
            precision: Precision::F32,
            gradient_checkpointing: false,
            eval_every_steps: 100,
            patience: 5,
            keep_checkpoints: 1,
            general_dev: None,
            interpolate: 0.0,
            strict: false,
        }
    }
}

/// Refuses the value of a key unless it is good.
fn range(key: &'static str, value: f64, is_good: bool, expected: &str) -> Result<()> {
    match is_good {
        true => Ok(()),
        false => Err(Error::Value { key, expected: expected.into(), value: value.to_string() }),
    }
}

impl TrainConfig {
    /// Reads and checks a TOML file. A parse error shows the line and a caret.
    pub fn load(path: &Path) -> Result<Self> {
        let text = whetstone_records::read_text(path)?;
        let config: Self = toml::from_str(&text)
            .map_err(|source| Error::Config { path: path.into(), source: Box::new(source) })?;
        config.check()?;
        Ok(config)
    }

    /// Returns the config with the data set's own limit as `max-seq-tokens`.
    ///
    /// # Errors
    /// [`Error::MaxSeqTokens`] if both state a limit and the two differ.
    pub(crate) fn for_data(&self, data: &Path) -> Result<Self> {
        let (config, own) = (self.max_seq_tokens, DataSet::new(data).max_seq_tokens()?);
        if let (Some(config), Some(own)) = (config, own)
            && config != own
        {
            return Err(Error::MaxSeqTokens { config, data: own, path: data.into() });
        }
        let max_seq_tokens = Some(config.or(own).unwrap_or(MAX_SEQ_TOKENS));
        Ok(Self { max_seq_tokens, ..self.clone() })
    }

    /// Longest query and passage together, in tokens.
    pub fn max_seq_tokens(&self) -> usize {
        self.max_seq_tokens.unwrap_or(MAX_SEQ_TOKENS)
    }

    /// Refuses a step with fewer batches than devices.
    pub(crate) fn check_devices(&self, devices: usize) -> Result<()> {
        if self.accumulation_steps >= devices {
            return Ok(());
        }
        let expected = format!("at least {devices}, a batch for each device");
        Err(Error::Value {
            key: "accumulation-steps",
            expected,
            value: self.accumulation_steps.to_string(),
        })
    }

    /// Refuses values out of range, naming the key and the value.
    pub fn check(&self) -> Result<()> {
        if self.precision == Precision::F16 {
            // No loss is scaled up, so small gradients would vanish. A file cannot name it at all.
            let expected = "f32 or bf16".to_owned();
            return Err(Error::Value { key: "precision", expected, value: "f16".into() });
        }
        for (key, lr) in [
            ("learning-rate", self.learning_rate),
            (
                "full-length-learning-rate",
                self.full_length_learning_rate.unwrap_or(self.learning_rate),
            ),
            ("warm-start-learning-rate", self.warm_start_learning_rate),
        ] {
            range(key, lr, lr > 0.0 && lr <= 1e-2, "in (0, 0.01], usually 1e-5 to 1e-4")?;
        }
        let head = self.fresh_head_multiplier;
        range("fresh-head-multiplier", head, (1.0..=1000.0).contains(&head), "in 1..=1000")?;
        range(
            "layer-decay",
            self.layer_decay,
            self.layer_decay > 0.0 && self.layer_decay <= 1.0,
            "in (0, 1]",
        )?;
        range(
            "interpolate",
            self.interpolate,
            (0.0..1.0).contains(&self.interpolate),
            "in [0, 1)",
        )?;
        range(
            "warmup-fraction",
            self.warmup_fraction,
            (0.0..1.0).contains(&self.warmup_fraction),
            "in [0, 1)",
        )?;
        range(
            "weight-decay",
            self.weight_decay,
            (0.0..=1.0).contains(&self.weight_decay),
            "in 0..=1",
        )?;
        range("max-grad-norm", self.max_grad_norm, self.max_grad_norm >= 0.0, "at least 0")?;
        self.check_loss()?;
        let dropout = self.dropout.unwrap_or(0.0);
        range("dropout", dropout.into(), (0.0..0.9).contains(&dropout), "in [0, 0.9)")?;
        for (key, value) in [
            ("epochs", self.epochs),
            ("batch-pairs", self.batch_pairs),
            ("accumulation-steps", self.accumulation_steps),
            ("eval-every-steps", self.eval_every_steps),
            ("keep-checkpoints", self.keep_checkpoints),
        ] {
            range(key, value as f64, value > 0, "at least 1")?;
        }
        self.check_kind().and_then(|()| self.check_teacher())?;
        self.check_short_epochs()
    }

    /// Refuses what a late interaction has no use for: it has no head, and no single score of its own
    /// means anything.
    fn check_kind(&self) -> Result<()> {
        if self.kind == ModelKind::CrossEncoder {
            return Ok(());
        }
        let refuse = |key, expected: &str, value: String| {
            let expected = format!("{expected} where `kind` is `late-interaction`");
            Err(Error::Value { key, expected, value })
        };
        if let Some(label) = &self.head_label {
            return refuse("head-label", "left out", label.clone());
        }
        if !self.teacher_layers.is_empty() {
            return refuse("teacher-layers", "left out", format!("{:?}", self.teacher_layers));
        }
        if !self.loss.compares() {
            let loss = format!("{:?}", self.loss).to_lowercase();
            return refuse(
                "loss",
                "one that compares the passages of a query, such as `softmax`,",
                loss,
            );
        }
        Ok(())
    }

    fn check_loss(&self) -> Result<()> {
        range("margin", self.margin.into(), self.margin > 0.0, "above 0")?;
        let temperature = self.softmax_temperature;
        let is_good = temperature >= 0.01 && temperature.is_finite();
        range("softmax-temperature", temperature.into(), is_good, "at least 0.01")?;
        let weight = self.positive_weight.unwrap_or(1.0);
        range("positive-weight", weight.into(), weight > 0.0 && weight.is_finite(), "above 0")
    }

    fn check_teacher(&self) -> Result<()> {
        match self.teacher.as_ref().filter(|_| !self.loss.needs_teacher()) {
            None => Ok(()),
            Some(teacher) => {
                let expected = "left out unless `loss` is `mse` or `margin-mse`".into();
                let value = teacher.display().to_string();
                Err(Error::Value { key: "teacher", expected, value })
            }
        }
    }

    /// Refuses a run whose last epoch is short: the model is used on full-length texts.
    fn check_short_epochs(&self) -> Result<()> {
        let refuse = |key, expected: String, value: usize| {
            Err(Error::Value { key, expected, value: value.to_string() })
        };
        if self.short_epochs >= self.epochs {
            let expected = format!(
                "below `epochs` ({}): the last epoch must see pairs at full length",
                self.epochs
            );
            return refuse("short-epochs", expected, self.short_epochs);
        }
        if let (0, Some(rate)) = (self.short_epochs, self.full_length_learning_rate) {
            let expected =
                "left out while `short-epochs` is 0: `learning-rate` holds for all epochs".into();
            return Err(Error::Value {
                key: "full-length-learning-rate",
                expected,
                value: rate.to_string(),
            });
        }
        let limit = self.max_seq_tokens.unwrap_or(usize::MAX);
        if self.short_epochs > 0 && self.short_seq_tokens > limit {
            let expected = format!("at most `max-seq-tokens` ({limit})");
            return refuse("short-seq-tokens", expected, self.short_seq_tokens);
        }
        Ok(())
    }
}
