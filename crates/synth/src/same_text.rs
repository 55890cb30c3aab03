//! When two passages say the same.

use whetstone_records::Passage;

/// Returns what is equal where the texts are the same up to white space and case; a passage without
/// text goes by its title.
pub(crate) fn same_text(passage: &Passage) -> String {
    let text = if passage.text.trim().is_empty() { &passage.title } else { &passage.text };
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}
