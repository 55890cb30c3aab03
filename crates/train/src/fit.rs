use crate::checkpoint::{Best, Checkpoints, Identity, State};
use crate::config::TrainConfig;
use crate::data::{Dev, Pairs};
use crate::error::{Error, Result};
use crate::loss::{Loss, Targets, loss, soft_bce};
use crate::optimizer::AdamW;
use crate::order::batches;
use crate::schedule::learning_rate;
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::Instant;
use whetstone_model::fused::Precision;
use whetstone_model::{BertConfig, BiEncoder, CrossEncoderNetwork, PairTokenizer, StepDropout, has_head};
use whetstone_records::{Manifest, Progress, Stage, sha256_file};

/// One line of log.jsonl. It holds nothing that changes from run to run, such as times.
#[derive(Serialize)]
#[serde(untagged)]
enum LogLine {
    Step {
        step: usize,
        epoch: usize,
        loss: f32,
        lr: f64,
        grad_norm: f64,
        pairs: usize,
        tokens: usize,
    },
    Dev {
        step: usize,
        #[serde(rename = "dev_ndcg@10")]
        dev_ndcg_at_10: f64,
    },
}

/// What stays the same during a run.
struct Fit<'a> {
    config: &'a TrainConfig,
    data: Pairs,
    dev: Option<Dev>,
    tokenizer: PairTokenizer,
    model_dir: &'a Path,
    device: Device,
    /// Batches of every epoch, one after the other, after those of the warm start, which count as epoch 0.
    batches: Vec<(usize, Vec<usize>)>,
    warm_start: Option<WarmStart>,
    /// Of every pair; empty where the loss needs none.
    teacher: Vec<f32>,
    positive_weight: f32,
    head_multiplier: f64,
    dropout: (f32, f32),
}

/// The first steps of a head that starts from nothing: the scores of the base model's own embeddings are its labels.
/// Without them, a small data set is spent on what the embeddings know already.
struct WarmStart {
    steps: usize,
    labels: Vec<f32>,
}

/// Fine-tunes the model of `model_dir` on `data/train.jsonl` and leaves a run folder: config.toml, log.jsonl, best.json
/// and step-NNNNNN folders, each a model folder. A run that was stopped goes on from its last checkpoint, and ends with
/// the same bytes as if it had not been stopped.
///
/// # Errors
/// See [`Error`]; a folder that holds another run is refused.
pub fn train(
    data: &Path,
    out: &Path,
    model_dir: &Path,
    config: &TrainConfig,
    device: &Device,
    progress: &dyn Progress,
) -> Result<Manifest> {
    config.check()?;
    let inputs = inputs(data, model_dir)?;
    let stage = Stage::new("train", out, config, inputs.clone());
    if let Some(manifest) = stage.up_to_date() {
        return Ok(manifest);
    }
    std::fs::create_dir_all(out).map_err(Error::io("create folder", out))?;
    let checkpoints = Checkpoints::open(out, &Identity { config: config.clone(), inputs })?;
    let device = device.clone().autodiff();
    let last = checkpoints.last()?;
    let from = last.as_ref().map_or(model_dir.to_path_buf(), |state| checkpoints.folder(state.step));
    let network = CrossEncoderNetwork::load_or_init_head(&from, config.seed, &device)?;
    let network = network.with_precision(config.precision);
    if !config.precision.is_supported() {
        progress.warn("this CPU has no bfloat16 products: training in f32");
    }
    let fit = Fit::prepare(data, model_dir, config, &device, progress)?;
    if fit.dev.is_none() {
        progress.warn("no dev queries: the last step is taken as the best");
    }
    let started = Instant::now();
    let first_step = last.as_ref().map_or(0, |state| state.step);
    let state = fit.run(network, last, &checkpoints, out, progress)?;
    let (counts, notes) = fit.summary(&state, first_step, started.elapsed().as_secs_f64());
    let best = format!("step-{:06}/model.safetensors", state.best.step);
    Ok(stage.finish(&["best.json", "log.jsonl", "config.toml", &best], counts, notes)?)
}

