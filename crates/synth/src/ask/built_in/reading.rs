//! Reads a passage as sentences, table cells and named items, without Markdown's marks.

use crate::chunk::sentences;
use whetstone_records::Language;

/// The parts of a passage that questions can be made from.
#[derive(Debug, Default, PartialEq)]
pub struct Reading {
    pub sentences: Vec<String>,
    /// Items that begin with a name in bold or before a colon: the name and its description.
    pub items: Vec<(String, String)>,
    pub cells: Vec<Cell>,
}

/// A table cell with the head of its column and the first cell of its row.
#[derive(Debug, PartialEq)]
pub struct Cell {
    pub column: String,
    pub row: String,
    pub value: String,
}

/// Reads a passage, without its code.
pub fn read(text: &str, language: Language) -> Reading {
    let mut reading = Reading::default();
    let mut paragraph = String::new();
    let mut head: Option<Vec<String>> = None;
    let mut code = false;
    for line in text.lines().map(str::trim) {
        let fence = line.starts_with("```") || line.starts_with("~~~");
        let table = line.starts_with('|') || line.matches(" | ").count() > 0;
        let item = item_text(line);
        if fence || code || table || line.is_empty() || line.starts_with('#') || item.is_some() {
            reading.push_paragraph(&std::mem::take(&mut paragraph), language);
        }
        if !table {
            head = None;
        }
        match () {
            _ if fence => code = !code,
            _ if code || line.starts_with('#') => {}
            _ if table => reading.push_row(line, &mut head),
            _ => {
                paragraph.push_str(item.unwrap_or(line));
                paragraph.push(' ');
            }
        }
    }
    reading.push_paragraph(&paragraph, language);
    reading
}

/// The text of a list item, or none if the line begins no item.
fn item_text(line: &str) -> Option<&str> {
    let bullet = line.strip_prefix("- ").or(line.strip_prefix("* ")).or(line.strip_prefix("+ "));
    bullet.or_else(|| {
        let (number, rest) = line.split_once(['.', ')'])?;
        let counts =
            (1..=3).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
        rest.strip_prefix(' ').filter(|_| counts)
    })
}

impl Reading {
    fn push_paragraph(&mut self, paragraph: &str, language: Language) {
        let mut body = paragraph.trim();
        if let Some((name, rest)) = body.strip_prefix("**").and_then(|rest| rest.split_once("**")) {
            let name = plain(name).trim_end_matches(['.', ':', ',']).to_owned();
            if name.len() <= 60 {
                self.items.push((name, plain(rest.trim_start_matches([':', '.', ' ']))));
                body = rest.trim_start_matches([':', '.', ' ']);
            }
        }
        let body = plain(body);
        let spans = sentences(&body, language).into_iter();
        self.sentences.extend(spans.map(|span| body[span].to_owned()));
    }

    fn push_row(&mut self, line: &str, head: &mut Option<Vec<String>>) {
        let cells: Vec<String> =
            line.trim_matches('|').split('|').map(|cell| plain(cell.trim())).collect();
        if cells.iter().all(|cell| cell.chars().all(|c| "-: ".contains(c))) {
            return;
        }
        let Some(head) = head else {
            *head = Some(cells);
            return;
        };
        for (column, value) in head.iter().zip(&cells).skip(1) {
            if !column.is_empty() && !value.is_empty() && !cells[0].is_empty() {
                self.cells.push(Cell {
                    column: column.clone(),
                    row: cells[0].clone(),
                    value: value.clone(),
                });
            }
        }
    }
}

/// The text without emphasis, code marks, links and tags.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        rest = match c {
            '*' | '`' => after,
            '_' if after.starts_with('_') => &after[1..],
            '!' if after.starts_with('[') => after,
            '[' => match link(after) {
                Some((words, after)) => {
                    plain.push_str(words);
                    after
                }
                None => {
                    plain.push(c);
                    after
                }
            },
            '<' if after.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
                && after.contains('>') =>
            {
                &after[after.find('>').map_or(0, |end| end + 1)..]
            }
            _ => {
                plain.push(c);
                after
            }
        };
    }
    plain.trim().to_owned()
}

/// `words](target)rest` as words and rest.
fn link(text: &str) -> Option<(&str, &str)> {
    let (words, rest) = text.split_once(']')?;
    let (_, rest) = rest.strip_prefix('(')?.split_once(')')?;
    Some((words, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_gone_and_tables_and_items_are_found() {
        let text = "**K-204, bus silent.** No [answer](x.md) from\nthe `meter`. Wait.\n\n- one\n- two\n\n```\ncode\n```\n\
            | Unit | Limit |\n|---|---|\n| VX-20 | 47 °C |\n";
        let reading = read(text, Language::English);
        assert_eq!(reading.sentences, ["No answer from the meter.", "Wait.", "one", "two"]);
        assert_eq!(
            reading.items,
            [("K-204, bus silent".to_owned(), "No answer from the meter. Wait.".to_owned())]
        );
        let cell = Cell { column: "Limit".into(), row: "VX-20".into(), value: "47 °C".into() };
        assert_eq!(reading.cells, [cell]);
    }
}
