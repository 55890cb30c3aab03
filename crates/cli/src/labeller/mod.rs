//! The terminal labeller: `screen` lays out text, `terminal` is the only part that knows a terminal.

mod screen;
mod terminal;

pub use terminal::{label, refuse_without_terminal};
