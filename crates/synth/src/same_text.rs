//! Decides when two passages have the same text.

use whetstone_records::Passage;

/// Returns a key that is equal for texts that differ only in white space and case. For a passage
/// without text, its title counts.
pub(crate) fn same_text(passage: &Passage) -> String {
    let text = if passage.text.trim().is_empty() { &passage.title } else { &passage.text };
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}
