use super::*;
use crate::chunk::document::Outline;
use whetstone_records::Language;

/// The units of each section under its headings.
fn units(text: &str) -> (Option<String>, Vec<(String, Vec<String>)>) {
    let (seen, blocks) = read(text, 0);
    let outline = Outline::of(&seen, &blocks, Language::English);
    let section = |section: &crate::chunk::document::Section| {
        let units = section.units.iter().map(|unit| seen[unit.span.clone()].to_owned());
        (section.headings.join(" > "), units.collect())
    };
    (outline.title, outline.sections.iter().map(section).collect())
}

fn flat(text: &str) -> Vec<String> {
    units(text).1.into_iter().flat_map(|(_, units)| units).collect()
}

const TEXT: &str = "# The `VX-40`\n\nFirst. Second.\n\n## Power\n\n- one\n- two\n  more\n\n\
    ```sh\n\n    a. B\n```\n\n### Fuse\n| a | b |\n|---|---|\n| 1 | 2 |\n\n## Water\nHot.\n";

#[test]
fn headings_make_a_path_and_blocks_stay_whole() {
    let expected = [
        ("", vec!["First.", "Second."]),
        ("Power", vec!["- one", "- two\n  more", "```sh\n\n    a. B\n```"]),
        ("Power > Fuse", vec!["| a | b |\n|---|---|\n| 1 | 2 |"]),
        ("Water", vec!["Hot."]),
    ];
    let expected = expected.map(|(path, units)| {
        (path.to_owned(), units.into_iter().map(str::to_owned).collect::<Vec<_>>())
    });
    for text in [TEXT, &TEXT.replace("### Fuse", "<!-- not this -->\n### Fuse")] {
        let (title, found) = units(text);
        assert_eq!(title.as_deref(), Some("The VX-40"));
        assert_eq!(found, expected);
    }
    assert_eq!(read(TEXT, 0).0, TEXT, "without HTML, the text is that of the file");
}

#[test]
fn a_text_without_headings_is_one_section() {
    assert_eq!(units("One. Two.\n\nThree.").1[0].1, ["One.", "Two.", "Three."]);
}

#[test]
fn html_blocks_are_read_as_html() {
    let text = "<h1 align=\"center\">Limits</h1>\n\nSome *limits*.\n\n<table>\n<tr><th>Plan</th>\n<th>Calls</th></tr>\n\n\
        <tr><td>Free</td><td>100</td></tr>\n</table>\n\n<div align=\"center\">\n<img src=\"logo.png\"/>\n</div>\n\n\
        <details>\n<summary>More</summary>\n\n- an *item*\n\n</details>\n";
    let (title, sections) = units(text);
    assert_eq!(title.as_deref(), Some("Limits"));
    let units = ["Some *limits*.", "Plan | Calls\nFree | 100", "More", "- an *item*"];
    assert_eq!(sections.last().unwrap().1, units);
}

#[test]
fn what_a_tag_hides_is_gone_across_blocks() {
    let text = "<div hidden>\n\nSecret text.\n\n</div>\n\nSeen.\n\n<template>\n\n- secret\n\n</template>\n\n\
        A <span style=\"display: none\">secret</span>word<!-- secret --> and <kbd>Ctrl</kbd>.\n";
    assert_eq!(flat(text), ["Seen.", "A word and Ctrl."]);
}

#[test]
fn text_on_the_line_of_a_comment_stays() {
    assert_eq!(flat("<!-- note --> Kept text.\n\nMore.\n"), ["Kept text.", "More."]);
    assert_eq!(
        flat("<!-- a\n\nb --> <p>Kept</p>\nAfter it.\n\nMore."),
        ["Kept", "After it.", "More."]
    );
}

#[test]
fn an_element_that_is_never_closed_hides_nothing_after_it() {
    assert_eq!(flat("One.\n\n<xmp>\n\nTwo.\n\n<title>\n\nThree."), ["One.", "Two.", "Three."]);
}

#[test]
fn pictures_are_their_words_and_no_address() {
    let data = format!("data:image/png;base64,{}", "QUJD".repeat(50));
    let text = format!(
        "See ![the plan]({data}) and ![](x.png)[![ok](badge.svg)](https://ci) here.\n\n\
         A [file]({data}) and [more](more.md), [![](b.svg)](https://ci)<https://x.y>.\n\n\
         - ![a][plan]\n\n[plan]: {data}\n\nText **after** it."
    );
    let expected = [
        "See the plan and [ok](https://ci) here.",
        "A file and [more](more.md), <https://x.y>.",
        "- a",
        "Text **after** it.",
    ];
    assert_eq!(flat(&text), expected);
}

#[test]
fn pictures_name_a_heading_that_has_no_words() {
    let title = |text: &str| units(&format!("{text}\n\nText.")).0.unwrap();
    assert_eq!(title("# pump [![crates.io](b.svg)](https://c) ![ok](b.svg)"), "pump");
    assert_eq!(title("# [![The pump](b.svg)](https://c)"), "The pump");
    assert_eq!(title("# The [`VX-40`](vx.md) *pump*"), "The VX-40 pump");
}

#[test]
fn html_in_an_item_or_a_table_leaves_no_tag() {
    let text = "- one\n  <table>\n  <tr><td>a</td><td>b</td></tr>\n  </table>\n- two\n\n\
        | k | v |\n|---|---|\n| x<br>y | a &lt; <b>b</b> |\n";
    let units = flat(text);
    assert_eq!(units[0].split_whitespace().collect::<Vec<_>>().join(" "), "- one a | b");
    assert_eq!(units[1..], ["- two", "| k | v |\n|---|---|\n| x y | a &lt; b |"]);
}
