//! The terminal labeller: `screen` lays out text, `terminal` alone knows a terminal.

mod screen;
mod terminal;

pub use terminal::{label, refuse_without_terminal};
