//! The figure of quality by reranking depth.

use super::{Frame, RIGHT, WIDTH, line, range};
use crate::why::{DepthPoint, Sweep};
use maud::{Markup, html};

/// Least distance between two labels, so that they do not touch.
const LABEL_WIDTH: f64 = 30.0;

/// Draws quality against the cost of reranking: milliseconds per query if known, else pairs. Labels
/// give the depths; the knee is filled.
pub(crate) fn depth(sweep: &Sweep, measure: &str) -> Markup {
    let points = &sweep.points;
    let by_time = points.iter().all(|point| point.ms_per_query.is_some());
    let cost = |point: &DepthPoint| {
        point.ms_per_query.filter(|_| by_time).unwrap_or(point.pairs_per_query)
    };
    let (low, high) = range(points.iter().map(|point| point.value));
    // Leaves room for labels above the points.
    let frame = Frame {
        x: (0.0, points.iter().map(cost).fold(0.0, f64::max).max(1e-6) * 1.04),
        y: (low, high + 0.12 * (high - low)),
    };
    let place = |point: &DepthPoint| (frame.x(cost(point)), frame.y(point.value));
    let labels = labels(points.iter().map(|point| place(point).0), sweep);
    let content = html! {
        path class="curve l-system" d=(line(points.iter().map(place))) {}
        @for point in points {
            @let (x, y) = place(point);
            @let is_knee = sweep.knee == Some(point.depth);
            circle class=(if is_knee { "f-system" } else { "halo l-system" }) cx=(format!("{x:.1}")) cy=(format!("{y:.1}")) r=(if is_knee { 5 } else { 3 }) {}
        }
        @for (at, x) in labels {
            @let (_, y) = place(&points[at]);
            text.title[sweep.knee == Some(points[at].depth)] x=(format!("{x:.1}")) y=(format!("{:.1}", y - 9.0)) text-anchor="middle" { (points[at].depth) }
        }
    };
    let unit = if by_time { "ms for a query" } else { "pairs scored for a query" };
    frame.draw(&format!("{measure} by depth of reranking"), unit, measure, content)
}

/// Returns which points get a label and where: the knee and the ends first, then those that touch
/// no other.
fn labels(xs: impl Iterator<Item = f64>, sweep: &Sweep) -> Vec<(usize, f64)> {
    let xs: Vec<f64> = xs.map(|x| x.min(WIDTH - RIGHT - 8.0)).collect();
    let last = xs.len() - 1;
    let knee = sweep.points.iter().position(|point| sweep.knee == Some(point.depth));
    let mut shown: Vec<(usize, f64)> = Vec::new();
    for at in knee.into_iter().chain([last, 0]).chain(0..xs.len()) {
        if shown.iter().all(|(_, x)| (x - xs[at]).abs() >= LABEL_WIDTH) {
            shown.push((at, xs[at]));
        }
    }
    shown
}
