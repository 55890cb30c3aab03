//! The learning rate of each step.

use crate::config::{Schedule, TrainConfig};

/// Returns the learning rate of `step` (from 0) out of `total`: a linear warm-up to `peak`, then
/// the schedule.
pub(crate) fn learning_rate(config: &TrainConfig, peak: f64, step: usize, total: usize) -> f64 {
    let warmup = warmup_steps(config, total) as f64;
    let step = step as f64;
    if step < warmup {
        return peak * step / warmup;
    }
    let done = (step - warmup) / (total as f64 - warmup).max(1.0);
    peak * match config.schedule {
        Schedule::Constant => 1.0,
        Schedule::Linear => 1.0 - done,
        Schedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * done).cos()),
    }
}

/// Returns for how many of `total` steps the learning rate rises.
pub(crate) fn warmup_steps(config: &TrainConfig, total: usize) -> usize {
    (config.warmup_fraction * total as f64).ceil() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_climbs_to_its_peak_and_falls_to_zero() {
        let config = TrainConfig { warmup_fraction: 0.1, ..Default::default() };
        let rates: Vec<f64> =
            (0..=100).map(|step| learning_rate(&config, 1.0, step, 100)).collect();
        // As transformers' get_linear_schedule_with_warmup: step / warmup, then (total - step) /
        // (total - warmup).
        assert_eq!((rates[0], rates[5], rates[10], rates[100]), (0.0, 0.5, 1.0, 0.0));
        assert!((rates[55] - 0.5).abs() < 1e-12);
    }
}
