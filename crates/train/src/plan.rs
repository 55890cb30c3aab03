//! The plan of a run, made before its first step: the data, the order of the steps and their rates.

use crate::config::{LossName, ModelKind, TrainConfig};
use crate::data::{Batch, Pairs};
use crate::dev::{Dev, DevSet, Mute, general_dev};
use crate::error::Result;
use crate::loss::{Loss, Targets, loss, soft_bce};
use crate::optimizer::Rates;
use crate::order::batches;
use crate::schedule::{learning_rate, warmup_steps};
use crate::states::StateTeacher;
use crate::teacher;
use rayon::prelude::*;
use std::ops::Range;
use std::path::Path;
use std::sync::mpsc::SyncSender;
use whetstone_model::{
    Architecture, BiEncoder, DropoutRates, Engine, HeadStart, LateInteraction, PairTokenizer, Spec,
    StepDropout, head_start,
};
use whetstone_records::{DataSet, Input, ModelDir};

/// What stays the same during a run.
pub(crate) struct Fit<'a> {
    pub config: &'a TrainConfig,
    pub data: Pairs,
    /// None if no dev set can tell models apart; then the last step is the best.
    pub dev: Option<Dev>,
    /// Why a dev set that exists cannot tell models apart.
    pub mute: Option<Mute>,
    pub general: Option<Dev>,
    pub tokenizer: PairTokenizer,
    /// For the short epochs, if there are any.
    short_tokenizer: Option<PairTokenizer>,
    pub model_dir: &'a Path,
    /// The first holds the network; all share the batches of a step.
    pub engines: Vec<Engine>,
    /// For each step its epoch and its batches. Steps of the warm start come first, as epoch 0.
    pub steps: Vec<(usize, Vec<Vec<usize>>)>,
    /// What the base model's head is to training.
    pub head: HeadStart,
    pub is_fresh: bool,
    /// Number of warm-start steps. In these a random head learns the scores of the base model's own
    /// embeddings, so that a small data set is not spent on what these know already.
    pub warm_steps: usize,
    /// The step at which the schedule restarts for the full-length epochs. Past the last step if
    /// one schedule spans all.
    anew: usize,
    /// The teacher's score of every pair; empty if the loss needs none, and until a model that is
    /// the teacher has given them.
    pub teacher: Vec<f32>,
    /// Present if layers learn from layers.
    pub states: Option<StateTeacher>,
    pub positive_weight: f32,
    pub dropout: DropoutRates,
    /// The shape of the network.
    pub spec: Spec,
}

/// Returns the SHA-256 of every file that a run depends on.
pub(crate) fn inputs(data: &Path, model_dir: &Path, config: &TrainConfig) -> Result<Vec<Input>> {
    let model = ModelDir::new(model_dir);
    let mut files = vec![("train".to_owned(), DataSet::new(data).train())];
    files.extend(model.with_roles("model", &model.weight_files()?));
    files.extend(model.with_roles("tokenizer", model.tokenizer_files()));
    if config.kind == ModelKind::LateInteraction {
        let late = model.late_interaction_files().into_iter();
        files.extend(late.map(|file| (format!("model {file}"), model.path(file))));
    }
    if let Some(model) = &config.teacher {
        files.extend(teacher::inputs(model)?);
    }
    let general = config.general_dev.as_deref().map(|folder| ("general-dev", folder));
    for (role, folder) in [("dev", data)].into_iter().chain(general) {
        let folder = DataSet::new(folder);
        let dev = [(role.to_owned(), folder.dev()), (format!("{role}-qrels"), folder.dev_qrels())];
        files.extend(dev.into_iter().filter(|(_, path)| path.exists()));
    }
    let hashed: Vec<Result<_>> =
        files.into_par_iter().map(|(role, path)| Ok(Input::of_file(role, &path)?)).collect();
    // Collected in order, so that the same error is always reported first.
    hashed.into_iter().collect()
}

/// The tokenizer of such a model. Its limit is that of a pair, or of a late interaction's passage.
fn tokenizer(model_dir: &Path, config: &TrainConfig, limit: usize) -> Result<PairTokenizer> {
    Ok(match config.kind {
        ModelKind::CrossEncoder => PairTokenizer::open(model_dir, limit)?,
        ModelKind::LateInteraction => PairTokenizer::for_late_interaction(model_dir, limit)?,
    })
}

