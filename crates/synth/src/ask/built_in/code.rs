//! Queries for functions: from the summary above or below their head, and from their name.

use super::corpus::CorpusTerms;
use super::lists;
use super::phrases::{is_adverb, is_article};
use super::verbs::{Form, verb};
use super::words::{Word, words};

/// Longest and shortest summary that is a query, in words.
const MAX_WORDS: usize = 12;
const MIN_WORDS: usize = 3;
/// Passages in which a part of a name must occur as a word.
const MIN_PASSAGES: u32 = 3;
/// Keywords before the name of a function.
const HEADS: [&str; 5] = ["def ", "fn ", "func ", "function ", "sub "];
/// What may stand before these.
const BEFORE: [&str; 8] =
    ["async ", "export ", "default ", "pub ", "public ", "private ", "static ", "protected "];
/// What begins the description of parameters, where a summary ends.
const FIELDS: [&str; 12] = [
    ":param",
    ":return",
    ":rtype",
    "@param",
    "@return",
    "Args:",
    "Parameters",
    "Returns:",
    "Arguments",
    "Usage",
    "Example",
    ">>>",
];

/// What a function says about itself.
#[derive(Debug, PartialEq)]
pub struct Function {
    pub name: String,
    /// The first sentence of its comment.
    pub summary: String,
}

/// Reads a passage that is one function, or none.
pub fn function(text: &str) -> Option<Function> {
    let line = text
        .lines()
        .map(str::trim_start)
        .find(|line| !line.is_empty() && !line.starts_with(['@', '/', '*', '#']))?;
    let mut head = line;
    while let Some(after) = BEFORE.iter().find_map(|word| head.strip_prefix(word)) {
        head = after;
    }
    let named = HEADS.iter().find_map(|word| head.strip_prefix(word))?;
    let name = named.split(['(', '<', ' ']).next().unwrap_or_default();
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    (!name.is_empty() && name.chars().all(is_name) && named.contains('('))
        .then(|| Function { name: name.to_owned(), summary: summary(text) })
}

/// The first sentence of a function's comment, on one line; empty where it has none.
fn summary(text: &str) -> String {
    let quoted = ["\"\"\"", "'''"].iter().find_map(|quote| {
        let (_, after) = text.split_once(quote)?;
        Some(after.split_once(quote).map_or(after, |(inside, _)| inside))
    });
    let comment = match quoted {
        Some(comment) => comment.trim().to_owned(),
        None => {
            let marks = ["///", "//", "/**", "/*", "*", "#"];
            let lines = text.lines().map(str::trim).map_while(|line| {
                marks.iter().find_map(|mark| line.strip_prefix(mark)).map(str::trim)
            });
            lines.collect::<Vec<_>>().join("\n").trim().to_owned()
        }
    };
    let paragraph = comment
        .lines()
        .map(str::trim)
        .take_while(|line| !line.is_empty() && !FIELDS.iter().any(|field| line.starts_with(field)));
    let paragraph = paragraph.collect::<Vec<_>>().join(" ");
    let end = paragraph.find(". ").unwrap_or(paragraph.len());
    paragraph[..end].trim_end_matches(['.', ':', ' ']).to_owned()
}

/// The queries of a function, best first: style and text.
pub fn queries(function: &Function, terms: &CorpusTerms) -> Vec<(&'static str, String)> {
    let summary = from_summary(&function.summary).map(|text| ("summary", text));
    let name = from_name(&function.name, terms).map(|text| ("name", text));
    summary.into_iter().chain(name).collect()
}

