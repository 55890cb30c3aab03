use super::document::Outline;
use ego_tree::NodeRef;
use ego_tree::iter::Edge;
use scraper::{Html, Node};

/// Elements whose text is not for reading.
const DROPPED: &[&str] = &[
    "script", "style", "nav", "noscript", "template", "svg", "iframe", "button", "select",
    "textarea", "head", "object",
];

/// Elements that run along within a line; every other element begins a new one.
const INLINE: &[&str] = &[
    "a", "abbr", "b", "bdi", "bdo", "cite", "code", "data", "del", "dfn", "em", "font", "i", "img",
    "input", "ins", "kbd", "label", "mark", "q", "s", "samp", "small", "span", "strike", "strong",
    "sub", "sup", "time", "tt", "u", "var", "wbr",
];

/// Returns the readable text of a page and its outline: headings as lines of their own, a table row
/// a line.
pub(crate) fn extract(page: &str) -> (String, Outline) {
    let page = Html::parse_document(page);
    let mut reader = Reader::default();
    let mut dropped = 0;
    for edge in page.tree.root().traverse() {
        match edge {
            Edge::Open(node) if is_dropped(&node) => dropped += 1,
            Edge::Close(node) if is_dropped(&node) => dropped -= 1,
            _ if dropped > 0 => {}
            Edge::Open(node) => reader.open(node.value()),
            Edge::Close(node) => reader.close(node.value()),
        }
    }
    reader.end_block();
    if reader.outline.title.is_none() {
        let title = page
            .select(&scraper::Selector::parse("head > title").expect("a constant selector"))
            .next();
        reader.outline.title =
            title.map(|title| squeeze(&title.text().collect::<String>())).filter(|t| !t.is_empty());
    }
    (reader.text, reader.outline)
}

fn is_dropped(node: &NodeRef<'_, Node>) -> bool {
    node.value().as_element().is_some_and(|element| DROPPED.contains(&element.name()))
}

/// The words of a text with single spaces.
fn squeeze(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What is read between two block borders.
#[derive(Default)]
struct Reader {
    text: String,
    outline: Outline,
    path: Vec<(u8, String)>,
    block: String,
    /// Nesting within `pre` and within `table`: white space counts in one, and borders are lines in
    /// the other.
    pre: usize,
    table: usize,
    item: bool,
}

impl Reader {
    fn open(&mut self, node: &Node) {
        if let Node::Text(text) = node {
            self.block.push_str(text);
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
            "td" | "th" => self.block.push_str(" | "),
            "tr" => self.block.push('\n'),
            "br" => self.block.push(if self.pre + self.table > 0 { '\n' } else { ' ' }),
            "li" => {
                self.end_block_outside_table();
                self.item = true;
            }
            name if !INLINE.contains(&name) => self.end_block_outside_table(),
            _ => {}
        }
    }

    fn close(&mut self, node: &Node) {
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
                    self.push_block(code.trim_matches('\n').trim_end(), true);
                }
                self.pre -= 1;
            }
            "td" | "th" | "tr" | "br" => {}
            name @ ("h1" | "h2" | "h3" | "h4" | "h5" | "h6") if self.table == 0 => {
                let heading = squeeze(&std::mem::take(&mut self.block));
                if !heading.is_empty() {
                    self.text.push_str(&heading);
                    self.text.push_str("\n\n");
                    self.outline.open_section(&mut self.path, name.as_bytes()[1] - b'0', heading);
                }
            }
            name if !INLINE.contains(&name) => self.end_block_outside_table(),
            _ => {}
        }
    }

    fn end_block_outside_table(&mut self) {
        if self.table == 0 && self.pre == 0 {
            self.end_block();
        } else {
            self.block.push(' ');
        }
    }

    fn end_block(&mut self) {
        let words = squeeze(&std::mem::take(&mut self.block));
        if words.is_empty() {
            return;
        }
        if std::mem::take(&mut self.item) {
            self.push_block(&format!("- {words}"), false);
        } else {
            let start = self.text.len();
            self.text.push_str(&words);
            self.outline.push_prose(&self.text, start..self.text.len());
            self.text.push_str("\n\n");
        }
    }

    fn end_table(&mut self) {
        let block = std::mem::take(&mut self.block);
        let rows: Vec<String> = block
            .lines()
            .map(|row| squeeze(row).trim_start_matches("| ").to_owned())
            .filter(|row| !row.trim_matches(['|', ' ']).is_empty())
            .collect();
        self.push_block(&rows.join("\n"), true);
    }

    fn push_block(&mut self, block: &str, solid: bool) {
        let start = self.text.len();
        self.text.push_str(block);
        self.outline.push_unit(&self.text, start..self.text.len(), solid);
        self.text.push_str("\n\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "<html><head><title>Site</title><style>p{}</style></head><body><nav>Home</nav>\
        <h1>The <b>VX-40</b></h1><p>First\n one. Second.<script>x()</script></p>\
        <h2>Power</h2>loose text<ul><li>one <li>two<ul><li>three</ul></ul><pre>a\n  b\n</pre>\
        <table><tr><th>k</th><th>v</th></tr><tr><td>1</td><td><p>2</p></td></tr></table></body></html>";

    #[test]
    fn a_page_becomes_readable_text_under_its_headings() {
        let (text, outline) = extract(PAGE);
        assert_eq!(outline.title.as_deref(), Some("The VX-40"));
        let units = |index: usize| -> Vec<&str> {
            outline.sections[index].units.iter().map(|unit| &text[unit.span.clone()]).collect()
        };
        assert_eq!(units(0), ["First one.", "Second."]);
        assert_eq!(outline.sections[1].headings, ["Power"]);
        assert_eq!(units(1), ["loose text", "- one", "- two", "- three", "a\n  b", "k | v\n1 | 2"]);
        assert!(
            !text.contains("Home") && !text.contains("x()") && !text.contains("Site"),
            "{text}"
        );
    }

    #[test]
    fn the_head_gives_the_title_where_there_is_no_h1() {
        let (text, outline) = extract("<title> A  page </title><p>Text.");
        assert_eq!((outline.title.as_deref(), text.trim()), (Some("A page"), "Text."));
    }

    #[test]
    fn ten_thousand_open_elements_are_no_problem() {
        let (text, _) = extract(&format!("{}deep", "<div>".repeat(10_000)));
        assert_eq!(text.trim(), "deep");
    }
}