fn inputs(data: &Path, model_dir: &Path) -> Result<BTreeMap<String, String>> {
    let mut inputs = BTreeMap::new();
    for (role, path) in [
        ("train", data.join("train.jsonl")),
        ("dev", data.join("dev.jsonl")),
        ("dev-qrels", data.join("qrels/dev.tsv")),
        ("model", model_dir.join("model.safetensors")),
        ("tokenizer", model_dir.join("tokenizer.json")),
    ] {
        if !role.starts_with("dev") || path.exists() {
            inputs.insert(role.to_owned(), sha256_file(&path)?);
        }
    }
    Ok(inputs)
}

impl<'a> Fit<'a> {
    fn prepare(
        data: &Path,
        model_dir: &'a Path,
        config: &'a TrainConfig,
        device: &Device,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let tokenizer = PairTokenizer::open(model_dir, config.max_seq_tokens)?;
        let path = data.join("train.jsonl");
        let pairs = Pairs::read(&path, &tokenizer)?;
        let balance = pairs.balance(&path)?;
        let teacher = pairs.teacher_scores(&path, config)?;
        let units = pairs.units(config)?;
        let lengths = pairs.lengths(&tokenizer);
        // Devices that pad want batches of like length; the packed CPU path has no padding to save.
        let bucket = *device != Device::flex();
        let of_epoch = |epoch| batches(&units, &lengths, config.batch_pairs, bucket, (config.seed, epoch));
        let is_fresh = !has_head(model_dir)?;
        let warm_start = match config.warm_start_steps {
            steps if steps > 0 && is_fresh => {
                let teacher = BiEncoder::load(model_dir, &device.clone().inner())?;
                Some(WarmStart { steps, labels: pairs.teacher_labels(&teacher, progress) })
            }
            _ => None,
        };
        let warm_steps = warm_start.as_ref().map_or(0, |warm_start| warm_start.steps);
        // Orders of their own, far from those of the epochs.
        let warm = (0..).flat_map(|round| of_epoch(usize::MAX / 2 + round)).take(warm_steps);
        let batches = warm
            .map(|batch| (0, batch))
            .chain(
                (0..config.epochs).flat_map(|epoch| of_epoch(epoch).into_iter().map(move |batch| (epoch + 1, batch))),
            )
            .collect();
        let bert = BertConfig::load(model_dir)?;
        Ok(Self {
            config,
            data: pairs,
            dev: Dev::read(data, &tokenizer)?,
            tokenizer,
            model_dir,
            device: device.clone(),
            batches,
            warm_start,
            teacher,
            positive_weight: config.positive_weight.unwrap_or(balance),
            head_multiplier: if is_fresh { config.fresh_head_multiplier } else { 1.0 },
            dropout: (
                config.dropout.unwrap_or(bert.hidden_dropout_prob),
                config.dropout.unwrap_or(bert.attention_probs_dropout_prob),
            ),
        })
    }

