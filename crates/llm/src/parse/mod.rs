//! Questions, grades and texts out of whatever an LLM answered.

mod grades;
mod labels;
mod loose;
mod questions;
mod thought;

pub use grades::grade;
pub use questions::questions;

use loose::Loose;
use std::borrow::Cow;

/// An answer without what the model thought before it.
#[derive(Clone, Debug, PartialEq)]
pub struct Said<'t> {
    /// What stands outside the thoughts.
    pub text: Cow<'t, str>,
    /// Whether the answer shows thoughts.
    pub thinks: bool,
    /// Whether its last thought was not finished.
    pub is_unfinished: bool,
    /// Whether the answer ended at the limit on its length.
    pub is_cut_off: bool,
}

impl<'t> Said<'t> {
    /// Takes the thoughts out of an answer.
    pub fn of(content: &'t str, is_cut_off: bool) -> Self {
        let thought::Outside { text, thinks, is_unfinished } = thought::outside(content);
        Self { text, thinks, is_unfinished, is_cut_off }
    }
}

/// Returns the finished text of a field of the first JSON object that has it, without white space
/// around it; none where that is all.
pub fn field(said: &Said, name: &str) -> Option<String> {
    let is_named = |key: &str| key.trim().eq_ignore_ascii_case(name);
    let text = loose::values(&said.text).into_iter().find_map(|found| {
        let Loose::Fields(fields) = found.value else { return None };
        fields.into_iter().find_map(|(key, value)| match value {
            Loose::Text(text) if is_named(&key) => Some(text),
            _ => None,
        })
    })?;
    let text = thought::outside(&text).text.trim().to_owned();
    (!text.is_empty()).then_some(text)
}
