//! Tags in prose: shortcodes, Liquid, components.

use crate::chunk::html::is_element;
use std::ops::Range;

/// The longest tag, in bytes.
const MAX_TAG: usize = 4096;
/// The longest text that a pair of tags hides or shows as it is, in bytes.
const MAX_HIDDEN: usize = 16 << 10;
/// Attributes whose value a reader sees, the better first.
const SEEN: [&str; 4] = ["title", "caption", "label", "alt"];
/// Tags whose first words without a name are a heading of what is in them.
const HEADED: [&str; 4] = ["tab", "details", "expand", "notice"];
/// Tags that hide what is in them.
const HIDING: [&str; 1] = ["comment"];

/// Adds prose without its tags.
pub(super) fn tags(prose: &str, kept: &mut String) {
    let mut rest = prose;
    while let Some(at) = rest.find(['`', '{', '<']) {
        kept.push_str(&rest[..at]);
        rest = &rest[at..];
        let tag = match rest.as_bytes()[0] {
            b'`' => {
                let (code, after) = rest.split_at(code_span(rest));
                kept.push_str(code);
                rest = after;
                continue;
            }
            b'{' => template(rest),
            _ => component(rest).or_else(|| fragment(rest, kept)),
        };
        let Some(Tag { length, words, shows }) = tag else {
            kept.push_str(&rest[..1]);
            rest = &rest[1..];
            continue;
        };
        let is_alone = kept.rsplit('\n').next().unwrap_or_default().trim().is_empty()
            && rest[length..].lines().next().unwrap_or_default().trim().is_empty();
        kept.push_str(&rest[shows]);
        kept.push_str(&words);
        if is_alone && !words.is_empty() {
            kept.push('\n');
        }
        rest = &rest[length..];
        if kept.ends_with(' ') && words.is_empty() {
            rest = rest.strip_prefix(' ').unwrap_or(rest);
        }
    }
    kept.push_str(rest);
}

/// How many bytes the code takes that begins with a run of backticks; the run alone where it is
/// not closed in its paragraph.
fn code_span(text: &str) -> usize {
    let run = text.len() - text.trim_start_matches('`').len();
    let text = within(text);
    let paragraph = text.find("\n\n").unwrap_or(text.len());
    let mut at = run;
    while let Some(found) = text[at..paragraph.max(at)].find('`') {
        let begin = at + found;
        let length = text[begin..].len() - text[begin..].trim_start_matches('`').len();
        at = begin + length;
        if length == run {
            return at;
        }
    }
    run
}

/// A tag at the beginning of a text.
struct Tag {
    length: usize,
    /// What a reader sees of it.
    words: String,
    /// Bytes of it that are shown as they are.
    shows: Range<usize>,
}

impl Tag {
    fn new(length: usize, words: String) -> Self {
        Self { length, words, shows: 0..0 }
    }
}

/// A shortcode of Hugo, a tag, comment or page's variable of Liquid, or a comment of MDX.
fn template(text: &str) -> Option<Tag> {
    const PAIRS: [(&str, &str); 5] =
        [("{{<", ">}}"), ("{{%", "%}}"), ("{%", "%}"), ("{/*", "*/}"), ("{{", "}}")];
    let (open, close) = *PAIRS.iter().find(|(open, _)| text.starts_with(open))?;
    let end = open.len() + within(text).get(open.len()..)?.find(close)?;
    let length = end + close.len();
    let inside = text[open.len()..end].trim_matches(|c: char| c.is_whitespace() || c == '-');
    match open {
        "{/*" => return Some(Tag::new(length, String::new())),
        "{{" => {
            let of_page = ["site.", "page.", "layout.", "include.", "/*"];
            let is_variable = of_page.iter().any(|start| inside.starts_with(start));
            return is_variable.then(|| Tag::new(length, String::new()));
        }
        _ => {}
    }
    let name = inside.trim_start_matches('/').trim_start();
    let end_of_name = name.find(|c: char| c.is_whitespace() || c == '/').unwrap_or(name.len());
    let (name, attributes) = name.split_at(end_of_name);
    // `{{</* figure */>}}` shows a shortcode.
    if !name.starts_with(|c: char| c.is_alphabetic()) || inside.starts_with("/*") {
        return None;
    }
    let closed = || closing(&text[length..], (open, close), name);
    if open == "{%" && name == "raw" {
        let (inner, all) = closed()?;
        let shows = length..length + inner;
        return Some(Tag { length: length + all, words: String::new(), shows });
    }
    if HIDING.contains(&name)
        && !inside.starts_with('/')
        && let Some((_, all)) = closed()
    {
        return Some(Tag::new(length + all, String::new()));
    }
    Some(Tag::new(length, words_of(name, attributes)))
}

