//! Evaluates the current weights on dev and keeps track of the best step.

use crate::checkpoint::{Checkpoints, State};
use crate::dev::Dev;
use crate::error::{Error, Result};
use crate::log::{Log, LogLine};
use crate::plan::Fit;
use crate::view::View;
use whetstone_eval::{mean, standard_error};
use whetstone_model::{PairNetwork, StepDropout};
use whetstone_records::{Best, Blended, Progress};

/// Smaller differences in nDCG@10 are ties: larger than rounding errors, smaller than the effect of
/// any one query.
const TIE: f64 = 1e-9;

/// The result of one dev evaluation.
#[derive(Clone, Debug)]
struct Measured {
    /// nDCG@10 of each query.
    of_queries: Vec<f64>,
    /// False if every query scores all its passages the same.
    tells: bool,
}

impl Measured {
    fn ndcg_at_10(&self) -> f64 {
        mean(&self.of_queries)
    }
}

impl Fit<'_> {
    /// Evaluates the current weights on dev and notes whether they are the best so far.
    pub fn note_dev(
        &self,
        network: &PairNetwork,
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
                Ok::<_, Error>(measured.ndcg_at_10())
            });
            let (ndcg, general) = (measured.ndcg_at_10(), general.transpose()?);
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
        network: &PairNetwork,
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
        Ok(Measured {
            of_queries: dev.ndcg_at_10_of_queries(&logits),
            tells: dev.can_tell(&logits),
        })
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
        let mut network = PairNetwork::load(&checkpoints.folder(state.best.step), &engine)?;
        let base = PairNetwork::load(&checkpoints.folder(0), &engine)?;
        network.blend(base, self.config.interpolate as f32, self.is_fresh);
        let ndcg = |dev: &Option<Dev>, name: &str| {
            let measured = dev
                .as_ref()
                .map(|dev| self.evaluate((dev, name), &network, state.best.step, progress));
            Ok::<_, Error>(measured.transpose()?.map(|measured| measured.ndcg_at_10()))
        };
        state.best.blended = Some(Blended {
            ndcg_at_10: ndcg(&self.dev, "dev")?,
            general_ndcg_at_10: ndcg(&self.general, "general dev")?,
        });
        checkpoints.save_blended(state, &network, self.model_dir)
    }
}

impl State {
    /// Records a dev evaluation of the current step. A later step, which has seen more data, is the
    /// best unless it loses to the highest by a standard error of their difference: on closer calls
    /// the dev set is wrong too often (docs/experiments/last-or-best-step.md).
    fn note(&mut self, measured: Measured, fresh_head: bool) {
        let value = measured.tells.then(|| measured.ndcg_at_10());
        let Measured { of_queries, tells } = measured;
        let here = Best { step: self.step, ndcg_at_10: value, fresh_head, blended: None };
        if self.highest.is_empty() {
            // No earlier step could be told apart, so this one counts as the best.
            self.best = here;
            self.highest = if tells { of_queries } else { Vec::new() };
            return;
        }
        let gains: Vec<f64> = of_queries.iter().zip(&self.highest).map(|(a, b)| a - b).collect();
        let gain = mean(&gains);
        let is_higher = tells && gain > TIE;
        self.stale = if is_higher { 0 } else { self.stale + 1 };
        // Where a single query differs, its loss is just a standard error.
        if tells && gain >= -(standard_error(&gains) + TIE) {
            self.best = here;
        }
        if is_higher {
            self.highest = of_queries;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the best step and the evaluations since the highest one, after these dev values of two
    /// queries. None stands for all scores equal.
    fn after(values: &[Option<[f64; 2]>]) -> (Best, usize) {
        let best = Best { step: 0, ndcg_at_10: None, fresh_head: true, blended: None };
        let mut state = State { step: 0, best, highest: Vec::new(), stale: 0, log_bytes: 0 };
        for (step, value) in values.iter().enumerate() {
            state.step = step;
            let of_queries = value.unwrap_or([1.0; 2]).into();
            state.note(Measured { of_queries, tells: value.is_some() }, step == 0);
        }
        (state.best, state.stale)
    }

    /// Both queries have the same.
    fn even(value: f64) -> Option<[f64; 2]> {
        Some([value; 2])
    }

    #[test]
    fn a_tie_goes_to_the_later_step_and_is_no_higher_one() {
        let (best, stale) = after(&[even(0.5), even(0.7), even(0.7), even(0.6)]);
        assert_eq!((best.step, best.ndcg_at_10, stale), (2, Some(0.7), 2));
        assert!(!best.fresh_head);
        assert!(after(&[even(0.7), even(0.5)]).0.fresh_head);
    }

    #[test]
    fn a_later_step_is_the_best_unless_it_loses_by_a_standard_error() {
        // Half a standard error below the highest: differences of -0.3 and 0.1.
        let within = Some([0.5, 0.9]);
        let (best, stale) = after(&[even(0.5), even(0.8), within]);
        assert_eq!((best.step, best.ndcg_at_10, stale), (2, Some(0.7), 1));
        // Steps that lose a little each do not add up: the highest stays the measure.
        let (best, stale) = after(&[even(0.5), even(0.8), within, Some([0.4, 0.6])]);
        assert_eq!((best.step, stale), (2, 2));
        assert_eq!(after(&[even(0.8), Some([0.8, 0.1])]).0.step, 1);
    }

    #[test]
    fn scores_that_are_all_equal_make_no_step_the_best() {
        let (best, stale) = after(&[even(0.4), None, even(0.5), None]);
        assert_eq!((best.step, best.ndcg_at_10, stale), (2, Some(0.5), 1));
        let (best, stale) = after(&[None, None, None]);
        assert_eq!((best.step, best.ndcg_at_10, stale), (2, None, 0), "as without a dev set");
    }
}
