//! Detects quiet failures of training while they happen.

use std::collections::VecDeque;
use std::fmt;

/// Steps that a sign must last before it is reported.
const WINDOW: usize = 50;
/// Standard deviation of a batch's scores below which the passages count as scored the same.
const CONSTANT: f32 = 1e-3;
/// A loss within this relative distance of guessing counts as chance.
const CHANCE: f32 = 0.01;
/// A gradient norm this many times the recent median counts as exploding.
const EXPLOSION: f64 = 100.0;
/// Beyond this score a sigmoid is 0 or 1 in f32 and has no gradient.
const SATURATED: f32 = 17.0;

/// A sign of failure. Each is reported once per run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sign {
    ConstantScores,
    LossAtChance { loss: f32, chance: f32 },
    ExplodingGradients { norm: f64, usual: f64 },
    SaturatedScores { mean: f32 },
}

impl fmt::Display for Sign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Sign::ConstantScores => write!(
                f,
                "all passages have had the same score for {WINDOW} steps: the learning rate is too high for this model, or the \
                 labels do not depend on the text"
            ),
            Sign::LossAtChance { loss, chance } => write!(
                f,
                "the loss has stayed at {loss:.4} for {WINDOW} steps, which is what guessing gives ({chance:.4}): the learning \
                 rate is too low or too high, or the labels are noise; a randomly initialised head needs \
                 `warm-start-steps`, or a `fresh-head-multiplier` above 1"
            ),
            Sign::ExplodingGradients { norm, usual } => write!(
                f,
                "the gradient's norm is {norm:.3e} after a median of {usual:.3e}: lower `learning-rate`, or clip with \
                 `max-grad-norm = 1.0`"
            ),
            Sign::SaturatedScores { mean } => write!(
                f,
                "the scores lie {mean:.1} from 0 on average, where a sigmoid has no gradient left: too many epochs for so few \
                 pairs, or a learning rate that is too high"
            ),
        }
    }
}

/// What one step looked like.
pub(crate) struct Observed<'a> {
    pub logits: &'a [f32],
    pub loss: f32,
    pub grad_norm: f64,
    /// The loss of a model that scores every pair 0. None if there is no such value, or while the
    /// learning rate still rises.
    pub chance: Option<f32>,
}

/// Watches the last steps. It starts empty after a resume, which can only delay a sign.
#[derive(Default)]
pub(crate) struct Watch {
    constant_steps: usize,
    saturated: VecDeque<f32>,
    losses: VecDeque<(f32, f32)>,
    norms: VecDeque<f64>,
    told: [bool; 4],
}

impl Watch {
    /// Returns the signs that appear for the first time in this step.
    pub fn observe(&mut self, step: &Observed) -> Vec<Sign> {
        let signs = [
            self.constant(step.logits),
            self.at_chance(step),
            self.exploding(step),
            self.saturated(step.logits),
        ];
        let mut new = Vec::new();
        for (told, sign) in self.told.iter_mut().zip(signs) {
            if let (false, Some(sign)) = (*told, sign) {
                *told = true;
                new.push(sign);
            }
        }
        new
    }

    fn constant(&mut self, logits: &[f32]) -> Option<Sign> {
        let mean = logits.iter().sum::<f32>() / logits.len() as f32;
        let variance =
            logits.iter().map(|logit| (logit - mean).powi(2)).sum::<f32>() / logits.len() as f32;
        let is_constant = logits.len() > 1 && variance.sqrt() < CONSTANT;
        self.constant_steps = if is_constant { self.constant_steps + 1 } else { 0 };
        (self.constant_steps >= WINDOW).then_some(Sign::ConstantScores)
    }

    fn at_chance(&mut self, step: &Observed) -> Option<Sign> {
        push(&mut self.losses, (step.loss, step.chance?));
        let sum = |of: fn(&(f32, f32)) -> f32| {
            self.losses.iter().map(of).sum::<f32>() / self.losses.len() as f32
        };
        let (loss, chance) = (sum(|pair| pair.0), sum(|pair| pair.1));
        let is_stuck = self.losses.len() == WINDOW && (loss - chance).abs() < CHANCE * chance;
        is_stuck.then_some(Sign::LossAtChance { loss, chance })
    }

    fn exploding(&mut self, step: &Observed) -> Option<Sign> {
        let mut sorted: Vec<f64> = self.norms.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        let usual = sorted.get(sorted.len() / 2).copied().unwrap_or(f64::MAX);
        let is_full = self.norms.len() == WINDOW;
        push(&mut self.norms, step.grad_norm);
        let is_exploding = is_full && step.grad_norm > EXPLOSION * usual.max(1e-2);
        is_exploding.then_some(Sign::ExplodingGradients { norm: step.grad_norm, usual })
    }

    fn saturated(&mut self, logits: &[f32]) -> Option<Sign> {
        push(
            &mut self.saturated,
            logits.iter().map(|logit| logit.abs()).sum::<f32>() / logits.len() as f32,
        );
        let mean = self.saturated.iter().sum::<f32>() / self.saturated.len() as f32;
        (self.saturated.len() == WINDOW && mean > SATURATED)
            .then_some(Sign::SaturatedScores { mean })
    }
}

fn push<T>(window: &mut VecDeque<T>, value: T) {
    if window.len() == WINDOW {
        window.pop_front();
    }
    window.push_back(value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f32::consts::LN_2;

    fn watch(steps: usize, of: impl Fn(usize) -> (Vec<f32>, f32, f64)) -> Vec<(usize, Sign)> {
        let mut watch = Watch::default();
        (0..steps)
            .flat_map(|step| {
                let (logits, loss, grad_norm) = of(step);
                let observed = Observed { logits: &logits, loss, grad_norm, chance: Some(LN_2) };
                watch
                    .observe(&observed)
                    .into_iter()
                    .map(move |sign| (step, sign))
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    #[test]
    fn a_healthy_run_shows_no_sign() {
        let signs = watch(300, |step| {
            let spread = 0.5 + step as f32 * 0.02;
            (vec![spread, -spread, 0.3], 0.69 / (1.0 + step as f32 * 0.01), 1.0 + (step % 7) as f64)
        });
        assert_eq!(signs, []);
    }

    #[test]
    fn each_sign_is_told_once_and_only_when_it_lasts() {
        let constant = watch(200, |_| (vec![0.42; 8], 0.3, 1.0));
        assert_eq!(constant, [(49, Sign::ConstantScores)]);
        let stuck = watch(200, |step| {
            (vec![0.1, -0.1], LN_2 + if step % 2 == 0 { 0.01 } else { -0.01 }, 1.0)
        });
        assert!(matches!(stuck[..], [(49, Sign::LossAtChance { .. })]), "{stuck:?}");
        let short = watch(200, |step| (vec![0.1, -0.1], if step < 45 { LN_2 } else { 0.3 }, 1.0));
        assert_eq!(short, []);
        let exploding =
            watch(200, |step| (vec![0.1, -0.1], 0.3, if step == 120 { 5e3 } else { 2.0 }));
        assert_eq!(exploding, [(120, Sign::ExplodingGradients { norm: 5e3, usual: 2.0 })]);
        let saturated = watch(120, |step| (vec![step as f32, -(step as f32)], 0.01, 0.1));
        assert!(matches!(saturated[..], [(_, Sign::SaturatedScores { .. })]), "{saturated:?}");
    }
}
