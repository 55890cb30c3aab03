//! Markdown as blocks: in its own words where it holds no HTML, else as a reader sees it.

mod shortcodes;

use super::document::{Block, Kind};
use super::html::{PLACE, Reader, inline_text, squeeze, walk};
use pulldown_cmark::{Event, LinkType, Options, Parser, Tag, TagEnd};
use scraper::Html;
use std::ops::Range;

/// Longest address of a link that stays in the text, in bytes.
const MAX_ADDRESS_BYTES: usize = 200;

/// Returns the text of a Markdown file and its blocks; `start` is where the text begins, below the
/// front matter.
///
/// A file without HTML, pictures and the like stays as it is, and its blocks are slices of it.
pub(crate) fn read(source: &str, start: usize) -> (String, Vec<Block>) {
    match shortcodes::without(&source[start..]) {
        Some(text) => read_markdown(&format!("{}{text}", &source[..start]), start),
        None => read_markdown(source, start),
    }
}

fn read_markdown(source: &str, start: usize) -> (String, Vec<Block>) {
    let (parts, definitions) = parts(source, start);
    let is_plain = |part: &Part| part.edits.is_empty() && !part.is_html;
    if definitions == 0 && parts.iter().all(is_plain) {
        let block = |part: Part| Block::new(part.kind, part.span);
        return (source.to_owned(), parts.into_iter().map(block).collect());
    }
    let mut places = Vec::new();
    let reader = rendered(&parts, source, &mut places);
    if parts.iter().zip(&places).all(|(part, seen)| part.is_html || *seen) {
        return (reader.text, reader.blocks);
    }
    // An element that is never closed, such as `<xmp>`, hides what comes after it: each piece of
    // HTML alone cannot.
    let mut reader = Reader::default();
    for part in &parts {
        match part.is_html {
            true => walk(&page(&source[part.span.clone()]), &mut reader, |_, _| {}),
            false => reader.insert(part.kind.clone(), &part.text(source)),
        }
    }
    (reader.text, reader.blocks)
}

/// Reads the HTML blocks as one page, in which the other parts have their places, so that an
/// element hides or holds what stands between its tags; `seen` tells which places the page has.
fn rendered(parts: &[Part], source: &str, seen: &mut Vec<bool>) -> Reader {
    let mut html = String::new();
    for (number, part) in parts.iter().enumerate() {
        match part.is_html {
            true => html += &source[part.span.clone()],
            false => html += &format!("<{PLACE} n={number}></{PLACE}>"),
        }
    }
    let page = page(&html);
    seen.resize(parts.len(), false);
    for element in page.tree.values().filter_map(|node| node.as_element()) {
        let number = element.attr("n").filter(|_| element.name() == PLACE);
        if let Some(seen) =
            number.and_then(|n| n.parse::<usize>().ok()).and_then(|n| seen.get_mut(n))
        {
            *seen = true;
        }
    }
    let mut reader = Reader::default();
    walk(&page, &mut reader, |reader, number| {
        if let Some(part) = parts.get(number).filter(|part| !part.is_html) {
            reader.insert(part.kind.clone(), &part.text(source));
        }
    });
    reader
}

fn page(html: &str) -> Html {
    Html::parse_document(&format!("<!doctype html><body>{html}"))
}

/// A block of the source.
struct Part {
    kind: Kind,
    span: Range<usize>,
    is_html: bool,
    /// What a reader does not see as it stands there, in order.
    edits: Vec<Edit>,
}

/// Bytes of the source and what a reader sees in their place.
struct Edit {
    span: Range<usize>,
    seen: Seen,
}

enum Seen {
    Text(String),
    /// A tag or comment, to be read together with what is around it.
    Tag,
}

impl Part {
    fn new(kind: Kind, span: Range<usize>) -> Self {
        Self { kind, span, is_html: false, edits: Vec::new() }
    }

    /// The source of the part as a reader sees it.
    fn text(&self, source: &str) -> String {
        let has_tags = self.edits.iter().any(|edit| matches!(edit.seen, Seen::Tag));
        let mut text = String::new();
        let mut at = self.span.start;
        for Edit { span, seen } in &self.edits {
            // An edit within one that is done already.
            if span.start < at {
                continue;
            }
            push(&mut text, &source[at..span.start], has_tags);
            match seen {
                Seen::Text(words) => push(&mut text, words, has_tags),
                Seen::Tag => text += &source[span.clone()],
            }
            at = span.end;
        }
        push(&mut text, &source[at..self.span.end], has_tags);
        let text = if has_tags { inline_text(&text) } else { text };
        let first = text.len() - text.trim_start().len();
        let indented = text[..first].rfind('\n').map_or(0, |newline| newline + 1);
        text[indented..].trim_end().to_owned()
    }
}

/// Adds words, in the words of HTML where tags stand among them.
fn push(text: &mut String, words: &str, as_html: bool) {
    if !as_html {
        return text.push_str(words);
    }
    for c in words.chars() {
        match c {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            c => text.push(c),
        }
    }
}

/// Returns the blocks of a Markdown text from `start` on, and how many definitions of links it has.
fn parts(source: &str, start: usize) -> (Vec<Part>, usize) {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_HEADING_ATTRIBUTES;
    let mut parser = Parser::new_ext(&source[start..], options).into_offset_iter();
    let mut builder = Builder { source, ..Builder::default() };
    for (event, span) in parser.by_ref() {
        builder.take(event, start + span.start..start + span.end);
    }
    builder.parts.iter_mut().for_each(|part| {
        part.edits.sort_by_key(|edit| (edit.span.start, std::cmp::Reverse(edit.span.end)));
    });
    (builder.parts, parser.reference_definitions().iter().count())
}

