//! The terminal labeller: a human grades what several runs found, and every grade is kept at once.
//!
//! `session` decides what is asked next, `judgements` keeps the file, `screen` lays out text,
//! `terminal` is the only part that knows a terminal.

mod judgements;
mod screen;
mod session;
mod terminal;

pub use judgements::Judgements;
pub use session::{Item, Session};
pub use terminal::{label, refuse_without_terminal};

/// What a grade means, by its number.
pub const GRADES: [&str; 4] = ["no answer", "touches the subject", "answers in part", "answers"];
