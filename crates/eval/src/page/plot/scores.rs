//! The figure of the scores of relevant and other passages.

use super::{Frame, line};
use crate::why::ScoreDistribution;
use maud::{Markup, html};

/// Draws the scores of relevant and other passages, each as a percentage of its own kind.
pub(crate) fn scores(distribution: &ScoreDistribution) -> Markup {
    let ScoreDistribution { low, high, relevant, others, .. } = distribution;
    let shares = |counts: &[usize]| -> Vec<f64> {
        let all = counts.iter().sum::<usize>().max(1) as f64;
        counts.iter().map(|count| 100.0 * *count as f64 / all).collect()
    };
    let (relevant, others) = (shares(relevant), shares(others));
    let peak = relevant.iter().chain(&others).fold(0.0f64, |peak, share| peak.max(*share));
    let frame = Frame { x: (*low, *high), y: (0.0, peak.max(1e-6) * 1.05) };
    let steps = |shares: &[f64]| {
        let edge = |bin: usize| low + (high - low) * bin as f64 / shares.len() as f64;
        let tops = shares
            .iter()
            .enumerate()
            .flat_map(|(bin, share)| [(edge(bin), *share), (edge(bin + 1), *share)]);
        let outline: Vec<_> =
            std::iter::once((*low, 0.0)).chain(tops).chain([(*high, 0.0)]).collect();
        line(outline.into_iter().map(|(x, y)| (frame.x(x), frame.y(y))))
    };
    let (relevant, others) = (steps(&relevant), steps(&others));
    let content = html! {
        path class="f-baseline ghost" d=(others) {}
        path class="curve l-baseline" d=(others) {}
        path class="f-system ghost" d=(relevant) {}
        path class="curve l-system" d=(relevant) {}
    };
    frame.draw("distribution of scores", "score", "% of each kind", content)
}
