//! What a reader sees of a page: its text, cut into blocks.

mod elements;
mod reader;

pub(in crate::chunk) use elements::is_element;
pub(in crate::chunk) use reader::Reader;

use super::document::Block;
use ego_tree::iter::Edge;
use scraper::{Html, Node, Selector};

/// What a page says.
pub(crate) struct Page {
    /// Headings as lines of their own, a table row a line.
    pub text: String,
    pub blocks: Vec<Block>,
    /// `<title>`.
    pub title: Option<String>,
    /// Whether the page only leads to another one.
    pub redirects: bool,
}

/// Returns the readable text of a page.
pub(crate) fn extract(page: &str) -> Page {
    let page = Html::parse_document(page);
    let mut reader = Reader::default();
    walk(&page, &mut reader, |_, _| {});
    let redirects = page.select(&selector("meta[http-equiv]")).any(|meta| {
        let kind = meta.attr("http-equiv").unwrap_or_default();
        let content = meta.attr("content").unwrap_or_default();
        kind.eq_ignore_ascii_case("refresh") && content.to_lowercase().contains("url=")
    });
    let title = page.select(&selector("head > title")).next();
    let title = title.map(|title| squeeze(&title.text().collect::<String>()));
    Page {
        text: reader.text,
        blocks: reader.blocks,
        title: title.filter(|title| !title.is_empty()),
        redirects,
    }
}

fn selector(selector: &str) -> Selector {
    Selector::parse(selector).expect("a constant selector")
}

/// Reads the nodes of a page in order. Elements named [`PLACE`] stand for what is not HTML;
/// `place` is called with their number where they are seen.
pub(super) fn walk(page: &Html, reader: &mut Reader, mut place: impl FnMut(&mut Reader, usize)) {
    // How many of each kind are open. A header of the page is one that is in none of its parts.
    let [mut dropped, mut headers, mut headings, mut parts, mut quotations] = [0_usize; 5];
    for edge in page.tree.root().traverse() {
        let (node, opens) = match edge {
            Edge::Open(node) => (node, true),
            Edge::Close(node) => (node, false),
        };
        let step = |depth: &mut usize| if opens { *depth += 1 } else { *depth -= 1 };
        if elements::is_dropped(&node, quotations > 0) {
            step(&mut dropped);
            continue;
        }
        if dropped > 0 {
            continue;
        }
        let name = node.value().as_element().map_or("", |element| element.name());
        match name {
            "header" if parts == 0 => step(&mut headers),
            name if headers > 0 && reader::is_heading(name) => step(&mut headings),
            name if elements::is_part(name) => step(&mut parts),
            _ => {}
        }
        if elements::is_quotation(name) {
            step(&mut quotations);
        }
        if headers > 0 && headings == 0 && !elements::is_block(name) {
            continue;
        }
        match (opens, number_of_place(node.value())) {
            (true, Some(number)) => place(reader, number),
            (true, None) => reader.open(node.value()),
            (false, _) => reader.close(node.value()),
        }
    }
    reader.end_block();
}

/// The element that stands for what is not HTML.
pub(super) const PLACE: &str = "whetstone-place";

fn number_of_place(node: &Node) -> Option<usize> {
    let element = node.as_element().filter(|element| element.name() == PLACE)?;
    element.attr("n")?.parse().ok()
}

/// Returns the words of a part of a line, white space as it is, without tags and hidden text.
pub(super) fn inline_text(fragment: &str) -> String {
    let page = Html::parse_fragment(fragment);
    let mut text = String::new();
    let mut dropped = 0;
    for edge in page.tree.root().traverse() {
        match edge {
            Edge::Open(node) if elements::is_dropped(&node, false) => dropped += 1,
            Edge::Close(node) if elements::is_dropped(&node, false) => dropped -= 1,
            Edge::Open(node) if dropped == 0 => match node.value() {
                Node::Text(words) => text.push_str(words),
                Node::Element(element) => match element.name() {
                    "img" => text += &element.attr("alt").map(squeeze).unwrap_or_default(),
                    "br" => text.push(' '),
                    "html" | "body" => {}
                    name if elements::is_block(name) => text.push(' '),
                    _ => {}
                },
                _ => {}
            },
            _ => {}
        }
    }
    text
}

