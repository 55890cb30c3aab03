//! What programs that publish sites read in Markdown, and no reader sees: shortcodes of Hugo, tags of
//! Liquid, imports and components of MDX, fences and marks of admonitions. Their prose stays.

mod tags;

use tags::tags;

/// Returns a Markdown text without such markup; None if it has none.
pub(super) fn without(text: &str) -> Option<String> {
    let marks =
        ["{", "<", ":::", "!!! ", "??? ", "???+ ", "=== ", "import ", "export ", "[!", "[["];
    if !marks.iter().any(|mark| text.contains(mark)) && !text.contains("[TOC]") {
        return None;
    }
    let mut lines = Lines { after_blank: true, ..Lines::default() };
    for line in text.split_inclusive('\n') {
        lines.take(line);
    }
    lines.flush();
    (lines.kept != text).then_some(lines.kept)
}

/// Reads a text line by line.
#[derive(Default)]
struct Lines {
    kept: String,
    /// Lines outside of code whose tags are still to be read.
    prose: String,
    /// The fence of the code that is open: its character and length.
    fence: Option<(char, usize)>,
    after_blank: bool,
    /// How far the words of an admonition are indented.
    indented: usize,
    /// Within an `import` or `export` of several lines: how many braces are open.
    module: Option<i32>,
}

impl Lines {
    fn take(&mut self, line: &str) {
        let line = self.outdented(line);
        let words = line.trim();
        if let Some(fence) = fence_of(words) {
            let closes = self.fence.is_some_and(|(mark, length)| {
                fence.0 == mark && fence.1 >= length && words.chars().all(|c| c == mark)
            });
            if self.fence.is_none() || closes {
                self.flush();
                self.fence = if closes { None } else { Some(fence) };
                return self.kept.push_str(line);
            }
        }
        if self.fence.is_some() {
            return self.kept.push_str(line);
        }
        let is_module = self.is_module(line);
        if !is_module {
            match admonition(words) {
                Some(Mark { title, indents }) => {
                    self.indented += if indents { 4 + indentation(line) } else { 0 };
                    self.prose += &format!("\n{title}\n\n");
                }
                None if is_toc(words) => self.prose.push('\n'),
                None => self.prose += &without_alert(line),
            }
        }
        self.after_blank = words.is_empty() || is_module;
    }

    /// The line without the indentation that an admonition gives to what is in it.
    fn outdented<'l>(&mut self, line: &'l str) -> &'l str {
        if self.indented == 0 || line.trim().is_empty() {
            return line;
        }
        // A line further left belongs to what is around.
        self.indented = self.indented.min(indentation(line) / 4 * 4);
        &line[self.indented..]
    }

    /// Whether a line belongs to an `import` or `export` of MDX, which begins a paragraph.
    fn is_module(&mut self, line: &str) -> bool {
        let open = match self.module {
            Some(open) => open,
            None if self.after_blank && begins_module(line) => 0,
            None => return false,
        };
        let braces = |c| line.matches(c).count() as i32;
        let open = open + braces(['{', '(', '[']) - braces(['}', ')', ']']);
        self.module = (open > 0 && !line.trim().is_empty()).then_some(open);
        true
    }

    fn flush(&mut self) {
        tags(&std::mem::take(&mut self.prose), &mut self.kept);
    }
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

fn fence_of(words: &str) -> Option<(char, usize)> {
    let mark = words.chars().next().filter(|c| "`~".contains(*c))?;
    let length = words.len() - words.trim_start_matches(mark).len();
    // What has a backtick behind its fence is code within a line.
    (length >= 3 && !(mark == '`' && words[length..].contains('`'))).then_some((mark, length))
}

fn begins_module(line: &str) -> bool {
    let line = line.trim_end().trim_end_matches(';');
    let quoted =
        |text: &str| text.len() > 1 && text.starts_with(['"', '\'']) && text.ends_with(['"', '\'']);
    if let Some(rest) = line.strip_prefix("import ") {
        let names = rest.split_once(" from ").map(|(names, path)| (names, quoted(path.trim())));
        let is_name = |c: char| c.is_alphanumeric() || "_$*{}, ".contains(c);
        return match names {
            Some((names, is_quoted)) => is_quoted && names.chars().all(is_name),
            None => quoted(rest.trim()) || rest.trim() == "{",
        };
    }
    ["const ", "let ", "default ", "function "]
        .iter()
        .any(|kind| line.strip_prefix("export ").is_some_and(|rest| rest.starts_with(kind)))
}

/// The line that opens or closes an admonition.
struct Mark<'l> {
    title: &'l str,
    /// Whether what is in it is indented.
    indents: bool,
}

fn admonition(words: &str) -> Option<Mark<'_>> {
    let colons = words.len() - words.trim_start_matches(':').len();
    if colons >= 3 {
        return Some(Mark { title: title_of_fence(words[colons..].trim())?, indents: false });
    }
    let rest =
        ["!!! ", "???+ ", "??? ", "=== "].iter().find_map(|mark| words.strip_prefix(mark))?;
    let title = rest.find('"').map(|quote| rest[quote + 1..].trim_end_matches('"'));
    // A line of `===` with words after it is a tab only where they are quoted.
    let is_tab = words.starts_with("===");
    (!is_tab || rest.starts_with('"')).then(|| Mark { title: title.unwrap_or(""), indents: true })
}

/// The title in `note Title`, `note[Title]{.class}`, `{note} Title` or `{.note}`.
fn title_of_fence(rest: &str) -> Option<&str> {
    let rest = match rest.strip_prefix('{') {
        Some(inside) => return inside.split_once('}').map(|(_, title)| title.trim()),
        None => rest,
    };
    let end =
        rest.find(|c: char| !c.is_alphanumeric() && c != '-' && c != '_').unwrap_or(rest.len());
    let title = rest[end..].split('{').next().unwrap_or_default().trim();
    let bracketed = title.strip_prefix('[').and_then(|title| title.strip_suffix(']'));
    // `::: : :` is nothing of the kind.
    (!title.starts_with(':')).then_some(bracketed.unwrap_or(title))
}

fn is_toc(words: &str) -> bool {
    ["[toc]", "[[toc]]", "[[_toc_]]"].contains(&words.to_lowercase().as_str())
        || (words.starts_with("{:") && words.ends_with('}'))
}

/// The line without the mark of an alert, `> [!NOTE]`.
fn without_alert(line: &str) -> String {
    let quoted = line.trim_start_matches([' ', '>']);
    let is_mark =
        |mark: &str| !mark.is_empty() && mark.bytes().all(|byte| byte.is_ascii_alphabetic());
    match quoted.strip_prefix("[!").and_then(|rest| rest.split_once(']')) {
        Some((mark, rest)) if line.contains('>') && is_mark(mark) => {
            let rest = rest.strip_prefix(['-', '+']).unwrap_or(rest);
            format!("{}{}", &line[..line.len() - quoted.len()], rest.trim_start_matches(' '))
        }
        _ => line.to_owned(),
    }
}

#[cfg(test)]
mod tests;
