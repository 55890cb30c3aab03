//! A source file as text, cut into blocks, and what becomes of the blocks.

use std::ops::Range;
use whetstone_records::{DocumentId, Language};

/// A source file as text, with the places where it may be cut.
#[derive(Debug)]
pub(crate) struct Document {
    pub id: DocumentId,
    pub titles: Titles,
    /// The file's bytes for plain text and for Markdown without HTML, else what a reader sees.
    /// Passages are slices of it.
    pub text: String,
    pub blocks: Vec<Block>,
    /// Whether the file is HTML, whose blocks know how much of them is links.
    pub is_html: bool,
}

/// The titles that a file states outside its text.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Titles {
    /// `title` or `linkTitle` of the front matter.
    pub front: Option<String>,
    /// `<title>`.
    pub head: Option<String>,
}

/// A heading, paragraph, list item, code block or table.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Block {
    pub kind: Kind,
    /// Bytes of the document's text.
    pub span: Range<usize>,
    /// How many of these bytes are in links to other pages.
    pub linked: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    /// Of a level from 1, with its words.
    Heading(u8, String),
    /// Cut between sentences.
    Prose,
    /// A list item, which is not cut where it fits.
    Item,
    /// A code block or a table: cut between lines only, and never repeated as overlap.
    Solid,
}

impl Document {
    /// The document without some of its blocks; the text between two blocks goes with the first.
    pub fn without(mut self, dropped: &[bool]) -> Self {
        if !dropped.contains(&true) {
            return self;
        }
        let ends = self.blocks.iter().skip(1).map(|block| block.span.start);
        let ends: Vec<usize> = ends.chain([self.text.len()]).collect();
        let mut text = self.text[..self.blocks[0].span.start].to_owned();
        let mut blocks = Vec::new();
        for ((mut block, end), dropped) in self.blocks.into_iter().zip(ends).zip(dropped) {
            if !dropped {
                let (old, new) = (block.span.start, text.len());
                text.push_str(&self.text[old..end]);
                block.span = new..new + block.span.len();
                blocks.push(block);
            }
        }
        (self.text, self.blocks) = (text, blocks);
        self
    }
}

impl Block {
    pub fn new(kind: Kind, span: Range<usize>) -> Self {
        Self { kind, span, linked: 0 }
    }

    pub fn is_heading(&self) -> bool {
        matches!(self.kind, Kind::Heading(..))
    }
}

/// The text between two headings.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Section {
    /// Headings above this text, outermost first, without the document's title.
    pub headings: Vec<String>,
    pub units: Vec<Unit>,
}

/// What is kept in one piece where it fits.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Unit {
    /// Bytes of the document's text.
    pub span: Range<usize>,
    /// A code block or a table.
    pub solid: bool,
}

/// The blocks under their headings; the title is absent where no heading of level 1 states one.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Outline {
    pub title: Option<String>,
    pub sections: Vec<Section>,
}

impl Outline {
    pub fn of<'b>(
        text: &str,
        blocks: impl IntoIterator<Item = &'b Block>,
        language: Language,
    ) -> Self {
        let mut outline = Self::default();
        let mut path = Vec::new();
        for Block { kind, span, .. } in blocks {
            match kind {
                Kind::Heading(level, heading) => {
                    outline.open_section(&mut path, *level, heading.clone())
                }
                Kind::Prose => outline.push_prose(text, span.clone(), language),
                Kind::Item => outline.push_unit(text, span.clone(), false),
                Kind::Solid => outline.push_unit(text, span.clone(), true),
            }
        }
        outline
    }

    /// Opens a section under `heading`, which is of `level` (1 is the outermost). The first heading
    /// of level 1 is the document's title, and no part of the path.
    fn open_section(&mut self, path: &mut Vec<(u8, String)>, level: u8, heading: String) {
        while path.last().is_some_and(|(above, _)| *above >= level) {
            path.pop();
        }
        if level == 1 && self.title.is_none() {
            self.title = Some(heading);
        } else {
            path.push((level, heading));
        }
        let headings = path.iter().map(|(_, heading)| heading.clone()).collect();
        self.sections.push(Section { headings, units: Vec::new() });
    }

    /// The section that text belongs to now.
    fn section(&mut self) -> &mut Section {
        if self.sections.is_empty() {
            self.sections.push(Section::default());
        }
        self.sections.last_mut().expect("one was pushed if there was none")
    }

    /// Adds prose, sentence by sentence.
    fn push_prose(&mut self, text: &str, span: Range<usize>, language: Language) {
        let sentences = super::sentences::sentences(&text[span.clone()], language);
        let units = sentences.into_iter().map(|sentence| Unit {
            span: span.start + sentence.start..span.start + sentence.end,
            solid: false,
        });
        self.section().units.extend(units);
    }

    fn push_unit(&mut self, text: &str, span: Range<usize>, solid: bool) {
        let span = trim(text, span);
        if !span.is_empty() {
            self.section().units.push(Unit { span, solid });
        }
    }
}

/// The span without white space at its ends; a first line keeps its indentation, which code needs.
fn trim(text: &str, span: Range<usize>) -> Range<usize> {
    let slice = &text[span.clone()];
    let end = span.start + slice.trim_end().len();
    let first = slice.len() - slice.trim_start().len();
    let start = slice[..first].rfind('\n').map_or(0, |newline| newline + 1);
    span.start + start..end.max(span.start + start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_without_a_block_is_its_other_blocks() {
        let text = "> one\n\ntwo\n\nthree\n";
        let block = |start: usize, end: usize| Block::new(Kind::Prose, start..end);
        let document = |dropped: &[bool]| {
            let document = Document {
                id: "a.md".into(),
                titles: Titles::default(),
                text: text.into(),
                blocks: vec![block(2, 5), block(7, 10), block(12, 17)],
                is_html: false,
            };
            let document = document.without(dropped);
            let texts: Vec<String> = document
                .blocks
                .iter()
                .map(|block| document.text[block.span.clone()].to_owned())
                .collect();
            (document.text, texts.join(","))
        };
        assert_eq!(document(&[false; 3]).0, text);
        let found = document(&[false, true, false]);
        assert_eq!(found, ("> one\n\nthree\n".to_owned(), "one,three".to_owned()));
        assert_eq!(document(&[true, true, true]).1, "");
    }
}