/// The words of a text with single spaces.
pub(super) fn squeeze(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::document::Outline;
    use whetstone_records::Language;

    /// The units of all sections.
    fn units(page: &str) -> Vec<String> {
        let page = extract(page);
        let outline = Outline::of(&page.text, &page.blocks, Language::English);
        let units = outline.sections.iter().flat_map(|section| &section.units);
        units.map(|unit| page.text[unit.span.clone()].to_owned()).collect()
    }

    const PAGE: &str = "<html><head><title>Site</title><style>p{}</style></head><body><nav>Home</nav>\
        <h1>The <b>VX-40</b></h1><p>First\n one. Second.<script>x()</script></p>\
        <h2>Power</h2>loose text<ul><li>one <li>two<ul><li>three</ul></ul><pre>a\n  b\n</pre>\
        <table><tr><th>k</th><th>v</th></tr><tr><td>1</td><td><p>2\n<br>3</p></td></tr></table></body></html>";

    #[test]
    fn a_page_becomes_readable_text_under_its_headings() {
        let page = extract(PAGE);
        let outline = Outline::of(&page.text, &page.blocks, Language::English);
        assert_eq!(outline.title.as_deref(), Some("The VX-40"));
        assert_eq!(page.title.as_deref(), Some("Site"));
        assert_eq!(outline.sections[1].headings, ["Power"]);
        let expected = [
            "First one.",
            "Second.",
            "loose text",
            "- one",
            "- two",
            "- three",
            "a\n  b",
            "k | v\n1 | 2 3",
        ];
        assert_eq!(units(PAGE), expected);
        assert!(["Home", "x()", "Site"].iter().all(|word| !page.text.contains(word)));
    }

    #[test]
    fn only_known_block_elements_break_a_line() {
        let page = "<p>The <acronym>PRV</acronym> opens at <big>3</big> <nobr>bar</nobr>, the flow is \
            <math><mi>q</mi><mo>=</mo><mn>2</mn><annotation>q=2</annotation></math> <x-term>litres</x-term> of \
            <ruby>水<rp>(</rp><rt>mizu</rt><rp>)</rp></ruby><picture><source><img src=x alt='a drop'></picture>.</p>";
        assert_eq!(
            units(page),
            ["The PRV opens at 3 bar, the flow is q=2 litres of 水(mizu) a drop ."]
        );
    }

    #[test]
    fn what_a_reader_does_not_see_is_no_text() {
        let hidden = [
            "<p hidden>x</p>",
            "<div style='color: red; DISPLAY : none !important'><p>x</p></div>",
            "<span aria-hidden=true>x</span>",
            "<template><p>x</p></template>",
            "<noscript>x</noscript>",
            "<footer>Copyright MegaCorp</footer>",
            "<header><a href=/>MegaCorp</a></header>",
            "<div role=navigation>x</div>",
            "<video>x</video>",
            "<!-- x -->",
            "<a href='#y'>¶</a>",
        ];
        for hidden in hidden {
            assert_eq!(
                units(&format!("<body>{hidden}<p>Seen.</p>{hidden}")),
                ["Seen."],
                "{hidden}"
            );
        }
        let seen = "<body style='display:none'><header><h1>Pump</h1>Menu</header><article><header>By Kim</header>\
            <blockquote>Go.<footer>Ida</footer></blockquote><p hidden=until-found>Found.</p></article>";
        assert_eq!(units(seen), ["By Kim", "Go.", "Ida", "Found."]);
        let title = Outline::of("", &extract(seen).blocks[..1], Language::English).title;
        assert_eq!(title.as_deref(), Some("Pump"));
    }

    #[test]
    fn the_head_gives_a_title_and_says_where_a_page_leads() {
        let page = extract("<title> A  page </title><p>Text.");
        assert_eq!((page.title.as_deref(), page.text.trim()), (Some("A page"), "Text."));
        assert!(!page.redirects);
        assert!(extract("<meta http-equiv=Refresh content='0; URL=x.html'>Moved").redirects);
    }

    #[test]
    fn lines_of_code_stay_lines_and_links_are_counted() {
        let page =
            extract("<pre><div>a</div><div> b</div>c</pre><p>See <a href=x>this page</a>.</p>");
        let (code, prose) = (&page.blocks[0], &page.blocks[1]);
        assert_eq!(&page.text[code.span.clone()], "a\n b\nc");
        assert_eq!((prose.linked, prose.span.len()), (9, 14));
    }

    #[test]
    fn ten_thousand_open_elements_are_no_problem() {
        let page = extract(&format!("{}deep", "<div>".repeat(10_000)));
        assert_eq!(page.text.trim(), "deep");
    }
}
