//! Formats sentences and numbers for the page.

use maud::{Markup, html};

/// Renders a sentence; words in backticks are names.
pub(crate) fn prose(text: &str) -> Markup {
    // A no-break space keeps a number with its sign.
    let text = text.replace(" %", "\u{a0}%");
    html! {
        @for (place, part) in text.split('`').enumerate() {
            @if place % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

/// Formats as `0.7540`.
pub(crate) fn value(value: f64) -> String {
    format!("{value:.4}")
}

/// Formats as `+0.0312`, with a real minus.
pub(crate) fn signed(value: f64) -> String {
    if value.is_finite() { format!("{value:+.4}").replace('-', "−") } else { "unknown".into() }
}

/// Returns the CSS class of a difference.
pub(crate) fn tone(difference: f64) -> &'static str {
    if difference > 1e-9 {
        "gain"
    } else if difference < -1e-9 {
        "loss"
    } else {
        ""
    }
}

/// Formats a fraction as `12 %`.
pub(crate) fn share(count: usize, of: usize) -> String {
    format!("{:.0} %", 100.0 * count as f64 / of.max(1) as f64)
}