    /// Evaluate → save → stop? → step → log.
    fn run(
        &self,
        mut network: CrossEncoderNetwork,
        resumed: Option<State>,
        checkpoints: &Checkpoints,
        out: &Path,
        progress: &dyn Progress,
    ) -> Result<State> {
        let total = self.batches.len();
        let mut log = Log::open(&out.join("log.jsonl"), resumed.as_ref().map_or(0, |state| state.log_bytes))?;
        let mut optimizer = match &resumed {
            Some(state) if state.step > 0 && checkpoints.optimizer_path(state.step).exists() => {
                AdamW::load(&checkpoints.optimizer_path(state.step), &self.device.clone().inner())?
            }
            _ => AdamW::new(&self.device),
        };
        let mut saved = resumed.as_ref().map(|state| state.step);
        let mut state =
            resumed.unwrap_or(State { step: 0, best: Best { step: 0, ndcg_at_10: None }, stale: 0, log_bytes: 0 });
        progress.start("train", Some(total as u64), "steps");
        progress.advance(state.step as u64);
        let mut dev_text = String::new();
        loop {
            let is_due = state.step.is_multiple_of(self.config.eval_every_steps) || state.step == total;
            if is_due && saved != Some(state.step) {
                // A checkpoint of the warm start is there to go on from, not to be chosen: it has seen no label yet.
                let is_chosen_from = state.step == 0 || state.step > self.warm_steps();
                if let Some(dev) = self.dev.as_ref().filter(|_| is_chosen_from) {
                    let ndcg = self.evaluate(dev, &network);
                    log.write(&LogLine::Dev { step: state.step, dev_ndcg_at_10: ndcg })?;
                    state.note(ndcg);
                    dev_text = format!(", dev nDCG@10 {ndcg:.4}");
                } else if self.dev.is_none() {
                    state.best.step = state.step;
                }
                state.log_bytes = log.bytes;
                let is_over = self.is_over(&state);
                checkpoints.save(&state, &network, (!is_over).then_some(&optimizer), self.model_dir)?;
                saved = Some(state.step);
            }
            if self.is_over(&state) {
                break;
            }
            if state.step == self.warm_steps() {
                // The moments of the warm start belong to another loss.
                optimizer = AdamW::new(&self.device);
            }
            let line = self.step(&mut network, &mut optimizer, state.step)?;
            state.step += 1;
            if let LogLine::Step { loss, .. } = &line {
                progress.message(&format!("loss {loss:.4}{dev_text}"));
            }
            log.write(&line)?;
            progress.advance(1);
        }
        progress.finish();
        Ok(state)
    }

    fn warm_steps(&self) -> usize {
        self.warm_start.as_ref().map_or(0, |warm_start| warm_start.steps)
    }

    fn is_over(&self, state: &State) -> bool {
        state.step == self.batches.len() || (self.config.patience > 0 && state.stale >= self.config.patience)
    }

    /// One forward pass, one backward pass, one update. `step` counts those before this one.
    fn step(&self, network: &mut CrossEncoderNetwork, optimizer: &mut AdamW, step: usize) -> Result<LogLine> {
        let (epoch, indices) = &self.batches[step];
        let batch = self.data.batch(indices, &self.tokenizer);
        let (hidden, attention) = self.dropout;
        let seed = self.config.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ step as u64;
        let dropout = (hidden > 0.0 || attention > 0.0).then_some(StepDropout { hidden, attention, seed });

        let logits = network.forward(&batch, dropout, &self.device); // [batch]
        let values: Vec<f32> = logits.clone().inner().into_data().try_into_vec().expect("the network computes in f32");
        let (lr, head_multiplier) = self.rates(step);
        let (mut value, mut grad_norm) = (0.0, 0.0);
        if let Some(loss) = self.loss(step, indices, &values) {
            value = loss.value as f32;
            if !value.is_finite() {
                return Err(Error::Diverged { step: step + 1, loss: value });
            }
            let gradient: Vec<f32> = loss.gradient.iter().map(|&g| g as f32).collect();
            // The derivative of Σ logit·g is g: autodiff goes on from the gradient that the loss has by hand.
            let gradient = Tensor::<1>::from_data(TensorData::new(gradient, [values.len()]), &self.device);
            let mut gradients = (logits * gradient).sum().backward();
            grad_norm = optimizer.step(network, &mut gradients, lr, head_multiplier, self.config);
        }
        Ok(LogLine::Step {
            step: step + 1,
            epoch: *epoch,
            loss: value,
            lr,
            grad_norm,
            pairs: indices.len(),
            tokens: batch.tokens(),
        })
    }

