//! The figure of the differences query by query.

use super::{Frame, HEIGHT, LEFT, RIGHT, TOP, WIDTH};
use crate::compare::TIE;
use maud::{Markup, html};

/// Draws every query's difference as a profile around zero, greatest gain first.
pub(crate) fn differences(sorted: &[f64], measure: &str) -> Markup {
    let count = sorted.len();
    let reach =
        sorted.iter().fold(0.0f64, |reach, difference| reach.max(difference.abs())).max(0.01)
            * 1.05;
    let frame = Frame { x: (0.0, count.max(1) as f64), y: (-reach, reach) };
    let zero = frame.y(0.0);
    let losses = sorted.iter().take_while(|difference| **difference < -TIE).count();
    let wins = sorted.iter().rev().take_while(|difference| **difference > TIE).count();
    let descending = |place: usize| sorted[count - 1 - place];
    let content = html! {
        path class="f-gain" d=(profile(&frame, 0..wins, descending)) {}
        path class="f-loss" d=(profile(&frame, count - losses..count, descending)) {}
        path class="zero" d=(format!("M{LEFT} {zero:.1}H{}", WIDTH - RIGHT)) {}
        text.title x=(WIDTH - RIGHT) y=(TOP + 12.0) text-anchor="end" { (wins) " better, " (count - wins - losses) " equal, " (losses) " worse" }
    };
    let name = format!("difference of each query: {wins} better, {losses} worse");
    debug_assert!(zero < HEIGHT);
    frame.draw(&name, "queries, greatest gain first", &format!("difference of {measure}"), content)
}

/// Returns the outline of some bars, from zero and back, with at most one point per unit of width.
fn profile(frame: &Frame, places: std::ops::Range<usize>, value: impl Fn(usize) -> f64) -> String {
    if places.is_empty() {
        return String::new();
    }
    let zero = frame.y(0.0);
    let mut path = format!("M{:.1} {zero:.1}", frame.x(places.start as f64));
    let stride = places.len().div_ceil(WIDTH as usize);
    let end = places.end;
    for place in places.step_by(stride) {
        let next = (place + stride).min(end);
        path += &format!("V{:.1}H{:.1}", frame.y(value(place)), frame.x(next as f64));
    }
    path + &format!("V{zero:.1}Z")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_profile_of_many_queries_stays_small_and_counts_them_all() {
        let differences: Vec<f64> =
            (0..20_000).map(|index| f64::from(index) / 10_000.0 - 0.5).collect();
        let svg = differences_text(&differences);
        assert!(svg.len() < 40_000, "{} bytes", svg.len());
        assert!(svg.contains("14999 better, 1 equal, 5000 worse"), "{svg}");
        assert!(differences_text(&[]).contains("0 better, 0 equal, 0 worse"));
    }

    fn differences_text(sorted: &[f64]) -> String {
        super::differences(sorted, "ndcg@10").into_string()
    }
}
