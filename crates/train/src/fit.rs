//! The training loop: evaluate, save, stop, step, log.

use crate::checkpoint::{Checkpoints, Identity, State};
use crate::config::{ModelKind, TrainConfig};
use crate::data::Batch;
use crate::dev::Dev;
use crate::error::Result;
use crate::log::Log;
use crate::optimizer::AdamW;
use crate::plan::{Fit, inputs};
use crate::plot;
use crate::step::Started;
use crate::teacher;
use crate::view::View;
use crate::watch::Watch;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};
use whetstone_model::{Architecture, Engine, HeadStart, PairNetwork, largest_tensor};
use whetstone_records::{Best, Input, Manifest, ModelDir, Outcome, Progress, RunDir, Stage};

/// Steps whose batches are prepared ahead of the loop.
const AHEAD: usize = 4;

/// Warns before a model no better than the base model is exported.
const NOTHING_LEARNED: &str = "training brought nothing: on dev, every step lost to step 0, the \
    starting weights, by a standard error or more";

const NOTHING_RECOMPUTED: &str = "`gradient-checkpointing` saves nothing here: only the CPU's \
    kernels compute layers again, and this model or device goes without them";

/// Fine-tunes the model of `model_dir` on `data/train.jsonl`. The run folder `out` then holds
/// config.toml, log.jsonl, best.json and the step-NNNNNN folders, each a model folder. A stopped
/// run resumes from its last checkpoint and ends with the same bytes as an unbroken one.
///
/// With several engines, the first holds the network and each computes its share of a step's
/// batches (`accumulation-steps`). The mean gradient does not depend on their number.
///
/// # Errors
/// See [`Error`](crate::Error); for example,
/// [`Error::OtherRun`](crate::Error::OtherRun) if `out` holds another run.
pub fn train(
    data: &Path,
    out: &Path,
    model_dir: &Path,
    config: &TrainConfig,
    engines: &[Engine],
    progress: &dyn Progress,
) -> Result<Manifest> {
    let config = &config.for_data(data)?;
    config.check()?;
    config.check_devices(engines.len())?;
    let config = &with_precision(config, model_dir, &engines[0], progress)?;
    let inputs = inputs(data, model_dir, config)?;
    let by_role: BTreeMap<String, String> =
        inputs.iter().map(|input| (input.role.clone(), input.digest.clone())).collect();
    let stage = Stage::new("train", out, config, by_role.clone());
    if let Some(manifest) = stage.begin()? {
        return Ok(manifest);
    }
    let checkpoints =
        Checkpoints::open(out, &Identity { config: config.clone(), inputs: by_role })?;
    let engines = for_training(engines, config);
    let last = checkpoints.last()?;
    let from =
        last.as_ref().map_or(model_dir.to_path_buf(), |state| checkpoints.folder(state.step));
    let engine = engines[0].clone();
    if engine.works_apart() {
        make_room(&engine, &from, config)?;
    }
    let load = || load(&from, last.is_none(), config, &engine);
    let prepare = || Fit::prepare(data, model_dir, config, engines);
    let (network, fit) = match engine.works_apart() {
        // A GPU orders its work by thread, so the one that trains also loads.
        true => (load(), prepare()),
        false => rayon::join(load, prepare),
    };
    let (mut network, mut fit) = (network?, fit?);
    if let Some(model) = &config.teacher {
        let how = (config.max_seq_tokens(), &fit.engines[0].for_inference());
        fit.teacher = teacher::scores(model, &RunDir::new(out), &fit.data, how, progress)?;
    }
    // Memory now holds what was digested, and `data.check` watches the pairs.
    inputs.iter().try_for_each(Input::check)?;
    if config.freeze_embeddings {
        network.freeze_embeddings();
    }
    fit.warn_of_the_start(progress);
    let mut log =
        Log::open(&RunDir::new(out).log(), last.as_ref().map_or(0, |state| state.log_bytes))?;
    let (mut state, stepping) = fit.run(network, last, &checkpoints, &mut log, progress)?;
    fit.blend(&mut state, &checkpoints, progress)?;
    let outcome = fit.summary(&state, &log, stepping);
    if state.best.step == 0 {
        progress.warn(NOTHING_LEARNED);
    }
    let best = format!("{}/{}", state.best.folder(), ModelDir::WEIGHTS);
    Ok(stage.finish(&[RunDir::BEST, RunDir::LOG, RunDir::CONFIG, &best], outcome)?)
}

fn for_training(engines: &[Engine], config: &TrainConfig) -> Vec<Engine> {
    let of = |engine: &Engine| {
        let engine = engine.for_training(config.precision);
        engine.with_gradient_checkpointing(config.gradient_checkpointing)
    };
    engines.iter().map(of).collect()
}