/// Where the tag that closes `name` begins, and where it ends.
fn closing(text: &str, (open, close): (&str, &str), name: &str) -> Option<(usize, usize)> {
    let text = &text[..text.floor_char_boundary(MAX_HIDDEN)];
    let end = if open == "{%" { "end" } else { "/" };
    let mut at = 0;
    while let Some(found) = text[at..].find(open) {
        let begin = at + found;
        at = begin + open.len();
        let inside = text[at..].trim_start_matches([' ', '-']).strip_prefix(end);
        if inside.is_some_and(|rest| rest.trim_start().starts_with(name)) {
            return Some((begin, at + text[at..].find(close)? + close.len()));
        }
    }
    None
}

/// The tag of a component: `<Tabs values={[…]}>`, `</Tabs>`, `<Card title="…" />`.
fn component(text: &str) -> Option<Tag> {
    let inside = text[1..].strip_prefix('/').unwrap_or(&text[1..]);
    let end = inside.find(|c: char| !c.is_alphanumeric() && c != '.' && c != '_')?;
    let (name, rest) = inside.split_at(end);
    let is_component = name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.contains(|c: char| c.is_ascii_lowercase())
        && !is_element(&name.to_lowercase());
    if !is_component || !rest.starts_with(|c: char| c.is_whitespace() || "/>".contains(c)) {
        return None;
    }
    let length = end_of_component(text)?;
    Some(Tag::new(length, words_of(name, &text[..length])))
}

/// A tag without a name, which holds several components; in a sentence it may be an operator.
fn fragment(text: &str, before: &str) -> Option<Tag> {
    let line = text.lines().next()?.trim_end();
    let is_alone = before.rsplit('\n').next().unwrap_or_default().trim().is_empty();
    (is_alone && ["<>", "</>"].contains(&line)).then(|| Tag::new(line.len(), String::new()))
}

/// Where a tag ends: at a `>` outside of quotes and braces.
fn end_of_component(text: &str) -> Option<usize> {
    let (mut braces, mut quote) = (0, None);
    for (at, c) in within(text).char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'' | '`') => quote = Some(c),
            (None, '{') => braces += 1,
            (None, '}') => braces -= 1,
            (None, '>') if braces <= 0 => return Some(at + 1),
            (None, '<') if at > 0 && braces <= 0 => return None,
            _ => {}
        }
    }
    None
}

/// The beginning of a text, in which a tag must end.
fn within(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_TAG)]
}

/// What a reader sees of a tag with such attributes.
fn words_of(name: &str, attributes: &str) -> String {
    let named = SEEN.iter().find_map(|key| attribute(attributes, key));
    let first = || {
        let rest =
            attributes.trim_start().trim_start_matches(|c: char| c.is_alphanumeric()).trim_start();
        let quote = rest.chars().next().filter(|c| "\"'".contains(*c))?;
        HEADED.contains(&name).then(|| rest[1..].split(quote).next()).flatten()
    };
    named.or_else(first).unwrap_or_default().trim().to_owned()
}

fn attribute<'a>(attributes: &'a str, key: &str) -> Option<&'a str> {
    let mut at = 0;
    while let Some(found) = attributes[at..].find(key) {
        let begin = at + found;
        at = begin + key.len();
        let is_word = attributes[..begin].ends_with(char::is_whitespace);
        let Some(value) = attributes[at..].trim_start().strip_prefix('=').filter(|_| is_word)
        else {
            continue;
        };
        let value = value.trim_start().trim_start_matches('{');
        if let Some(quote) = value.chars().next().filter(|c| "\"'".contains(*c)) {
            return value[1..].split(quote).next();
        }
    }
    None
}
