//! The figure of predicted probabilities against observed fractions.

use super::{Frame, line};
use crate::reliability::Bin;
use maud::{Markup, html};

/// Draws the fraction of relevant passages against the predicted probability; a good model stays on
/// the diagonal. A point's area shows its bin's fraction of the pairs.
pub(crate) fn reliability(bins: &[Bin]) -> Markup {
    let frame = Frame { x: (0.0, 1.0), y: (0.0, 1.0) };
    let place = |predicted: f64, observed: f64| (frame.x(predicted), frame.y(observed));
    let filled: Vec<&Bin> = bins.iter().filter(|bin| bin.pairs > 0).collect();
    let most = filled.iter().map(|bin| bin.pairs).max().unwrap_or(1) as f64;
    let content = html! {
        path class="zero" stroke-dasharray="3 4" d=(line([place(0.0, 0.0), place(1.0, 1.0)].into_iter())) {}
        path class="curve l-system" d=(line(filled.iter().map(|bin| place(bin.mean_probability, bin.relevant_fraction)))) {}
        @for bin in filled {
            @let (x, y) = place(bin.mean_probability, bin.relevant_fraction);
            circle class="f-system" cx=(format!("{x:.1}")) cy=(format!("{y:.1}")) r=(format!("{:.1}", 2.5 + 5.5 * (bin.pairs as f64 / most).sqrt())) {
                title { (bin.pairs) " pairs" }
            }
        }
    };
    frame.draw("reliability diagram", "predicted probability", "share that is relevant", content)
}