/// Loads what training goes on with, or begins with.
fn load(from: &Path, is_base: bool, config: &TrainConfig, engine: &Engine) -> Result<PairNetwork> {
    // A checkpoint has one label, the one that was chosen.
    let label = config.head_label.as_deref().filter(|_| is_base);
    Ok(match config.kind {
        ModelKind::CrossEncoder => {
            PairNetwork::load_or_init_head(from, label, config.seed, engine)?
        }
        ModelKind::LateInteraction => PairNetwork::load_or_make_late(from, engine)?,
    })
}

/// Makes room on a device before the first weight lies there.
fn make_room(engine: &Engine, model_dir: &Path, config: &TrainConfig) -> Result<()> {
    let spec = Architecture::read(model_dir)?.spec;
    let files = ModelDir::new(model_dir).weight_files()?;
    let bytes = |file: &String| model_dir.join(file).metadata().map_or(0, |file| file.len());
    let weights = files.iter().map(bytes).sum();
    let batch = [config.batch_pairs, config.max_seq_tokens()];
    engine.make_room(largest_tensor(&spec, weights, batch, config.precision));
    Ok(())
}

/// Returns the config with the precision that such a model has on the device, so that config.toml
/// says what ran.
fn with_precision(
    config: &TrainConfig,
    model_dir: &Path,
    engine: &Engine,
    progress: &dyn Progress,
) -> Result<TrainConfig> {
    let precision =
        engine.for_training(config.precision).precision_of(&Architecture::read(model_dir)?.spec);
    if precision != config.precision {
        progress.warn(match engine.supports(config.precision) {
            true => "on a CPU only the kernels compute in bfloat16, and none serve this model: training in f32",
            false => "this device has no bfloat16 products: training in f32",
        });
    }
    Ok(TrainConfig { precision, ..config.clone() })
}

