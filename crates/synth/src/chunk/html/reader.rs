//! Turns the nodes of a page, in order, into text and its blocks.

use super::elements::is_block;
use super::squeeze;
use crate::chunk::document::{Block, Kind};
use scraper::Node;
use scraper::node::Element;

/// What is read between two borders of blocks.
#[derive(Default)]
pub(in crate::chunk) struct Reader {
    pub text: String,
    pub blocks: Vec<Block>,
    /// The present block, with white space as it stands in the source.
    block: String,
    /// Nesting within `pre`, `table` and links to other pages: white space counts in the first, and borders are
    /// spaces in the second.
    pre: usize,
    table: usize,
    link: usize,
    /// Bytes of the present block that are in such links.
    linked: usize,
    item: bool,
    /// Nesting within headings, and the words for pictures there, which count where a heading has
    /// no others.
    heading: usize,
    pictures: String,
}

impl Reader {
    pub fn open(&mut self, node: &Node) {
        if let Node::Text(text) = node {
            self.say(text);
            return;
        }
        let Some(element) = node.as_element() else { return };
        match element.name() {
            "table" => {
                self.end_block_outside_table();
                self.table += 1;
            }
            "pre" => {
                self.end_block_outside_table();
                self.pre += 1;
            }
            "td" | "th" if self.table > 0 => self.block.push_str(" | "),
            "tr" if self.table > 0 => self.block.push('\n'),
            "br" => self.block.push(if self.pre > 0 { '\n' } else { ' ' }),
            "li" => {
                self.end_block_outside_table();
                self.item = true;
            }
            "a" => self.link += usize::from(leads_elsewhere(element)),
            "img" | "area" => self.say_image(element),
            name if is_block(name) => {
                self.end_block_outside_table();
                self.heading += usize::from(is_heading(name));
            }
            _ => {}
        }
    }

    pub fn close(&mut self, node: &Node) {
        let Some(element) = node.as_element() else { return };
        match element.name() {
            "table" => {
                if self.table == 1 {
                    self.end_table();
                }
                self.table -= 1;
            }
            "pre" => {
                if self.pre == 1 && self.table == 0 {
                    let code = std::mem::take(&mut self.block);
                    self.push(Kind::Solid, code.trim_matches('\n').trim_end());
                }
                self.pre -= 1;
            }
            "a" => self.link -= usize::from(leads_elsewhere(element)),
            "li" => {
                self.end_block_outside_table();
                self.item &= self.table > 0;
            }
            name if is_heading(name) => {
                self.heading -= 1;
                match self.table {
                    0 => self.end_heading(name.as_bytes()[1] - b'0'),
                    _ => self.end_block_outside_table(),
                }
            }
            name if is_block(name) => self.end_block_outside_table(),
            _ => {}
        }
    }

    /// Adds a block as it stands, between what is read so far and what comes.
    pub fn insert(&mut self, kind: Kind, text: &str) {
        if self.table > 0 {
            self.end_table();
        } else {
            self.end_block();
        }
        self.push(kind, text);
    }

    pub fn end_block(&mut self) {
        let words = squeeze(&std::mem::take(&mut self.block));
        if words.is_empty() {
            self.linked = 0;
        } else if std::mem::take(&mut self.item) {
            self.push(Kind::Item, &format!("- {words}"));
        } else {
            self.push(Kind::Prose, &words);
        }
    }

    fn end_heading(&mut self, level: u8) {
        let pictures = std::mem::take(&mut self.pictures);
        let mut heading = squeeze(&std::mem::take(&mut self.block));
        if heading.is_empty() {
            heading = squeeze(&pictures);
        }
        self.item = false;
        self.push(Kind::Heading(level, heading.clone()), &heading);
    }

    fn say(&mut self, words: &str) {
        if self.link > 0 {
            self.linked += words.trim().len();
        }
        if self.table > 0 && self.pre == 0 {
            // A row is a line, however its cells are written.
            self.block.extend(words.chars().map(|c| if c == '\n' || c == '\r' { ' ' } else { c }));
        } else {
            self.block.push_str(words);
        }
    }

    /// The words that stand for a picture.
    fn say_image(&mut self, image: &Element) {
        let alt = image.attr("alt").map(squeeze).unwrap_or_default();
        if self.heading > 0 {
            self.pictures += &format!(" {alt}");
        } else if !alt.is_empty() {
            self.say(&format!(" {alt} "));
        }
    }

    fn end_block_outside_table(&mut self) {
        if self.table == 0 && self.pre == 0 {
            self.end_block();
        } else if self.table > 0 {
            self.block.push(' ');
        } else if !self.block.is_empty() && !self.block.ends_with('\n') {
            self.block.push('\n');
        }
    }

    fn end_table(&mut self) {
        let block = std::mem::take(&mut self.block);
        let rows: Vec<String> = block
            .lines()
            .map(|row| squeeze(row).trim_start_matches("| ").to_owned())
            .filter(|row| !row.trim_matches(['|', ' ']).is_empty())
            .collect();
        self.push(Kind::Solid, &rows.join("\n"));
    }

    fn push(&mut self, kind: Kind, block: &str) {
        let linked = std::mem::take(&mut self.linked).min(block.len());
        if block.trim().is_empty() {
            return;
        }
        let start = self.text.len();
        self.text.push_str(block);
        self.blocks.push(Block { kind, span: start..self.text.len(), linked });
        self.text.push_str("\n\n");
    }
}

/// Whether a link leads to another page.
fn leads_elsewhere(link: &Element) -> bool {
    link.attr("href").is_some_and(|address| !address.trim_start().starts_with('#'))
}

pub(super) fn is_heading(name: &str) -> bool {
    matches!(name, "h1" | "h2" | "h3" | "h4" | "h5" | "h6")
}
