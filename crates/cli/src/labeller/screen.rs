//! What the labeller shows, as lines of text.

use std::ops::Range;
use unicode_width::UnicodeWidthChar;
use whetstone_eval::Highlighter;
use whetstone_rank::{GRADES, Session};

/// How a piece of text looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Plain,
    Bold,
    /// A word of the query.
    Marked,
    Dim,
}

/// A line of the screen: pieces of text with their looks.
pub type Line = Vec<(String, Style)>;

/// Wider lines are hard to read.
const MAX_WIDTH: usize = 100;
/// Lines that never scroll: our place and a blank at the top; a blank, the message and the keys at
/// the bottom.
const FIXED: usize = 5;

/// Returns the lines of the screen, at most `height`, none wider than `width`. `scroll` is the
/// number of text lines above the top; the function lowers it to the most that can be scrolled.
pub fn draw(
    session: &Session,
    width: usize,
    height: usize,
    scroll: &mut usize,
    help: bool,
) -> Vec<Line> {
    let text_width = width.clamp(1, MAX_WIDTH);
    let body = if help { help_lines(text_width) } else { body(session, text_width) };
    let room = height.saturating_sub(FIXED).max(1);
    *scroll = (*scroll).min(body.len().saturating_sub(room));
    let below = body.len() - *scroll > room;
    let mut lines = vec![vec![(position(session), Style::Dim)], vec![]];
    lines.extend(body.into_iter().skip(*scroll).take(room));
    lines.resize(height.max(FIXED).saturating_sub(3), vec![]);
    lines.push(vec![(if below { "… more below (arrow keys)" } else { "" }.to_owned(), Style::Dim)]);
    lines.push(vec![(session.message.clone(), Style::Bold)]);
    lines.push(vec![(
        "0 1 2 3 grade   u undo   s skip   b back   ? help   q quit".to_owned(),
        Style::Dim,
    )]);
    lines.iter_mut().for_each(|line| cut(line, width));
    lines.truncate(height.max(1));
    lines
}

fn position(session: &Session) -> String {
    let Some(item) = session.item() else { return String::new() };
    let ((query, queries), (passage, passages)) = (item.query_place, item.passage_place);
    let grade = session.grade().map_or(String::new(), |grade| format!(" · judged: {grade}"));
    let (judged, all) = (session.judged(), session.total());
    format!(
        "query {query} of {queries} · passage {passage} of {passages} · \
         {judged} of {all} judged{grade}"
    )
}

/// The query, and the passage with the query's words marked.
fn body(session: &Session, width: usize) -> Vec<Line> {
    let Some(item) = session.item() else { return vec![] };
    let marked = Highlighter::new(&item.query_text, session.language);
    let mut lines = paragraph(&item.query_text, width, Style::Bold, None);
    lines.push(vec![]);
    if !item.title.is_empty() {
        lines.extend(paragraph(&item.title, width, Style::Dim, Some(&marked)));
    }
    lines.extend(paragraph(&item.text, width, Style::Plain, Some(&marked)));
    lines
}

fn help_lines(width: usize) -> Vec<Line> {
    let grades = GRADES
        .iter()
        .enumerate()
        .map(|(grade, meaning)| format!("{grade}  the passage: {meaning}"));
    let keys = [
        "u  take the last grade back",
        "s  skip: you see it again in the next session",
        "b  go back, to look at the last passage or to change its grade",
        "arrow keys, page up and down, space  scroll a long passage",
        "q  quit; every grade is kept, and the same command resumes here",
    ];
    let all = grades.chain([String::new()]).chain(keys.map(str::to_owned));
    all.flat_map(|line| paragraph(&line, width, Style::Plain, None)).collect()
}

/// Breaks a text into lines of at most `width` columns, with its marked words apart.
fn paragraph(text: &str, width: usize, style: Style, marked: Option<&Highlighter>) -> Vec<Line> {
    // A passage must not steer the terminal, whatever it contains.
    let text: String =
        text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect();
    let spans = marked.map_or(vec![], |marked| marked.spans(&text));
    wrap(&text, width).into_iter().map(|line| pieces(&text, line, style, &spans)).collect()
}

fn pieces(text: &str, line: Range<usize>, style: Style, spans: &[Range<usize>]) -> Line {
    let mut pieces = Line::new();
    let mut push = |range: Range<usize>, style| {
        if !range.is_empty() {
            pieces.push((text[range].to_owned(), style));
        }
    };
    let mut at = line.start;
    for span in spans.iter().filter(|span| span.start < line.end && span.end > line.start) {
        let (start, end) = (span.start.max(line.start), span.end.min(line.end));
        push(at..start, style);
        push(start..end, Style::Marked);
        at = end;
    }
    push(at..line.end, style);
    pieces
}

