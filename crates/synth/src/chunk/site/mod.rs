//! What repeats over the documents of a site: navigation, pages that hold other pages again, lists
//! of links.
//!
//! Whatever publishes a site adds pages and blocks that no one wrote as text: mdBook's print.html,
//! the search page and index of Sphinx, old versions of Docusaurus, lists by tag of Hugo. They are
//! told by their repetition, and by name only where they hold next to nothing of their own.

mod copies;
mod lists;
mod version;

use super::document::{Block, Document, Kind};
use std::collections::{HashMap, HashSet};
use version::Versioned;

/// Fewest pages with a block, for it to be navigation.
const MIN_PAGES: usize = 4;

/// Why a page is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LeftOut {
    /// Other pages hold all of it.
    Copy,
    /// An older or unfinished version of another page.
    Version,
    /// Links and beginnings of other pages.
    List,
    /// The source that another page was made from.
    Source,
    /// Nothing but navigation and headings.
    Bare,
}

impl LeftOut {
    /// The name in the manifest's counts.
    pub fn count_name(self) -> &'static str {
        match self {
            LeftOut::Copy => "left-out-copies",
            LeftOut::Version => "left-out-versions",
            LeftOut::List => "left-out-lists",
            LeftOut::Source => "left-out-sources",
            LeftOut::Bare => "left-out-bare",
        }
    }

    /// The reason in words.
    pub fn reason(self) -> &'static str {
        match self {
            LeftOut::Copy => "other pages hold the same text",
            LeftOut::Version => "another version of the same page is taken",
            LeftOut::List => "links to other pages and little else",
            LeftOut::Source => "the source of another page",
            LeftOut::Bare => "only headings and what most pages have",
        }
    }
}

/// What is not taken of a site.
pub(crate) struct Site {
    /// For every document.
    pub left_out: Vec<Option<LeftOut>>,
    /// For every document and block: whether the block is on most pages.
    pub navigation: Vec<Vec<bool>>,
}

impl Site {
    /// Compares all documents.
    pub fn of(documents: &[Document]) -> Self {
        let pages = Pages::of(documents);
        let navigation = pages.navigation();
        let pages = pages.without(&navigation);
        let mut left_out = lists::find(&pages);
        for (page, blocks) in pages.blocks.iter().enumerate() {
            if blocks.iter().all(|of| of.block.is_heading()) {
                left_out[page] = Some(LeftOut::Bare);
            }
        }
        copies::find(&pages, &mut left_out);
        Self { left_out, navigation }
    }
}

/// The documents as numbers that are equal where the words are.
struct Pages<'d> {
    documents: &'d [Document],
    /// Blocks of each document, in order.
    blocks: Vec<Vec<PageBlock<'d>>>,
    /// The first document of the same words or, but for its version, of the same name: what only
    /// its copies share with a page is no navigation.
    first: Vec<usize>,
}

#[derive(Clone, Copy)]
struct PageBlock<'d> {
    block: &'d Block,
    words: u32,
    /// Bytes of its words.
    weight: u32,
}

impl<'d> Pages<'d> {
    fn of(documents: &'d [Document]) -> Self {
        let mut numbers: HashMap<String, u32> = HashMap::new();
        let mut page_block = |document: &'d Document, block: &'d Block| {
            let words = plain_words(&document.text[block.span.clone()]);
            let weight = words.len() as u32;
            let next = numbers.len() as u32;
            PageBlock { block, words: *numbers.entry(words).or_insert(next), weight }
        };
        let blocks = documents.iter().map(|document| {
            document.blocks.iter().map(|block| page_block(document, block)).collect()
        });
        let blocks: Vec<Vec<PageBlock>> = blocks.collect();
        let mut by_page = HashMap::new();
        let mut by_words: HashMap<Vec<u32>, usize> = HashMap::new();
        let first = documents.iter().zip(&blocks).enumerate().map(|(place, (document, blocks))| {
            let page = Versioned::of(document.id.as_str()).page;
            let place = *by_page.entry(page).or_insert(place);
            let words = blocks.iter().map(|of| of.words).collect();
            *by_words.entry(words).or_insert(place)
        });
        Self { first: first.collect(), blocks, documents }
    }

    /// The blocks that most pages have, of headings only the outermost: `Examples` is on most pages
    /// and says what is below it.
    fn navigation(&self) -> Vec<Vec<bool>> {
        // What stands beside the pages, such as their sources, has no navigation.
        let kind = |document: &'d Document| if document.is_html { "html" } else { "text" };
        let everywhere = self.on_most(|_| true, kind);
        // Several sites may lie side by side, each with its name above every page.
        let titles = self.on_most(is_title, top_folder);
        let blocks = self.blocks.iter().zip(self.documents).map(|(blocks, document)| {
            let is_navigation = |PageBlock { block, words, .. }: &PageBlock| {
                let title = is_title(block) && titles.contains(&(top_folder(document), *words));
                let everywhere = everywhere.contains(&(kind(document), *words));
                title || (everywhere && (is_title(block) || !block.is_heading()))
            };
            blocks.iter().map(is_navigation).collect()
        });
        blocks.collect()
    }

    /// The words of some blocks that most documents of a group have, with that group.
    fn on_most(
        &self,
        counts: impl Fn(&Block) -> bool,
        group_of: impl Fn(&'d Document) -> &'d str,
    ) -> HashSet<(&'d str, u32)> {
        let mut sizes: HashMap<&str, HashSet<usize>> = HashMap::new();
        let mut pages: HashMap<(&str, u32), HashSet<usize>> = HashMap::new();
        for (page, document) in self.documents.iter().enumerate() {
            let (group, first) = (group_of(document), self.first[page]);
            sizes.entry(group).or_default().insert(first);
            for of in self.blocks[page].iter().filter(|of| counts(of.block)) {
                pages.entry((group, of.words)).or_default().insert(first);
            }
        }
        pages.retain(|(group, _), pages| {
            pages.len() >= MIN_PAGES && pages.len() * 2 > sizes[group].len()
        });
        pages.into_keys().collect()
    }

    fn without(mut self, navigation: &[Vec<bool>]) -> Self {
        for (blocks, navigation) in self.blocks.iter_mut().zip(navigation) {
            let mut flags = navigation.iter();
            blocks.retain(|_| !flags.next().is_some_and(|is_navigation| *is_navigation));
        }
        self
    }

    fn name(&self, page: usize) -> &str {
        self.documents[page].id.as_str()
    }
}

fn is_title(block: &Block) -> bool {
    matches!(block.kind, Kind::Heading(1, _))
}

fn top_folder(document: &Document) -> &str {
    document.id.as_str().split('/').next().unwrap_or_default()
}

/// Words in small letters with single spaces, without marks; the marks where there are no words.
fn plain_words(text: &str) -> String {
    let mut words = String::with_capacity(text.len());
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        if !words.is_empty() {
            words.push(' ');
        }
        words.extend(word.chars().flat_map(char::to_lowercase));
    }
    if words.is_empty() { text.trim().to_owned() } else { words }
}

#[cfg(test)]
mod tests;
