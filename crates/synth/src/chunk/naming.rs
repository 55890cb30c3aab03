//! How documents are named: by what they say themselves, without what all of them say.

use super::document::{Document, Outline};
use crate::titles::SharedTitles;
use std::collections::HashMap;
use std::path::Path;

/// Files that are the front page of their folder.
const FRONT_PAGES: &[&str] = &["index", "_index", "readme"];

/// Returns the title of every document: its first heading of level 1, else the title of its front
/// matter, else `<title>`, else the name of the file. Empty where it only says the site's name.
pub(crate) fn titles(documents: &[Document], outlines: &[Outline]) -> Vec<String> {
    let headings = || outlines.iter().map(|outline| outline.title.as_deref());
    let fronts = || documents.iter().map(|document| document.titles.front.as_deref());
    let heads = Heads::of(documents);
    let heading_names = SharedTitles::of(headings().flatten());
    let front_names = SharedTitles::of(fronts().flatten());
    let title = |(document, heading): (&Document, Option<&str>)| {
        let front = document.titles.front.as_deref();
        let head = document.titles.head.as_deref();
        let is_site = |title: &&str| title.is_empty() || heads.is_shared(document, title);
        let stated = [
            heading.map(|title| heading_names.cut(title)),
            front.map(|title| front_names.cut(title)),
            head.map(|title| heads.cut(document, title)),
        ];
        let named = stated.iter().flatten().any(|_| true);
        let title = stated.into_iter().flatten().find(|title| !is_site(title));
        match title {
            Some(title) => title.to_owned(),
            None if named => String::new(),
            None => name_of_file(document.id.as_str()),
        }
    };
    documents.iter().zip(headings()).map(title).collect()
}

/// What `<title>` says on most pages of a site; several sites may lie side by side.
struct Heads<'d> {
    everywhere: SharedTitles,
    by_folder: HashMap<&'d str, SharedTitles>,
}

impl<'d> Heads<'d> {
    fn of(documents: &'d [Document]) -> Self {
        let mut by_folder: HashMap<&str, Vec<&str>> = HashMap::new();
        for document in documents {
            let of_folder = by_folder.entry(folder_of(document)).or_default();
            of_folder.extend(document.titles.head.as_deref());
        }
        let everywhere = documents.iter().filter_map(|document| document.titles.head.as_deref());
        Self {
            everywhere: SharedTitles::of(everywhere),
            by_folder: by_folder
                .into_iter()
                .map(|(folder, titles)| (folder, SharedTitles::of(titles)))
                .collect(),
        }
    }

    fn cut<'t>(&self, document: &Document, title: &'t str) -> &'t str {
        self.by_folder[folder_of(document)].cut(self.everywhere.cut(title))
    }

    fn is_shared(&self, document: &Document, title: &str) -> bool {
        self.everywhere.is_shared(title) || self.by_folder[folder_of(document)].is_shared(title)
    }
}

fn folder_of(document: &Document) -> &str {
    document.id.as_str().split_once('/').map_or("", |(folder, _)| folder)
}

/// The name without its extension; of a folder's front page, that of the folder.
fn name_of_file(name: &str) -> String {
    let path = Path::new(name);
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let folder = path.parent().and_then(Path::file_name);
    match folder.filter(|_| FRONT_PAGES.contains(&stem.to_lowercase().as_str())) {
        Some(folder) => folder.to_string_lossy().into_owned(),
        None => stem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::read::document_of;
    use whetstone_records::Language;

    fn titles_of(files: &[(&str, &str)]) -> Vec<String> {
        let document = |(name, text): &(&str, &str)| document_of(name, (*text).into()).unwrap();
        let documents: Vec<Document> = files.iter().map(document).collect();
        let outlines: Vec<Outline> = documents
            .iter()
            .map(|document| Outline::of(&document.text, &document.blocks, Language::English))
            .collect();
        titles(&documents, &outlines)
    }

    #[test]
    fn a_document_takes_the_first_title_that_it_states() {
        let titles = titles_of(&[
            ("a.md", "---\ntitle: Other\n---\n# Heading\n\nText."),
            ("b.md", "---\ntitle: Front\n---\nText.\n\n## Part\n\nMore."),
            ("c.html", "---\nlinkTitle: Link\n---\n<title>Head 1</title><p>Text."),
            ("d.html", "<title>Head</title><p>Text."),
            ("x/valve-list.md", "Text."),
            ("pumps/_index.md", "Text."),
            ("pumps/README.md", "Text."),
            ("pumps/small/index.html", "<p>Text."),
            ("index.md", "Text."),
        ]);
        let expected =
            ["Heading", "Front", "Link", "Head", "valve-list", "pumps", "pumps", "small", "index"];
        assert_eq!(titles, expected);
    }

    #[test]
    fn the_name_of_the_site_is_no_title() {
        let page = |title: &str| format!("<title>{title}</title><p>Text.");
        let [pumps, valves] = ["Pumps - Plant", "Valves - Plant"].map(page);
        let front = "<title>Plant</title><h1>Plant</h1><p>Text.";
        let titles = titles_of(&[
            ("a/pumps.html", &pumps),
            ("a/valves.html", &valves),
            ("a/noise.html", &page("Noise - Plant")),
            ("a/index.html", front),
            ("b/1.html", &page("One | Other")),
            ("b/2.html", &page("Two | Other")),
            ("b/3.html", &page("Three | Other")),
        ]);
        assert_eq!(titles, ["Pumps", "Valves", "Noise", "", "One", "Two", "Three"]);
    }
}
