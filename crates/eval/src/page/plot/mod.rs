//! Figures as inline SVG, drawn 360 units wide so that their text has the page's small size.

mod bars;
mod depth;
mod differences;
mod reliability;
mod scores;

use maud::{Markup, html};

pub(crate) use bars::bars;
pub(crate) use depth::depth;
pub(crate) use differences::differences;
pub(crate) use reliability::reliability;
pub(crate) use scores::scores;

/// Size of a figure, with margins for the axes.
const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 46.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 18.0;
const BOTTOM: f64 = 38.0;

/// A figure's plane with its two axes.
struct Frame {
    x: (f64, f64),
    y: (f64, f64),
}

impl Frame {
    fn x(&self, value: f64) -> f64 {
        LEFT + (value - self.x.0) / (self.x.1 - self.x.0) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - (value - self.y.0) / (self.y.1 - self.y.0) * (HEIGHT - TOP - BOTTOM)
    }

    /// Draws the whole figure: grid, ticks and axis names around `content`. Screen readers read
    /// `name`.
    fn draw(&self, name: &str, x_name: &str, y_name: &str, content: Markup) -> Markup {
        let (bottom, middle) = (HEIGHT - BOTTOM, (LEFT + WIDTH - RIGHT) / 2.0);
        html! {
            svg class="plot" viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(name) {
                @for tick in ticks(self.y, 5) {
                    @let y = self.y(tick);
                    path class="axis" d=(format!("M{LEFT} {y:.1}H{}", WIDTH - RIGHT)) {}
                    text x=(LEFT - 6.0) y=(format!("{:.1}", y + 4.0)) text-anchor="end" { (number(tick)) }
                }
                @for tick in ticks(self.x, 5) {
                    @let x = self.x(tick);
                    path class="axis" d=(format!("M{x:.1} {bottom}v4")) {}
                    text x=(format!("{x:.1}")) y=(bottom + 16.0) text-anchor="middle" { (number(tick)) }
                }
                (content)
                text x=(middle) y=(HEIGHT - 4.0) text-anchor="middle" { (x_name) }
                text x="4" y="10" { (y_name) }
            }
        }
    }
}

/// Returns about `wanted` round numbers within a range.
fn ticks((low, high): (f64, f64), wanted: usize) -> Vec<f64> {
    let rough = (high - low) / wanted as f64;
    let power = 10f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 2.5, 5.0, 10.0];
    let step = power * steps.iter().find(|step| **step * power >= rough).unwrap_or(&10.0);
    let first = (low / step - 1e-9).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    (first..=last).map(|at| at as f64 * step).collect()
}

/// Formats a number with as many decimals as it needs, at most four.
fn number(value: f64) -> String {
    let text = format!("{value:.4}");
    let short = text.trim_end_matches('0').trim_end_matches('.');
    if short == "-0" { "0".into() } else { short.replace('-', "−") }
}

/// Returns a range that holds all values with a small margin; never empty.
fn range(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let low = values.clone().fold(f64::INFINITY, f64::min);
    let high = values.fold(f64::NEG_INFINITY, f64::max);
    if low > high {
        return (0.0, 1.0);
    }
    let air = ((high - low) * 0.08).max(0.005);
    (low - air, high + air)
}

/// Returns a line through points, or the outline of an area.
fn line(points: impl Iterator<Item = (f64, f64)>) -> String {
    let mut path = String::new();
    for (x, y) in points {
        path += &format!("{}{x:.1} {y:.1}", if path.is_empty() { "M" } else { "L" });
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_within_the_range() {
        let text = |low, high| {
            ticks((low, high), 5).iter().map(|tick| number(*tick)).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(text(0.0, 1.0), "0 0.2 0.4 0.6 0.8 1");
        assert_eq!(text(0.6512, 0.7034), "0.66 0.68 0.7");
        assert_eq!(text(-0.5, 0.5), "−0.4 −0.2 0 0.2 0.4");
        assert_eq!(text(0.0, 1234.0), "0 250 500 750 1000");
        for tick in ticks((-3.0, 17.5), 5) {
            assert!((-3.0..=17.5).contains(&tick));
        }
    }

    #[test]
    fn a_range_is_never_empty() {
        assert_eq!(range(std::iter::empty()), (0.0, 1.0));
        let (low, high) = range([0.3, 0.3].into_iter());
        assert!(low < 0.3 && high > 0.3);
    }
}
