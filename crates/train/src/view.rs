//! The progress text of the terminal.

use crate::log::LogLine;
use std::time::Instant;

/// Averages the last steps for the progress text.
pub(crate) struct View {
    since: Instant,
    pairs: usize,
    tokens: usize,
    dev: String,
}

impl View {
    pub fn new() -> Self {
        Self { since: Instant::now(), pairs: 0, tokens: 0, dev: String::new() }
    }

    pub fn evaluated(&mut self, ndcg: f64, general: Option<f64>) {
        let general = general.map(|general| format!(", general {general:.4}")).unwrap_or_default();
        // The next speed must not include the time of the evaluation.
        *self = Self { dev: format!(", dev nDCG@10 {ndcg:.4}{general}"), ..Self::new() };
    }

    pub fn text(&mut self, line: &LogLine, padding_fraction: f64) -> String {
        let LogLine::Step { loss, pairs, tokens, .. } = line else { return String::new() };
        (self.pairs, self.tokens) = (self.pairs + pairs, self.tokens + tokens);
        let seconds = self.since.elapsed().as_secs_f64().max(1e-3);
        let rate = |count: usize| count as f64 / seconds;
        let padding = if padding_fraction > 0.0 {
            format!(", {:.0} % padding", 100.0 * padding_fraction)
        } else {
            String::new()
        };
        format!(
            "loss {loss:.4}{}, {:.1} pairs/s, {:.0} tokens/s{padding}",
            self.dev,
            rate(self.pairs),
            rate(self.tokens)
        )
    }
}
