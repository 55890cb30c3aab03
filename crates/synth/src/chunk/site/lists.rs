//! Pages that lead to other pages and say little themselves, and sources beside their pages.

use super::{Block, LeftOut, PageBlock, Pages, is_title};
use std::collections::{HashMap, HashSet};

/// Share of a page's text in links, where it is a list of links, and the fewest entries.
const LINKED_FRACTION: f64 = 0.8;
const MIN_ENTRIES: usize = 5;
/// Share of a list's text that it may have for itself.
const OWN_FRACTION: f64 = 0.5;
/// The same where its parts lead to other pages, and the fewest of them.
const SUMMARIES_FRACTION: f64 = 0.2;
const MIN_SUMMARIES: usize = 3;
/// Longest page that goes by its name alone, in bytes of text.
const MAX_BYTES: usize = 600;
/// A beginning of so many bytes stands for its block: lists show the beginnings of pages.
const BEGINNING_BYTES: usize = 40;

/// Folders and files in which what publishes a site lists its pages.
const LISTS: &[&str] = &[
    "archive",
    "archives",
    "authors",
    "categories",
    "category",
    "search",
    "series",
    "sitemap",
    "tag",
    "tags",
    "taxonomies",
    "toc",
];
/// Files of an index that is made from the pages (Sphinx).
const INDEXES: &[&str] = &["genindex", "modindex", "py-modindex", "np-modindex"];
/// Files of what is no content.
const ERRORS: &[&str] = &["404", "not_found", "search"];

/// Marks lists and sources.
pub(super) fn find(pages: &Pages) -> Vec<Option<LeftOut>> {
    let names: HashSet<&str> =
        pages.documents.iter().map(|document| document.id.as_str()).collect();
    let beginnings = beginnings(pages);
    let reason = |page: usize| {
        if is_source(pages.name(page), &names) {
            return Some(LeftOut::Source);
        }
        let is_list = pages.documents[page].is_html && is_list(pages, page, &beginnings);
        is_list.then_some(LeftOut::List)
    };
    (0..pages.documents.len()).map(reason).collect()
}

fn is_list(pages: &Pages, page: usize, beginnings: &HashMap<String, usize>) -> bool {
    let blocks = || pages.blocks[page].iter().filter(|of| !of.block.is_heading());
    let bytes: usize = blocks().map(|of| of.block.span.len()).sum();
    let linked: usize = blocks().map(|of| of.block.linked).sum();
    let of_bytes = |part: usize| part as f64 / bytes.max(1) as f64;
    let entries = blocks().filter(|of| of.block.linked > 0).count();
    if entries >= MIN_ENTRIES && of_bytes(linked) >= LINKED_FRACTION {
        return true;
    }
    let is_own = |of: &&PageBlock| {
        let beginning = beginning(pages, page, of);
        beginnings.get(&beginning).is_none_or(|pages| *pages < 2)
    };
    let own: usize = blocks().filter(is_own).map(|of| of.block.span.len() - of.block.linked).sum();
    if of_bytes(own) <= SUMMARIES_FRACTION && has_linked_headings(pages, page) {
        return true;
    }
    match kind_of(pages.name(page)) {
        Name::Index => true,
        Name::Error => bytes <= MAX_BYTES,
        Name::List => of_bytes(own) <= OWN_FRACTION,
        Name::Page => false,
    }
}

/// Whether most parts of a page lead to another page, as where it shows their beginnings.
fn has_linked_headings(pages: &Pages, page: usize) -> bool {
    let parts: Vec<&Block> = pages.blocks[page]
        .iter()
        .map(|of| of.block)
        .filter(|block| block.is_heading() && !is_title(block))
        .collect();
    let linked = |block: &&&Block| block.linked * 2 > block.span.len();
    let linked = parts.iter().filter(linked).count();
    linked >= MIN_SUMMARIES && linked as f64 >= LINKED_FRACTION * parts.len() as f64
}

enum Name {
    Index,
    Error,
    List,
    Page,
}

fn kind_of(name: &str) -> Name {
    let lower = name.to_lowercase();
    let parts: Vec<&str> = lower.split('/').collect();
    let stem = lower.rsplit('/').next().unwrap_or_default();
    let stem = stem.rsplit_once('.').map_or(stem, |(stem, _)| stem);
    let folder = parts.len().checked_sub(2).map_or("", |at| parts[at]);
    let named = if stem == "index" { folder } else { stem };
    // `blog/page/2/index.html`
    let paged = parts
        .windows(2)
        .any(|pair| pair[0] == "page" && pair[1].trim_end_matches(".html").parse::<u32>().is_ok());
    let listed = parts.iter().any(|part| LISTS.contains(part)) || LISTS.contains(&stem);
    match () {
        _ if INDEXES.contains(&named) || named.starts_with("genindex-") => Name::Index,
        _ if ERRORS.contains(&named) => Name::Error,
        _ if listed || paged => Name::List,
        _ => Name::Page,
    }
}

/// In how many pages a block begins so.
fn beginnings(pages: &Pages) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for page in 0..pages.documents.len() {
        let of_page = pages.blocks[page].iter().map(|of| beginning(pages, page, of));
        for beginning in of_page.collect::<HashSet<String>>() {
            *counts.entry(beginning).or_default() += 1;
        }
    }
    counts
}

fn beginning(pages: &Pages, page: usize, of: &PageBlock) -> String {
    let text = &pages.documents[page].text[of.block.span.clone()];
    // Words grow in small letters, but not fourfold.
    let cut = text.floor_char_boundary((4 * BEGINNING_BYTES).min(text.len()));
    let words = super::plain_words(&text[..cut]);
    words[..words.floor_char_boundary(BEGINNING_BYTES)].to_owned()
}

/// Whether a file is what Sphinx made a page from: `_sources/pump.rst.txt` of `pump.html`.
fn is_source(name: &str, names: &HashSet<&str>) -> bool {
    let Some((site, file)) = name.split_once("_sources/") else { return false };
    let whole = site.is_empty() || site.ends_with('/');
    let stem = file.strip_suffix(".txt").unwrap_or(file);
    let stem = stem.rsplit_once('.').map_or(stem, |(stem, _)| stem);
    let page = |end: &str| names.contains(format!("{site}{stem}{end}").as_str());
    whole && (page(".html") || page("/index.html"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_that_a_program_made_are_known_by_their_names() {
        let is = |name: &str| match kind_of(name) {
            Name::Index => "index",
            Name::Error => "error",
            Name::List => "list",
            Name::Page => "page",
        };
        for (name, kind) in [
            ("genindex.html", "index"),
            ("en/genindex-A.html", "index"),
            ("genindex/index.html", "index"),
            ("404.html", "error"),
            ("search/index.html", "error"),
            ("docs/tags/pump/index.html", "list"),
            ("categories.html", "list"),
            ("blog/page/2/index.html", "list"),
            ("guide/pump.html", "page"),
            ("index.html", "page"),
        ] {
            assert_eq!(is(name), kind, "{name}");
        }
    }

    #[test]
    fn a_source_is_told_by_its_page() {
        let names = HashSet::from(["en/pump.html", "en/valve/index.html"]);
        assert!(is_source("en/_sources/pump.rst.txt", &names));
        assert!(is_source("en/_sources/valve.md.txt", &names));
        assert!(!is_source("en/_sources/other.rst.txt", &names));
        assert!(!is_source("en/my_sources/pump.rst.txt", &names));
    }
}