/// Collects parts from events.
#[derive(Default)]
struct Builder<'s> {
    source: &'s str,
    parts: Vec<Part>,
    depth: usize,
    /// Links and pictures that are open, outermost first.
    open: Vec<Inner>,
    /// The words for pictures of a heading, which count where it has no others.
    pictures: String,
}

/// A link or picture.
struct Inner {
    span: Range<usize>,
    kind: InnerKind,
    /// The words in it that are seen.
    words: String,
    /// Bytes of the source that hold them.
    holds: Option<Range<usize>>,
}

#[derive(Clone, Copy, PartialEq)]
enum InnerKind {
    Picture,
    /// A link whose address stays in the text.
    Link,
    /// A link whose address is nothing to read.
    BareLink,
}

impl Builder<'_> {
    fn take(&mut self, event: Event, span: Range<usize>) {
        match event {
            Event::Start(tag) => {
                self.start(tag, span);
                self.depth += 1;
            }
            Event::End(tag) => {
                self.depth -= 1;
                match tag {
                    TagEnd::Link | TagEnd::Image => self.end_inner(),
                    TagEnd::Heading(_) => self.end_heading(),
                    _ => {}
                }
            }
            Event::Text(words) | Event::Code(words) => self.say(&words, span),
            Event::SoftBreak | Event::HardBreak => self.say(" ", span),
            Event::InlineHtml(_) => self.edit(span, Seen::Tag),
            _ => {}
        }
    }

    fn start(&mut self, tag: Tag, span: Range<usize>) {
        let kind = match (self.depth, tag) {
            (_, Tag::Image { .. }) => return self.open(InnerKind::Picture, span),
            (_, Tag::Link { dest_url, link_type, .. }) => {
                let kind = if is_readable(&dest_url, link_type) {
                    InnerKind::Link
                } else {
                    InnerKind::BareLink
                };
                return self.open(kind, span);
            }
            (0, Tag::HtmlBlock) => {
                return self.parts.push(Part { is_html: true, ..Part::new(Kind::Prose, span) });
            }
            (_, Tag::HtmlBlock) => {
                let mut reader = Reader::default();
                walk(&page(&self.source[span.clone()]), &mut reader, |_, _| {});
                let text = reader.text.trim().replace("\n\n", "\n");
                return self.edit(span, Seen::Text(format!("{text}\n")));
            }
            (0, Tag::Heading { level, .. }) => Kind::Heading(level as u8, String::new()),
            (0, Tag::CodeBlock(_) | Tag::Table(_)) => Kind::Solid,
            (0, Tag::List(_)) => return,
            (0, _) => Kind::Prose,
            (1, Tag::Item) => Kind::Item,
            _ => return,
        };
        self.parts.push(Part::new(kind, span));
    }

    fn open(&mut self, kind: InnerKind, span: Range<usize>) {
        self.holds(span.clone());
        self.open.push(Inner { span, kind, words: String::new(), holds: None });
    }

    /// Notes that a link or picture holds something there.
    fn holds(&mut self, span: Range<usize>) {
        if let Some(inner) = self.open.last_mut() {
            let first = inner.holds.as_ref().map_or(span.start, |holds| holds.start);
            inner.holds = Some(first..span.end);
        }
    }

    fn say(&mut self, words: &str, span: Range<usize>) {
        self.holds(span);
        if let Some(inner) = self.open.last_mut() {
            inner.words += words;
        }
        let in_picture = self.open.iter().any(|inner| inner.kind == InnerKind::Picture);
        match self.parts.last_mut() {
            Some(Part { kind: Kind::Heading(..), .. }) if in_picture => self.pictures += words,
            Some(Part { kind: Kind::Heading(_, heading), .. }) => heading.push_str(words),
            _ => {}
        }
    }

    fn end_inner(&mut self) {
        let Some(Inner { span, kind, words, holds }) = self.open.pop() else { return };
        if words.trim().is_empty() {
            return self.edit(span, Seen::Text(String::new()));
        }
        match (kind, holds) {
            (InnerKind::Picture, _) => self.edit(span.clone(), Seen::Text(squeeze(&words))),
            (InnerKind::BareLink, Some(holds)) => {
                self.edit(span.start..holds.start, Seen::Text(String::new()));
                self.edit(holds.end..span.end, Seen::Text(String::new()));
            }
            _ => {}
        }
        if let Some(around) = self.open.last_mut() {
            around.words += &words;
        }
    }

    fn end_heading(&mut self) {
        let pictures = std::mem::take(&mut self.pictures);
        if let Some(Part { kind: Kind::Heading(_, heading), .. }) = self.parts.last_mut() {
            let words = if heading.trim().is_empty() { &pictures } else { &*heading };
            *heading = squeeze(words);
        }
    }

    fn edit(&mut self, span: Range<usize>, seen: Seen) {
        if let Some(part) = self.parts.last_mut().filter(|part| !part.is_html) {
            part.edits.push(Edit { span, seen });
        }
    }
}

/// Whether the address of a link may stay in the text.
fn is_readable(address: &str, kind: LinkType) -> bool {
    let shown = matches!(kind, LinkType::Autolink | LinkType::Email);
    shown || (address.len() <= MAX_ADDRESS_BYTES && !address.trim_start().starts_with("data:"))
}

#[cfg(test)]
mod tests;
