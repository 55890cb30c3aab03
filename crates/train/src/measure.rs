//! Evaluates the current weights on dev and keeps track of the best step.

use crate::checkpoint::{Checkpoints, State};
use crate::dev::Dev;
use crate::error::{Error, Result};
use crate::log::{Log, LogLine};
use crate::plan::Fit;
use crate::view::View;
use whetstone_model::{CrossEncoderNetwork, StepDropout};
use whetstone_records::{Best, Blended, Progress};

/// Smaller differences in nDCG@10 are ties: larger than rounding errors, smaller than the effect of
/// any one query.
const TIE: f64 = 1e-9;

/// The result of one dev evaluation.
#[derive(Clone, Copy, Debug)]
struct Measured {
    ndcg_at_10: f64,
    /// False if every query scores all its passages the same.
    tells: bool,
}

impl Fit<'_> {
    /// Evaluates the current weights on dev and notes whether they are the best so far.
    pub fn note_dev(
        &self,
        network: &CrossEncoderNetwork,
        state: &mut State,
        (log, view): (&mut Log, &mut View),
        progress: &dyn Progress,
    ) -> Result<()> {
        // A warm-start checkpoint serves to resume only: it has seen no labels, so it cannot be the
        // best.
        let is_chosen_from = state.step == 0 || state.step > self.warm_steps;
        let fresh_head = self.is_fresh && state.step == 0;
        if let Some(dev) = self.dev.as_ref().filter(|_| is_chosen_from) {
            let step = state.step;
            let measured = self.evaluate((dev, "dev"), network, step, progress)?;
            let general = self.general.as_ref().map(|general| {
                let measured = self.evaluate((general, "general dev"), network, step, progress)?;
                Ok::<_, Error>(measured.ndcg_at_10)
            });
            let (ndcg, general) = (measured.ndcg_at_10, general.transpose()?);
            if !measured.tells {
                progress.warn(&format!(
                    "step {step}: all dev passages of a query have the same score, so their order \
                     says nothing"
                ));
            }
            log.write(LogLine::Dev { step, dev_ndcg_at_10: ndcg, general_ndcg_at_10: general })?;
            state.note(measured, fresh_head);
            view.evaluated(ndcg, general);
        } else if self.dev.is_none() {
            state.best = Best { step: state.step, fresh_head, ..state.best };
        }
        state.log_bytes = log.bytes;
        Ok(())
    }

    /// Returns the dev nDCG@10 of the current weights.
    fn evaluate(
        &self,
        (dev, name): (&Dev, &str),
        network: &CrossEncoderNetwork,
        step: usize,
        progress: &dyn Progress,
    ) -> Result<Measured> {
        let (network, engine) = (network.for_inference(), self.engines[0].for_inference());
        let mut logits = vec![0f32; dev.len()];
        let mut done = 0;
        let start = |group: &Vec<usize>| {
            network.forward(&dev.batch(group, &self.tokenizer), StepDropout::default(), &engine)
        };
        let finish = |group: Vec<usize>, values: Vec<f32>| {
            group.iter().zip(values).for_each(|(&pair, logit)| logits[pair] = logit);
            done += group.len();
            progress.message(&format!("measuring {name}: {done} of {} pairs", dev.len()));
            // Progress without a bar shows messages only when `advance` is called.
            progress.advance(0);
            Ok(())
        };
        engine.in_turn::<_, Error>(dev.groups(&engine), start, finish)?;
        if logits.iter().any(|logit| !logit.is_finite()) {
            return Err(Error::DevScores { step });
        }
        Ok(Measured { ndcg_at_10: dev.ndcg_at_10(&logits), tells: dev.can_tell(&logits) })
    }

    /// Mixes the base model into the best checkpoint and evaluates the result, if the config asks
    /// for it.
    pub fn blend(
        &self,
        state: &mut State,
        checkpoints: &Checkpoints,
        progress: &dyn Progress,
    ) -> Result<()> {
        if self.config.interpolate == 0.0 || state.best.step == 0 {
            return Ok(());
        }
        let engine = self.engines[0].for_inference();
        let mut network = CrossEncoderNetwork::load(&checkpoints.folder(state.best.step), &engine)?;
        let base = CrossEncoderNetwork::load(&checkpoints.folder(0), &engine)?;
        network.blend(base, self.config.interpolate as f32, self.is_fresh);
        let ndcg = |dev: &Option<Dev>, name: &str| {
            let measured = dev
                .as_ref()
                .map(|dev| self.evaluate((dev, name), &network, state.best.step, progress));
            Ok::<_, Error>(measured.transpose()?.map(|measured| measured.ndcg_at_10))
        };
        state.best.blended = Some(Blended {
            ndcg_at_10: ndcg(&self.dev, "dev")?,
            general_ndcg_at_10: ndcg(&self.general, "general dev")?,
        });
        checkpoints.save_blended(state, &network, self.model_dir)
    }
}

impl State {
    /// Records a dev evaluation of the current step. Of equally good steps the later one wins,
    /// because it has seen more data.
    fn note(&mut self, measured: Measured, fresh_head: bool) {
        let Measured { ndcg_at_10: ndcg, tells } = measured;
        let here = Best { step: self.step, ndcg_at_10: None, fresh_head, blended: None };
        let Some(best) = self.best.ndcg_at_10 else {
            // No earlier step could be told apart, so this one counts as the best.
            self.best = Best { ndcg_at_10: tells.then_some(ndcg), ..here };
            return;
        };
        let is_better = tells && ndcg > best + TIE;
        self.stale = if is_better { 0 } else { self.stale + 1 };
        if tells && ndcg >= best - TIE {
            self.best = Best { ndcg_at_10: Some(ndcg), ..here };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the best step and the evaluations since, after these dev values. None stands for all
    /// scores equal.
    fn after(values: &[Option<f64>]) -> (Best, usize) {
        let best = Best { step: 0, ndcg_at_10: None, fresh_head: true, blended: None };
        let mut state = State { step: 0, best, stale: 0, log_bytes: 0 };
        for (step, value) in values.iter().enumerate() {
            state.step = step;
            let measured = Measured { ndcg_at_10: value.unwrap_or(1.0), tells: value.is_some() };
            state.note(measured, step == 0);
        }
        (state.best, state.stale)
    }

    #[test]
    fn a_tie_goes_to_the_later_step_and_is_no_better_one() {
        let (best, stale) = after(&[Some(0.5), Some(0.7), Some(0.7), Some(0.6)]);
        assert_eq!((best.step, best.ndcg_at_10, stale), (2, Some(0.7), 2));
        assert!(!best.fresh_head);
        assert!(after(&[Some(0.7), Some(0.5)]).0.fresh_head);
    }

    #[test]
    fn scores_that_are_all_equal_make_no_step_the_best() {
        let (best, stale) = after(&[Some(0.4), None, Some(0.5), None]);
        assert_eq!((best.step, best.ndcg_at_10, stale), (2, Some(0.5), 1));
        let (best, stale) = after(&[None, None, None]);
        assert_eq!((best.step, best.ndcg_at_10, stale), (2, None, 0), "as without a dev set");
    }
}