/// Returns the spans of a text's lines. Lines break at white space, and within a word that is too
/// long.
fn wrap(text: &str, width: usize) -> Vec<Range<usize>> {
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let offset = paragraph.as_ptr() as usize - text.as_ptr() as usize;
        let (mut start, mut columns, mut space) = (0, 0, None);
        for (at, letter) in paragraph.char_indices() {
            let wide = letter.width().unwrap_or(0);
            if columns + wide > width && letter == ' ' && at > start {
                lines.push(offset + start..offset + at);
                (start, columns, space) = (at + 1, 0, None);
                continue;
            }
            if columns + wide > width && at > start {
                // The space itself is in neither line.
                let (end, next) = match space.filter(|space| *space > start) {
                    Some(space) => (space, space + 1),
                    None => (at, at),
                };
                lines.push(offset + start..offset + end);
                columns = paragraph[next..at].chars().filter_map(UnicodeWidthChar::width).sum();
                (start, space) = (next, None);
            }
            if letter == ' ' {
                space = Some(at);
            }
            columns += wide;
        }
        lines.push(offset + start..offset + paragraph.len());
    }
    lines
}

/// Cuts a line at `width` columns.
fn cut(line: &mut Line, width: usize) {
    let mut left = width;
    for (text, _) in line.iter_mut() {
        let fits = text.char_indices().find(|(_, letter)| {
            let wide = letter.width().unwrap_or(0);
            if wide > left {
                return true;
            }
            left -= wide;
            false
        });
        if let Some((at, _)) = fits {
            text.truncate(at);
            left = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use whetstone_rank::{Item, Judgements};

    fn plain(lines: &[Line]) -> Vec<String> {
        lines.iter().map(|line| line.iter().map(|(text, _)| text.as_str()).collect()).collect()
    }

    fn session(folder: &std::path::Path, text: &str) -> Session {
        let item = Item {
            query: "q".into(),
            query_text: "How is the pump primed?".into(),
            passage: "p".into(),
            title: "Pumps".into(),
            text: text.into(),
            query_place: (3, 150),
            passage_place: (4, 17),
        };
        Session::new(vec![item], Judgements::open(&folder.join("a.tsv")).unwrap())
    }

    #[test]
    fn text_is_broken_at_white_space_and_long_words_within() {
        let lines = |text: &str, width| -> Vec<String> {
            wrap(text, width).into_iter().map(|line| text[line].to_owned()).collect()
        };
        assert_eq!(lines("one two three", 7), ["one two", "three"]);
        assert_eq!(lines("one two three", 8), ["one two", "three"]);
        assert_eq!(lines("abcdefghij kl", 4), ["abcd", "efgh", "ij", "kl"]);
        assert_eq!(lines("a\n\nb", 4), ["a", "", "b"]);
        assert_eq!(lines("漢字漢字", 4), ["漢字", "漢字"], "wide letters take two columns");
        assert_eq!(lines("", 4), [""]);
    }

    #[test]
    fn the_screen_shows_place_query_and_passage_with_marked_words() {
        let folder = tempfile::tempdir().unwrap();
        let session = session(folder.path(), "Prime the pump\u{1b}[2J before the start.");
        let lines = draw(&session, 60, 12, &mut 0, false);
        let text = plain(&lines);
        assert_eq!(lines.len(), 12);
        assert_eq!(text[0], "query 3 of 150 · passage 4 of 17 · 0 of 1 judged");
        assert_eq!(text[2], "How is the pump primed?");
        assert_eq!(
            text[5], "Prime the pump [2J before the start.",
            "control characters are taken out"
        );
        let marked: Vec<&str> = lines
            .iter()
            .flatten()
            .filter(|(_, style)| *style == Style::Marked)
            .map(|(text, _)| text.as_str())
            .collect();
        assert_eq!(marked, ["Pumps", "Prime", "pump"]);
        assert!(text[11].starts_with("0 1 2 3 grade"));
    }

    #[test]
    fn a_long_passage_scrolls_to_its_end_and_no_further() {
        let folder = tempfile::tempdir().unwrap();
        let session =
            session(folder.path(), &(1..=40).map(|at| format!("line {at}\n")).collect::<String>());
        let mut scroll = 0;
        assert!(plain(&draw(&session, 40, 15, &mut scroll, false)).concat().contains("more below"));
        scroll = 1000;
        let text = plain(&draw(&session, 40, 15, &mut scroll, false)).concat();
        assert!(
            text.contains("line 40") && !text.contains("more below") && scroll < 40,
            "{scroll} {text}"
        );
    }

    #[test]
    fn a_tiny_terminal_is_no_panic_and_nothing_is_wider_than_it() {
        let folder = tempfile::tempdir().unwrap();
        let session = session(folder.path(), "Prime the pump before the start.");
        for (width, height) in [(0, 0), (1, 1), (3, 2), (10, 4), (20, 6)] {
            for help in [false, true] {
                let lines = draw(&session, width, height, &mut 0, help);
                assert!(lines.len() <= height.max(1));
                assert!(
                    plain(&lines).iter().all(|line| line.chars().count() <= width),
                    "{width}x{height}"
                );
            }
        }
    }
}
