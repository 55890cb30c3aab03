//! Has a human judge what several runs found. Every grade is kept at once.
//!
//! `pooled` gathers the passages, `session` decides what comes next, `judgements` keeps the file.
//! The screen and the keys belong to the program.

mod judgements;
mod pooled;
mod session;

pub use judgements::Judgements;
pub use pooled::{Item, pooled};
pub use session::{Key, Session};

/// The meaning of each grade, by its number.
pub const GRADES: [&str; 4] = ["no answer", "touches the subject", "answers in part", "answers"];
