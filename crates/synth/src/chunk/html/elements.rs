//! Which elements a reader sees, and which begin a new line.

use ego_tree::NodeRef;
use scraper::node::Element;
use scraper::{ElementRef, Node};

/// Elements whose text is not for reading.
const DROPPED: &[&str] = &[
    "annotation",
    "annotation-xml",
    "applet",
    "audio",
    "base",
    "button",
    "canvas",
    "datalist",
    "head",
    "iframe",
    "link",
    "meta",
    "nav",
    "noembed",
    "noframes",
    "noscript",
    "object",
    "script",
    "select",
    "style",
    "svg",
    "template",
    "textarea",
    "title",
    "video",
];

/// Elements that begin a new line (HTML standard, "Rendering: flow content"); every other one,
/// unknown ones too, runs along within a line.
const BLOCK: &[&str] = &[
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "caption",
    "center",
    "dd",
    "details",
    "dialog",
    "dir",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "frameset",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hgroup",
    "hr",
    "html",
    "legend",
    "li",
    "listing",
    "main",
    "menu",
    "nav",
    "ol",
    "optgroup",
    "option",
    "p",
    "plaintext",
    "pre",
    "search",
    "section",
    "summary",
    "table",
    "tbody",
    "tfoot",
    "thead",
    "ul",
    "xmp",
];

/// Roles that do what `nav`, `header` and `footer` of a page do.
const CHROME_ROLES: &[&str] =
    &["banner", "contentinfo", "menu", "menubar", "navigation", "search", "toolbar"];

/// What a heading's link to itself shows.
const PERMALINKS: &[&str] = &["", "#", "¶", "§", "🔗", "\u{f0c1}"];

/// Elements of tables and of lines that people write.
const INLINE: &[&str] = &[
    "a", "abbr", "b", "br", "code", "col", "del", "em", "font", "i", "img", "ins", "kbd", "mark",
    "s", "small", "span", "strong", "sub", "sup", "td", "th", "tr", "u", "var",
];

/// Whether HTML has an element of this name.
pub(in crate::chunk) fn is_element(name: &str) -> bool {
    [BLOCK, DROPPED, INLINE].iter().any(|names| names.contains(&name))
}

pub(super) fn is_block(name: &str) -> bool {
    BLOCK.contains(&name)
}

/// Whether what is in the element is not for reading; `quoted` says that it is in a quotation.
pub(super) fn is_dropped(node: &NodeRef<'_, Node>, quoted: bool) -> bool {
    let Some(element) = node.value().as_element() else { return false };
    match element.name() {
        // Scripts show the page later.
        "html" | "body" => false,
        name if DROPPED.contains(&name) => true,
        _ if is_hidden(element) || has_chrome_role(element) => true,
        // A quotation's footer names who said it.
        "footer" => !quoted,
        "a" => is_permalink(node),
        _ => false,
    }
}

/// Whether the element holds what someone else said.
pub(super) fn is_quotation(name: &str) -> bool {
    matches!(name, "blockquote" | "figure")
}

/// Whether a `header` in the element is that of a part of the page.
pub(super) fn is_part(name: &str) -> bool {
    matches!(name, "article" | "main" | "section" | "aside" | "blockquote")
}

fn is_hidden(element: &Element) -> bool {
    // `until-found` is text that a search in the page opens.
    element.attr("hidden").is_some_and(|how| !how.eq_ignore_ascii_case("until-found"))
        || element.attr("aria-hidden").is_some_and(|hidden| hidden.eq_ignore_ascii_case("true"))
        || element.attr("style").is_some_and(is_style_of_hidden)
}

fn is_style_of_hidden(style: &str) -> bool {
    let style: String =
        style.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_lowercase();
    style.split(';').any(|rule| {
        let rule = rule.trim_end_matches("!important");
        rule == "display:none" || rule == "visibility:hidden"
    })
}

fn has_chrome_role(element: &Element) -> bool {
    element.attr("role").is_some_and(|role| CHROME_ROLES.contains(&role.trim()))
}

/// A link that shows only the mark of a link.
fn is_permalink(node: &NodeRef<'_, Node>) -> bool {
    let pictured = || {
        node.descendants()
            .filter_map(|below| below.value().as_element().and_then(|image| image.attr("alt")))
            .any(|alt| !alt.trim().is_empty())
    };
    ElementRef::wrap(*node).is_some_and(|link| {
        // Long texts need not be joined to see that they are no mark.
        let begin: String = link.text().flat_map(str::chars).take(8).collect();
        PERMALINKS.contains(&begin.trim()) && !pictured()
    })
}
