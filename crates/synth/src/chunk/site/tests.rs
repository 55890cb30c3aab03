//! Tests of text that repeats over the pages of a site.

use super::*;
use crate::chunk::read::document_of;

/// What is left out of a site, by name, and the text of the blocks that are navigation.
fn look(files: &[(String, String)]) -> (Vec<(&str, LeftOut)>, Vec<String>) {
    let document =
        |(name, text): &(String, String)| document_of(name, text.clone().into()).unwrap();
    let documents: Vec<Document> = files.iter().map(document).collect();
    let site = Site::of(&documents);
    let left_out = files.iter().zip(&site.left_out);
    let left_out = left_out.filter_map(|((name, _), reason)| Some((name.as_str(), (*reason)?)));
    let mut navigation: Vec<String> = Vec::new();
    for (document, flags) in documents.iter().zip(&site.navigation) {
        let blocks = document.blocks.iter().zip(flags).filter(|(_, flag)| **flag);
        navigation.extend(blocks.map(|(block, _)| document.text[block.span.clone()].to_owned()));
    }
    navigation.sort();
    navigation.dedup();
    (left_out.collect(), navigation)
}

/// A text of its own for each number.
fn text(number: usize) -> String {
    format!(
        "The pump {number} runs at {} turns. It is oiled every {} weeks by the crew.",
        2000 + number,
        3 + number
    )
}

fn page(title: &str, body: &str) -> String {
    format!(
        "<title>{title} - Plant</title><h1>Plant</h1><p>Press ? for help</p><h1>{title}</h1>{body}"
    )
}

fn own(files: &[(&str, String)]) -> Vec<(String, String)> {
    files.iter().map(|(name, text)| ((*name).to_owned(), text.clone())).collect()
}

/// Six pages with a text of their own and navigation.
fn book() -> Vec<(String, String)> {
    (0..6)
        .map(|at| {
            (format!("{at}.html"), page(&format!("Pump {at}"), &format!("<p>{}</p>", text(at))))
        })
        .collect()
}

#[test]
fn a_block_on_most_pages_is_navigation_and_a_heading_of_parts_is_none() {
    let book = book();
    let (left_out, navigation) = look(&book);
    assert!(left_out.is_empty(), "{left_out:?}");
    assert_eq!(navigation, ["Plant", "Press ? for help"]);
    let api: Vec<(String, String)> = (0..5)
        .map(|at| (format!("{at}.md"), format!("# Call {at}\n\n## Examples\n\n{}\n", text(at))))
        .collect();
    assert_eq!(look(&api), (vec![], vec![]));
}

#[test]
fn sources_beside_the_pages_do_not_hide_the_navigation() {
    let mut files = book();
    files.extend((0..9).map(|at| (format!("notes/{at}.txt"), text(20 + at))));
    assert_eq!(look(&files).1, ["Plant", "Press ? for help"]);
}

#[test]
fn the_page_that_prints_the_book_goes_and_its_chapters_stay() {
    let mut files = book();
    let chapters: String =
        (0..6).map(|at| format!("<h1>Pump {at}</h1><p>{}</p>", text(at))).collect();
    files.push(("print.html".into(), format!("<h1>Plant</h1><p>Press ? for help</p>{chapters}")));
    assert_eq!(look(&files).0, [("print.html", LeftOut::Copy)]);
    // Under a title of its own, too.
    files[6].1 = page("The whole manual", &chapters);
    assert_eq!(look(&files).0, [("print.html", LeftOut::Copy)]);
}

#[test]
fn of_two_equal_pages_and_of_versions_one_stays() {
    let version = |at: usize, note: &str| {
        let body: String = (0..9).map(|part| format!("{}\n\n", text(10 * at + part))).collect();
        format!("# Pump {at}\n\n{body}{note}\n")
    };
    let files = own(&[
        ("docs/1.0/a.md", version(1, "Since 1.0.")),
        ("docs/a.md", version(1, "Since 2.0.")),
        ("docs/next/a.md", version(1, "Soon.")),
        ("docs/old/a.md", version(1, "Since 2.0.")),
        ("docs/b.md", version(2, "")),
        ("docs/1.0/b.md", version(3, "")),
    ]);
    let left_out = [
        ("docs/1.0/a.md", LeftOut::Version),
        ("docs/next/a.md", LeftOut::Version),
        ("docs/old/a.md", LeftOut::Copy),
    ];
    let (found, navigation) = look(&files);
    assert_eq!(found, left_out);
    assert!(navigation.is_empty(), "what only versions share is no navigation: {navigation:?}");
}

#[test]
fn pages_after_one_pattern_are_no_copies() {
    // All parts stand elsewhere, but under another title they say another thing.
    let files = own(&[
        ("vx-20.md", "# VX-20\n\nIt weighs 5 kg.\n\nIt takes 3 bar.\n\nIt is red.\n".into()),
        ("vx-40.md", "# VX-40\n\nIt weighs 5 kg.\n\nIt takes 6 bar.\n\nIt is blue.\n".into()),
        ("vx-60.md", "# VX-60\n\nIt weighs 9 kg.\n\nIt takes 3 bar.\n\nIt is blue.\n".into()),
        ("vx-80.md", "# VX-80\n\nIt weighs 9 kg.\n\nIt takes 6 bar.\n\nIt is red.\n".into()),
    ]);
    assert_eq!(look(&files), (vec![], vec![]));
}

#[test]
fn lists_indexes_and_sources_of_a_site_go() {
    let links: String = (0..6).map(|at| format!("<li><a href={at}.html>Pump {at}</a>")).collect();
    let beginnings: String = (0..3)
        .map(|at| format!("<h2><a href={at}.html>Pump {at}</a></h2><p>{}…</p>", &text(at)[..60]))
        .collect();
    let own_parts: String = (30..34)
        .map(|at| format!("<h2><a href=x{at}.html>Pump {at}</a></h2><p>{}</p>", text(at)))
        .collect();
    let mut files = book();
    files.extend(own(&[
        ("404.html", "<h1>Page not found</h1><p>We could not find what you wanted.".into()),
        ("_sources/0.rst.txt", format!("Pump 0\n======\n\n{}", text(0))),
        (
            "genindex.html",
            "<h1>Index</h1><dl><dt><a href=0.html>add()</a> (in module x)</dl>".into(),
        ),
        ("guide/search.html", page("Search", &(70..80).map(text).collect::<String>())),
        ("linked.html", page("Linked", &own_parts)),
        ("search.html", "<h1>Search</h1><p>Please activate JavaScript to search.".into()),
        ("pumps/index.html", page("All pumps", &format!("<p>Our pumps.</p>{beginnings}"))),
        ("tags/oil/index.html", page("3 pages tagged “oil”", &beginnings)),
        ("toc.html", format!("<ol>{links}</ol>")),
    ]));
    let left_out = [
        ("404.html", LeftOut::List),
        ("_sources/0.rst.txt", LeftOut::Source),
        ("genindex.html", LeftOut::List),
        ("pumps/index.html", LeftOut::List),
        ("search.html", LeftOut::List),
        ("tags/oil/index.html", LeftOut::List),
        ("toc.html", LeftOut::List),
    ];
    let mut found: Vec<_> = look(&files).0;
    found.sort();
    assert_eq!(found, left_out.into_iter().collect::<Vec<_>>());
}
