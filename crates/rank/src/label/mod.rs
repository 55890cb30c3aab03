//! What several runs found, to be judged by a human; every grade is kept at once.
//!
//! `pooled` gathers what is judged, `session` decides what is asked next, `judgements` keeps the
//! file. The screen and the keys are the program's.

mod judgements;
mod pooled;
mod session;

pub use judgements::Judgements;
pub use pooled::{Item, pooled};
pub use session::{Key, Session};

/// What a grade means, by its number.
pub const GRADES: [&str; 4] = ["no answer", "touches the subject", "answers in part", "answers"];
