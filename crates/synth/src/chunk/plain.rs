//! Plain text as paragraphs.

use super::document::{Block, Kind};

/// Longest first line that is taken for a title, in characters.
const MAX_TITLE_CHARS: usize = 100;

/// Returns the paragraphs of a plain text from `start` on. A short first line with an empty one
/// below it is the title.
pub(crate) fn read(text: &str, start: usize) -> Vec<Block> {
    let mut blocks = paragraphs_of(text, start);
    let is_alone = blocks.len() < 2;
    if let Some(first) = blocks.first_mut().filter(|_| !is_alone) {
        let title = text[first.span.clone()].trim();
        let short = title.chars().count() <= MAX_TITLE_CHARS && !title.contains('\n');
        if short && !title.ends_with(['.', '!', '?', ':', ';']) {
            first.kind = Kind::Heading(1, title.to_owned());
        }
    }
    blocks
}

/// Returns the paragraphs of a text whose title is known.
pub(crate) fn paragraphs_of(text: &str, start: usize) -> Vec<Block> {
    let block = |paragraph: &str| {
        let at = paragraph.as_ptr() as usize - text.as_ptr() as usize;
        Block::new(Kind::Prose, at..at + paragraph.len())
    };
    paragraphs(&text[start..]).map(block).collect()
}

fn paragraphs(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        if rest.is_empty() {
            return None;
        }
        let mut end = 0;
        for line in rest.split_inclusive('\n') {
            if line.trim().is_empty() {
                break;
            }
            end += line.len();
        }
        let (paragraph, after) = rest.split_at(end);
        rest = after;
        Some(paragraph.trim_end())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::document::Outline;
    use whetstone_records::Language;

    #[test]
    fn a_short_first_line_is_the_title() {
        let text = "Winter rules\n\nClose the valve. Wait.\n \nThen open it.";
        let outline = Outline::of(text, &read(text, 0), Language::English);
        assert_eq!(outline.title.as_deref(), Some("Winter rules"));
        let units: Vec<&str> =
            outline.sections[0].units.iter().map(|unit| &text[unit.span.clone()]).collect();
        assert_eq!(units, ["Close the valve.", "Wait.", "Then open it."]);
    }

    #[test]
    fn a_sentence_alone_is_text_and_no_title() {
        let text = "Close the valve";
        let outline = Outline::of(text, &read(text, 0), Language::English);
        assert_eq!((outline.title, outline.sections[0].units.len()), (None, 1));
    }
}