/// `Writes a Boolean to the stream` as `how to write a Boolean to the stream`, `Returns the number
/// of rows` as `get the number of rows`.
fn from_summary(summary: &str) -> Option<String> {
    let is_prose = |c: char| c.is_alphanumeric() || " ,-'’/.".contains(c);
    if !summary.chars().all(is_prose) {
        return None;
    }
    let mut all = words(summary);
    if all.first().is_some_and(is_article) {
        all.remove(0);
    }
    // What follows the first comma is seldom part of the matter.
    let end = all.iter().position(|word| word.stop.is_some()).map_or(all.len(), |at| at + 1);
    all.truncate(end);
    let open = |word: &Word| {
        (word.is_anaphor() && word.lower != "its")
            || word.text.contains('.')
            || matches!(word.lower.as_str(), "self" | "method" | "function" | "class" | "i")
    };
    if !(MIN_WORDS..=MAX_WORDS).contains(&all.len()) || all.iter().any(open) {
        return None;
    }
    let rest = |from: usize| {
        let words: Vec<Word> =
            all[from..].iter().map(|word| Word { stop: None, ..word.clone() }).collect();
        super::words::join(&words)
    };
    let first = &all[0];
    let ends_open = all.last()?.is_stop_word() || is_adverb(&all[1]);
    let begins_open = (first.is_stop_word() && base(&first.lower).is_none())
        || lists::PARTICIPLES.contains(first.lower.as_str())
        || first.lower.ends_with("ed")
        // `Batches a list`, whose verb is not known.
        || (first.lower.ends_with('s') && !all[1].is_preposition() && base(&first.lower).is_none());
    let base = base(&all[0].lower);
    let second = all[1].lower.as_str();
    let text = match (base.as_deref(), second) {
        _ if ends_open || begins_open => return None,
        (Some("return" | "test" | "check" | "determine"), "if" | "whether") => {
            format!("check if {}", rest(2))
        }
        (Some("return"), "true" | "false") if matches!(all[2].lower.as_str(), "if" | "when") => {
            format!("check if {}", rest(3))
        }
        (Some("return" | "yield" | "give"), _) => format!("get {}", rest(1)),
        (Some(base), _) => format!("how to {base} {}", rest(1)),
        (None, _) => {
            let text = rest(0);
            let small = all[0].is_capitalised() && !all[0].is_identifier();
            if small { format!("{}{}", text[..1].to_lowercase(), &text[1..]) } else { text }
        }
    };
    (text.split(' ').count() >= MIN_WORDS).then_some(text)
}

/// The base of a verb that a summary begins with.
fn base(lower: &str) -> Option<String> {
    let known = |base: &str| {
        lists::CODE_VERBS.contains(base) || verb(base).is_some_and(|(_, form)| form == Form::Base)
    };
    let es = ["ches", "shes", "sses", "xes", "zes"].iter().any(|end| lower.ends_with(end));
    let third = match lower {
        _ if es => lower.strip_suffix("es").map(str::to_owned),
        _ if lower.ends_with("ies") => lower.strip_suffix("ies").map(|stem| format!("{stem}y")),
        _ => lower.strip_suffix('s').map(str::to_owned),
    };
    Some(lower.to_owned()).filter(|base| known(base)).or(third.filter(|base| known(base)))
}

/// `parse_http_header` and `parseHttpHeader` as `parse http header`, if the corpus uses all parts
/// as words.
fn from_name(name: &str, terms: &CorpusTerms) -> Option<String> {
    let mut parts: Vec<String> = vec![String::new()];
    let mut small = false;
    for c in name.chars() {
        if c == '_' || (c.is_uppercase() && small) {
            parts.push(String::new());
        }
        small = c.is_lowercase() || c.is_ascii_digit();
        if c != '_' {
            parts.last_mut()?.extend(c.to_lowercase());
        }
    }
    parts.retain(|part| !part.is_empty());
    let known = |part: &String| {
        part.chars().count() > 1 && terms.passages_with(part) >= MIN_PASSAGES
            || lists::STOP_WORDS.contains(part.as_str())
    };
    let first = parts.first()?.as_str();
    let acts = base(first).is_some_and(|base| base == first) && !lists::STOP_WORDS.contains(first);
    let converts = parts.iter().any(|part| part == "to");
    let ends_open = lists::STOP_WORDS.contains(parts.last()?.as_str());
    let good = (2..=5).contains(&parts.len()) && parts.iter().all(known) && !ends_open;
    (good && (acts || (converts && parts.len() > 2))).then(|| parts.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_asked_for_by_what_its_comment_says() {
        let text = "def writeBoolean(self, n):\n    \"\"\"\n    Writes a Boolean to the stream.\n\n    :param n: it\n    \"\"\"\n    pass";
        let found = function(text).unwrap();
        assert_eq!(found.name, "writeBoolean");
        assert_eq!(from_summary(&found.summary).unwrap(), "how to write a Boolean to the stream");
        for (summary, query) in [
            ("Returns True if the file is empty", Some("check if the file is empty")),
            ("Return the number of rows", Some("get the number of rows")),
            ("Levenshtein distance of two strings", Some("levenshtein distance of two strings")),
            ("Sets self._x = {}", None),
            ("Does this", None),
        ] {
            assert_eq!(from_summary(summary).as_deref(), query, "{summary}");
        }
        assert_eq!(function("def ine a word and more"), None);
        assert_eq!(
            function("// Adds two numbers.\npub fn add(a: u32)").unwrap().summary,
            "Adds two numbers"
        );
    }
}