/// The tokenizer of the epochs on the beginnings of pairs, if there are any.
fn short_tokenizer(model_dir: &Path, config: &TrainConfig) -> Result<Option<PairTokenizer>> {
    let short = || tokenizer(model_dir, config, config.short_seq_tokens);
    (config.short_epochs > 0).then(short).transpose()
}

/// Reads the dev set. Returns why it says nothing, where it can't tell models apart.
fn dev_of(data: &Path, tokenizer: &PairTokenizer) -> Result<(Option<Dev>, Option<Mute>)> {
    Ok(match Dev::read(data, tokenizer)? {
        DevSet::Telling(dev) => (Some(dev), None),
        DevSet::Mute(why) => (None, Some(why)),
        DevSet::Missing => (None, None),
    })
}

/// Lays out the steps by the batches of each epoch: for each, its epoch, which is 0 in the warm
/// start, and its batches.
fn steps(
    config: &TrainConfig,
    warm_steps: usize,
    of_epoch: impl Fn(usize) -> Vec<Vec<usize>>,
) -> Vec<(usize, Vec<Vec<usize>>)> {
    let of_step = |epoch| {
        let batches = of_epoch(epoch);
        batches.chunks(config.accumulation_steps).map(<[_]>::to_vec).collect::<Vec<_>>()
    };
    // These orders use epoch numbers that no real epoch reaches.
    let warm = (0..).flat_map(|round| of_step(usize::MAX / 2 + round)).take(warm_steps);
    let epochs = (0..config.epochs)
        .flat_map(|epoch| of_step(epoch).into_iter().map(move |step| (epoch + 1, step)));
    warm.map(|step| (0, step)).chain(epochs).collect()
}

impl<'a> Fit<'a> {
    /// Reads the data and lays out the steps.
    pub fn prepare(
        data: &Path,
        model_dir: &'a Path,
        config: &'a TrainConfig,
        engines: Vec<Engine>,
    ) -> Result<Self> {
        let tokenizer = tokenizer(model_dir, config, config.max_seq_tokens())?;
        let short_tokenizer = short_tokenizer(model_dir, config)?;
        let path = DataSet::new(data).train();
        let pairs = Pairs::read(&path)?;
        let balance = pairs.balance(&path)?;
        let teacher = pairs.teacher_scores(&path, config)?;
        let units = pairs.units(config)?;
        let spec = Architecture::read(model_dir)?.spec;
        let bucket = engines[0].pads(&spec);
        let of_epoch =
            |epoch| batches(&units, &pairs.sizes, config.batch_pairs, bucket, (config.seed, epoch));
        let head = match config.kind {
            ModelKind::CrossEncoder => head_start(model_dir, config.head_label.as_deref())?,
            ModelKind::LateInteraction => HeadStart::Taken,
        };
        let is_fresh = head != HeadStart::Taken;
        // The encoder of a late interaction never learned vectors of whole texts.
        let can_teach = !LateInteraction::is_in(model_dir)?;
        let warm_steps = if is_fresh && can_teach { config.warm_start_steps } else { 0 };
        let steps = steps(config, warm_steps, of_epoch);
        let is_anew = |(epoch, _): &(usize, _)| {
            config.full_length_learning_rate.is_some() && *epoch > config.short_epochs
        };
        let anew = steps.iter().position(is_anew).unwrap_or(steps.len());
        let (dev, mute) = dev_of(data, &tokenizer)?;
        let states = StateTeacher::load(model_dir, config, &engines[0])?;
        Ok(Self {
            config,
            data: pairs,
            dev,
            mute,
            general: general_dev(config.general_dev.as_ref(), &tokenizer)?,
            tokenizer,
            short_tokenizer,
            model_dir,
            engines,
            steps,
            head,
            is_fresh,
            warm_steps,
            anew,
            teacher,
            states,
            positive_weight: config.positive_weight.unwrap_or(balance),
            dropout: config
                .dropout
                .map_or(spec.dropout, |rate| DropoutRates { hidden: rate, attention: rate }),
            spec,
        })
    }