impl Fit<'_> {
    /// Says what is unusual about the dev set and the base model's head, and which key does nothing.
    fn warn_of_the_start(&self, progress: &dyn Progress) {
        if let Some(why) = self.last_is_best() {
            progress.warn(&why);
        }
        if self.config.gradient_checkpointing && self.engines[0].pads(&self.spec) {
            progress.warn(NOTHING_RECOMPUTED);
        }
        if let HeadStart::Several { labels } = &self.head {
            progress.warn(&format!(
                "the base model's head gives {}, so it is made anew; `head-label` takes one of them",
                labels.join(", ")
            ));
        }
    }

    /// Runs the loop while a thread reads and tokenizes the next batches. Returns the last state
    /// and the time that the steps took.
    fn run(
        &self,
        network: PairNetwork,
        resumed: Option<State>,
        checkpoints: &Checkpoints,
        log: &mut Log,
        progress: &dyn Progress,
    ) -> Result<(State, Duration)> {
        let first = resumed.as_ref().map_or(0, |state| state.step);
        std::thread::scope(|scope| {
            let (sender, ready) = sync_channel(AHEAD);
            scope.spawn(move || self.feed(first, &sender));
            self.advance(network, resumed, checkpoints, log, &ready, progress)
        })
    }

    /// Repeats evaluate → save → stop? → step → log.
    fn advance(
        &self,
        mut network: PairNetwork,
        resumed: Option<State>,
        checkpoints: &Checkpoints,
        log: &mut Log,
        ready: &Receiver<Result<Vec<Batch>>>,
        progress: &dyn Progress,
    ) -> Result<(State, Duration)> {
        let total = self.steps.len();
        let mut optimizer = self.resume(resumed.as_ref(), checkpoints)?;
        let mut saved = resumed.as_ref().map(|state| state.step);
        let mut state = resumed.unwrap_or(State {
            step: 0,
            best: Best { step: 0, ndcg_at_10: None, fresh_head: self.is_fresh, blended: None },
            highest: Vec::new(),
            stale: 0,
            log_bytes: 0,
        });
        progress.start("train", Some(total as u64), "steps");
        progress.advance(state.step as u64);
        let mut view = View::new();
        let mut watch = Watch::default();
        let mut stepping = Duration::ZERO;
        let mut running: Option<Started> = None;
        loop {
            let is_due =
                state.step.is_multiple_of(self.config.eval_every_steps) || state.step == total;
            if is_due && saved != Some(state.step) {
                self.note_step(running.take(), (&mut watch, log, &mut view), progress)?;
                self.data.check()?;
                self.note_dev(&network, &mut state, (log, &mut view), progress)?;
                plot::write(checkpoints.run(), &log.lines)?;
                // Patience may be raised later, so a run that it ended keeps its optimizer.
                let optimizer = (state.step < total).then_some(&optimizer);
                checkpoints.save(&state, &network, optimizer, self.model_dir)?;
                saved = Some(state.step);
            }
            if self.is_over(&state) {
                break;
            }
            if state.step == self.warm_steps {
                // The moments of the warm start belong to another loss.
                optimizer = AdamW::new(&self.engines[0]);
            }
            let begun = Instant::now();
            let batches = ready.recv().expect("the thread sends the batches of every step")?;
            let started = self.start(&mut network, &mut optimizer, (state.step, batches));
            state.step += 1;
            // A device that works apart goes on while the step before is read.
            let earlier = match self.engines[0].works_apart() {
                true => running.replace(started),
                false => Some(started),
            };
            self.note_step(earlier, (&mut watch, log, &mut view), progress)?;
            stepping += begun.elapsed();
        }
        progress.finish();
        Ok((state, stepping))
    }

    /// Returns the optimizer as it was at the state, or a new one; a run that is over keeps none.
    fn resume(&self, state: Option<&State>, checkpoints: &Checkpoints) -> Result<AdamW> {
        let Some(state) = state else { return Ok(AdamW::new(&self.engines[0])) };
        let path = checkpoints.optimizer_path(state.step);
        let optimizer = match state.step > 0 && path.exists() {
            true => AdamW::load(&path, &self.engines[0])?,
            false => AdamW::new(&self.engines[0]),
        };
        if !self.is_over(state) {
            checkpoints.check_optimizer(state.step)?;
        }
        checkpoints.settle(state)?;
        Ok(optimizer)
    }

    /// Waits for a step, if there is one, and logs it.
    fn note_step(
        &self,
        started: Option<Started>,
        (watch, log, view): (&mut Watch, &mut Log, &mut View),
        progress: &dyn Progress,
    ) -> Result<()> {
        let Some(mut started) = started else { return Ok(()) };
        let line = self.finish(&mut started, watch, progress)?;
        progress.message(&view.text(&line, self.padding_fraction(&started.batches)));
        log.write(line)?;
        progress.advance(1);
        Ok(())
    }

    /// Returns why the last step counts as the best; None if a dev set chooses.
    fn last_is_best(&self) -> Option<String> {
        let why = match (&self.dev, self.mute) {
            (Some(_), _) => return None,
            (None, None) => "no dev queries".to_owned(),
            (None, Some(why)) => {
                format!("the dev set counts for nothing, since it cannot tell models apart: {why}")
            }
        };
        Some(format!("{why}: the last step is taken as the best"))
    }

    fn is_over(&self, state: &State) -> bool {
        state.step == self.steps.len()
            || (self.config.patience > 0 && state.stale >= self.config.patience)
    }

    /// Says how the best step does against the order that its candidates had before.
    fn against_first_stage(&self, state: &State) -> Option<String> {
        let (best, first) = (state.best.ndcg_at_10?, self.dev.as_ref()?.first_stage()?);
        Some(match best > first {
            true => {
                format!("alone, it orders dev better than the first stage, which has {first:.4}")
            }
            false => format!(
                "alone, it orders dev no better than the first stage, which has {first:.4}: join \
                 their scores (`whetstone rerank --fuse`), and look at the recommendation of \
                 `whetstone eval` before you serve it"
            ),
        })
    }

    fn summary(&self, state: &State, log: &Log, stepping: Duration) -> Outcome {
        let (pairs, tokens) = log.done_now();
        let seconds = stepping.as_secs_f64().max(1e-3);
        let counts = [
            ("steps", state.step),
            ("best-step", state.best.step),
            ("training-pairs", self.data.len()),
            ("dev-queries", self.dev.as_ref().map_or(0, Dev::queries)),
        ];
        let counts = counts.map(|(name, count)| (name.to_owned(), count as u64));
        let rates = [("pairs-per-s", pairs as f64), ("tokens-per-s", tokens as f64)];
        let rates = rates.map(|(name, done)| (name.to_owned(), done / seconds));
        let mut notes = vec![match (state.best.ndcg_at_10, self.last_is_best()) {
            (Some(ndcg), _) => format!("best dev nDCG@10 {ndcg:.4} at step {}", state.best.step),
            (None, Some(why)) => why,
            (None, None) => "all dev scores of a query were equal: the last step is taken as the \
                             best"
                .into(),
        }];
        notes.extend(self.against_first_stage(state));
        if state.best.step == 0 {
            notes.push(NOTHING_LEARNED.into());
        }
        notes.push(format!("seed {}", self.config.seed));
        if let Some(blended) = &state.best.blended {
            let share = self.config.interpolate;
            let ndcg = |value: Option<f64>| {
                value.map_or("not measured".into(), |value| format!("{value:.4}"))
            };
            notes.push(format!(
                "with {share} of the base model mixed in: dev nDCG@10 {}, general {}",
                ndcg(blended.ndcg_at_10),
                ndcg(blended.general_ndcg_at_10)
            ));
        }
        Outcome { counts: counts.into(), notes, rates: rates.into(), ..Outcome::default() }
    }
}
