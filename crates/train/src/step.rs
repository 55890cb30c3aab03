//! One step: started on the devices, and read once they are done with it.

use crate::data::Batch;
use crate::error::{Error, Result};
use crate::log::LogLine;
use crate::optimizer::{AdamW, GradNorm, Rates};
use crate::pass::{Logits, Passed};
use crate::plan::Fit;
use crate::watch::{Observed, Watch};
use burn::tensor::Tensor;
use whetstone_model::{Packed, PairNetwork, Reading};
use whetstone_records::Progress;

/// A step that the devices may still be at.
pub(crate) struct Started {
    /// Counts from 0.
    step: usize,
    pub batches: Vec<Batch>,
    rates: Rates,
    /// Of each batch.
    logits: Vec<Logits>,
    /// Of the batches whose logits are known.
    loss: f32,
    norm: GradNorm,
    /// Of the logits and the norm that are awaited, in order.
    readings: Vec<Reading>,
}

/// What came out of a step.
struct Outcome {
    loss: f32,
    grad_norm: f64,
    /// Of all pairs, in batch order.
    logits: Vec<f32>,
}

impl Fit<'_> {
    /// Passes each batch forward and backward, then updates the weights once. `step` counts from 0.
    pub fn start(
        &self,
        network: &mut PairNetwork,
        optimizer: &mut AdamW,
        (step, batches): (usize, Vec<Batch>),
    ) -> Started {
        let Passed { gradients, loss, logits } = self.pass(network, step, &batches);
        let rates = self.rates(step);
        let norm = match loss.is_finite() {
            true => optimizer.step(network, gradients, rates, self.config),
            false => GradNorm::Known(0.0),
        };
        let readings = self.start_reading(&logits, &norm);
        Started { step, batches, rates, logits, loss, norm, readings }
    }

    /// Asks for what is awaited, at once where all is on one device.
    fn start_reading(&self, logits: &[Logits], norm: &GradNorm) -> Vec<Reading> {
        let mut awaited: Vec<Tensor<1>> = logits.iter().filter_map(Logits::awaited).collect();
        if let GradNorm::Awaited(norm) = norm {
            awaited.push(norm.clone());
        }
        let engine = &self.engines[0];
        match self.engines.len() {
            1 => vec![engine.start_reading(awaited)],
            _ => awaited.into_iter().map(|one| engine.start_reading(vec![one])).collect(),
        }
    }

    /// Waits for a step, and looks for signs of failure.
    pub fn finish(
        &self,
        started: &mut Started,
        watch: &mut Watch,
        progress: &dyn Progress,
    ) -> Result<LogLine> {
        let Outcome { loss, grad_norm, logits } = self.read(started);
        let Started { step, batches, rates, .. } = started;
        if !loss.is_finite() || !grad_norm.is_finite() {
            return Err(Error::Diverged { step: *step + 1, loss });
        }
        let chance = if self.is_warming_up(*step) { None } else { self.loss_at_chance(batches) };
        for sign in watch.observe(&Observed { logits: &logits, loss, grad_norm, chance }) {
            match self.config.strict {
                true => return Err(Error::Collapse { step: *step + 1, sign }),
                false => progress.warn(&format!("step {}: {sign}", *step + 1)),
            }
        }
        Ok(LogLine::Step {
            step: *step + 1,
            epoch: self.steps[*step].0,
            loss,
            lr: rates.base,
            grad_norm,
            pairs: logits.len(),
            tokens: batches.iter().map(|batch| batch.packed.tokens()).sum(),
        })
    }

    /// Waits for what is awaited.
    fn read(&self, started: &mut Started) -> Outcome {
        let readings = std::mem::take(&mut started.readings);
        let mut values = readings.into_iter().flat_map(Reading::wait);
        let mut outcome = Outcome { loss: started.loss, grad_norm: 0.0, logits: Vec::new() };
        for (logits, batch) in started.logits.iter_mut().zip(&started.batches) {
            let logits = match logits {
                Logits::Known(logits) => std::mem::take(logits),
                Logits::Awaited(_) => {
                    let logits = values.next().expect("all were read");
                    let loss = self.loss(batch, &logits).map_or(0.0, |loss| loss.value as f32);
                    outcome.loss += loss / started.batches.len() as f32;
                    logits
                }
            };
            outcome.logits.extend(logits);
        }
        outcome.grad_norm = match started.norm {
            GradNorm::Known(norm) => norm,
            GradNorm::Awaited(_) => f64::from(values.next().expect("all were read")[0]),
        };
        outcome
    }

    /// Returns the loss of a model that scores every pair 0; None if the loss has no value here.
    fn loss_at_chance(&self, batches: &[Batch]) -> Option<f32> {
        let loss = |batch: &Batch| {
            self.loss(batch, &vec![0.0; batch.indices.len()]).map(|loss| loss.value as f32)
        };
        let losses: Vec<f32> = batches.iter().filter_map(loss).collect();
        (!losses.is_empty()).then(|| losses.iter().sum::<f32>() / batches.len() as f32)
    }

    /// Returns the fraction of a step's computed tokens that is padding.
    pub fn padding_fraction(&self, batches: &[Batch]) -> f64 {
        let packed = || batches.iter().map(|batch| &batch.packed);
        let real: usize = packed().map(Packed::tokens).sum();
        let computed = |packed| self.engines[0].computed_tokens(packed, &self.spec);
        let computed: usize = packed().map(computed).sum();
        1.0 - real as f64 / computed.max(1) as f64
    }
}