    /// Prepares the batches of the steps from `first` on and sends them in order. Ends after the
    /// last step or once the receiver is gone.
    pub fn feed(&self, first: usize, ready: &SyncSender<Result<Vec<Batch>>>) {
        let mut bi_encoder = None;
        for step in first..self.steps.len() {
            let batches = self.ready(step, &mut bi_encoder);
            if ready.send(batches).is_err() {
                break;
            }
        }
    }

    fn ready(&self, step: usize, bi_encoder: &mut Option<BiEncoder>) -> Result<Vec<Batch>> {
        if step >= self.warm_steps {
            *bi_encoder = None;
        } else if bi_encoder.is_none() {
            *bi_encoder = Some(BiEncoder::load(self.model_dir, &self.engines[0].for_inference())?);
        }
        let (epoch, batches) = &self.steps[step];
        let short = self.short_tokenizer.as_ref().filter(|_| *epoch <= self.config.short_epochs);
        let tokenizer = short.unwrap_or(&self.tokenizer);
        batches
            .iter()
            .map(|indices| self.data.batch(indices, tokenizer, bi_encoder.as_ref()))
            .collect()
    }

    /// Returns the dropout of one batch of a step.
    pub fn dropout(&self, step: usize, part: usize) -> StepDropout {
        let DropoutRates { hidden, attention } = self.dropout;
        let seed = self.config.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)
            ^ step as u64
            ^ (part as u64) << 40;
        StepDropout { hidden, attention, seed }
    }

    /// Returns the loss of a batch: towards the embeddings' scores in the warm start, the
    /// configured one after it.
    pub fn loss(&self, batch: &Batch, logits: &[f32]) -> Option<Loss> {
        if let Some(labels) = &batch.warm_labels {
            return soft_bce(logits, labels);
        }
        let teacher = batch.indices.iter().filter_map(|&pair| self.teacher.get(pair).copied());
        let teacher: Vec<f32> = teacher.collect();
        let targets =
            Targets { labels: &self.labels(batch), teacher: &teacher, groups: &self.groups(batch) };
        loss(self.config, self.positive_weight, logits, &targets)
    }

    /// Returns the label of each pair of a batch.
    pub fn labels(&self, batch: &Batch) -> Vec<f32> {
        batch.indices.iter().map(|&pair| self.data.labels[pair]).collect()
    }

    /// Returns for each pair of a batch the number of its query.
    pub fn groups(&self, batch: &Batch) -> Vec<usize> {
        batch.indices.iter().map(|&pair| self.data.groups[pair]).collect()
    }

    /// Returns labels and positive weight where the batch's loss is the cross-entropy of each pair.
    pub fn cross_entropy(&self, batch: &Batch) -> Option<(Vec<f32>, f32)> {
        match &batch.warm_labels {
            Some(labels) => Some((labels.clone(), 1.0)),
            None if self.config.loss == LossName::Bce => {
                Some((self.labels(batch), self.positive_weight))
            }
            None => None,
        }
    }

    /// Returns the steps of the schedule that `step` belongs to, and its peak learning rate.
    fn part(&self, step: usize) -> (Range<usize>, f64) {
        let (config, warm, anew, end) = (self.config, self.warm_steps, self.anew, self.steps.len());
        match step {
            _ if step < warm => (0..warm, config.warm_start_learning_rate),
            _ if step < anew => (warm..anew, config.learning_rate),
            _ => (anew..end, config.full_length_learning_rate.unwrap_or(config.learning_rate)),
        }
    }

    /// Returns whether the learning rate is still rising.
    pub fn is_warming_up(&self, step: usize) -> bool {
        let (part, _) = self.part(step);
        step - part.start < warmup_steps(self.config, part.len())
    }

    /// Returns the learning rates of a step.
    pub fn rates(&self, step: usize) -> Rates {
        let (part, peak) = self.part(step);
        let base = learning_rate(self.config, peak, step - part.start, part.len());
        // After a warm start the head is no longer fresh.
        let is_fresh = self.is_fresh && (step < self.warm_steps || self.warm_steps == 0);
        let head_multiplier = if is_fresh { self.config.fresh_head_multiplier } else { 1.0 };
        Rates { base, head_multiplier, layer_decay: self.config.layer_decay }
    }
}