    /// The loss of a batch: towards the embeddings' own scores during the warm start, as configured after it.
    fn loss(&self, step: usize, indices: &[usize], logits: &[f32]) -> Option<Loss> {
        let of = |values: &[f32]| -> Vec<f32> { indices.iter().filter_map(|&i| values.get(i).copied()).collect() };
        if let Some(warm_start) = self.warm_start.as_ref().filter(|warm_start| step < warm_start.steps) {
            return soft_bce(logits, &of(&warm_start.labels));
        }
        let groups: Vec<usize> = indices.iter().map(|&i| self.data.groups[i]).collect();
        let targets = Targets { labels: &of(&self.data.labels), teacher: &of(&self.teacher), groups: &groups };
        loss(self.config, self.positive_weight, logits, &targets)
    }

    /// The learning rate of a step, and what that of the head is multiplied by.
    fn rates(&self, step: usize) -> (f64, f64) {
        let warm_steps = self.warm_steps();
        if step < warm_steps {
            return (
                learning_rate(self.config, self.config.warm_start_learning_rate, step, warm_steps),
                self.head_multiplier,
            );
        }
        let lr =
            learning_rate(self.config, self.config.learning_rate, step - warm_steps, self.batches.len() - warm_steps);
        (lr, if warm_steps > 0 { 1.0 } else { self.head_multiplier })
    }

    /// Dev nDCG@10 of the present weights.
    fn evaluate(&self, dev: &Dev, network: &CrossEncoderNetwork) -> f64 {
        let network = network.valid().with_precision(Precision::F32);
        let device = self.device.clone().inner();
        let all: Vec<usize> = (0..dev.pairs.len()).collect();
        let mut logits = Vec::with_capacity(all.len());
        for indices in all.chunks(32) {
            let scores = network.forward(&dev.pairs.batch(indices, &self.tokenizer), None, &device);
            logits.extend(scores.into_data().try_into_vec::<f32>().expect("the network computes in f32"));
        }
        dev.ndcg_at_10(&logits)
    }

    fn summary(&self, state: &State, first_step: usize, wall_s: f64) -> (BTreeMap<String, u64>, Vec<String>) {
        let done = &self.batches[first_step..state.step];
        let pairs: usize = done.iter().map(|(_, batch)| batch.len()).sum();
        let lengths = self.data.lengths(&self.tokenizer);
        let tokens: usize = done.iter().flat_map(|(_, batch)| batch).map(|&i| lengths[i]).sum();
        let counts = [
            ("steps", state.step),
            ("best-step", state.best.step),
            ("training-pairs", self.data.len()),
            ("dev-queries", self.dev.as_ref().map_or(0, Dev::queries)),
            ("milli-pairs-per-s", (1e3 * pairs as f64 / wall_s) as usize),
            ("tokens-per-s", (tokens as f64 / wall_s) as usize),
        ];
        let counts = counts.map(|(name, count)| (name.to_owned(), count as u64));
        let best = match state.best.ndcg_at_10 {
            Some(ndcg) => format!("best dev nDCG@10 {ndcg:.4} at step {}", state.best.step),
            None => "no dev queries: the last step is taken as the best".into(),
        };
        (counts.into_iter().collect(), vec![best])
    }
}

impl State {
    fn note(&mut self, ndcg: f64) {
        if self.best.ndcg_at_10.is_none_or(|best| ndcg > best) {
            self.best = Best { step: self.step, ndcg_at_10: Some(ndcg) };
            self.stale = 0;
        } else {
            self.stale += 1;
        }
    }
}

/// log.jsonl, cut back to the checkpoint that the run goes on from.
struct Log {
    file: File,
    path: std::path::PathBuf,
    bytes: u64,
}

impl Log {
    fn open(path: &Path, bytes: u64) -> Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path).map_err(Error::io("open", path))?;
        file.set_len(bytes).map_err(Error::io("truncate", path))?;
        Ok(Self { file, path: path.into(), bytes })
    }

    fn write(&mut self, line: &LogLine) -> Result<()> {
        let mut text = serde_json::to_vec(line).expect("a log line is plain data, which always serialises");
        text.push(b'\n');
        self.file.write_all(&text).map_err(Error::io("write", &self.path))?;
        self.bytes += text.len() as u64;
        Ok(())
    }
}
