use std::ops::Range;
use whetstone_records::DocumentId;

/// A source file as text, with the places where it may be cut.
pub(crate) struct Document {
    pub id: DocumentId,
    pub title: String,
    /// The file's bytes for Markdown and plain text, the extracted text for HTML. Passages are
    /// slices of it.
    pub text: String,
    pub sections: Vec<Section>,
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
    /// A code block or a table: cut between lines only, and never repeated as overlap.
    pub solid: bool,
}

/// What a parser finds in a text; the title is absent where the text states none.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Outline {
    pub title: Option<String>,
    pub sections: Vec<Section>,
}

impl Outline {
    /// Opens a section under `heading`, which is of `level` (1 is the outermost). The first heading
    /// of level 1 is the document's title, and no part of the path.
    pub fn open_section(&mut self, path: &mut Vec<(u8, String)>, level: u8, heading: String) {
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
    pub fn section(&mut self) -> &mut Section {
        if self.sections.is_empty() {
            self.sections.push(Section::default());
        }
        self.sections.last_mut().expect("one was pushed if there was none")
    }

    /// Adds prose, sentence by sentence.
    pub fn push_prose(&mut self, text: &str, span: Range<usize>) {
        let sentences = super::sentences::sentences(&text[span.clone()]);
        let units = sentences.into_iter().map(|sentence| Unit {
            span: span.start + sentence.start..span.start + sentence.end,
            solid: false,
        });
        self.section().units.extend(units);
    }

    /// Adds a piece that is not cut where it fits: a list item, or with `solid` a code block or
    /// table.
    pub fn push_unit(&mut self, text: &str, span: Range<usize>, solid: bool) {
        let span = trim(text, span);
        if !span.is_empty() {
            self.section().units.push(Unit { span, solid });
        }
    }
}

/// The span without white space at its ends; a first line keeps its indentation, which code needs.
pub(crate) fn trim(text: &str, span: Range<usize>) -> Range<usize> {
    let slice = &text[span.clone()];
    let end = span.start + slice.trim_end().len();
    let first = slice.len() - slice.trim_start().len();
    let start = slice[..first].rfind('\n').map_or(0, |newline| newline + 1);
    span.start + start..end.max(span.start + start)
}
