//! Separates what a model says from the thoughts before it.

use std::borrow::Cow;

/// The longest name of a tag, with its attributes, in bytes.
const MAX_TAG: usize = 60;
/// Names of the tags around a thought.
const NAMES: &[&str] = &[
    "think",
    "thinking",
    "thought",
    "thoughts",
    "thought_process",
    "thinking_process",
    "chain_of_thought",
    "internal_thought",
    "internal_thoughts",
    "inner_monologue",
    "reason",
    "reasoning",
    "reflection",
    "scratchpad",
    "analysis",
];
/// Sentences that some models use in place of tags.
const SENTENCES: &[[&str; 2]] = &[
    ["Here is my thought process:", "Here is my response:"],
    ["Thinking...", "...done thinking."],
];
/// harmony, the format of gpt-oss: after this comes the name of a channel.
const CHANNEL: &str = "<|channel|>";
const MESSAGE: &str = "<|message|>";
const ENDS: &[&str] = &["<|end|>", "<|return|>", "<|call|>", "<|start|>"];

/// An answer without its thoughts.
#[derive(Clone, Debug, PartialEq)]
pub struct Outside<'t> {
    pub text: Cow<'t, str>,
    /// Whether the model thinks aloud.
    pub thinks: bool,
    /// Whether the last thought has no end.
    pub is_unfinished: bool,
}

/// Removes the thoughts from an answer, however they are marked.
pub fn outside(content: &str) -> Outside<'_> {
    let content = content.trim();
    if is_json(content) {
        return Outside { text: content.into(), thinks: false, is_unfinished: false };
    }
    channels(content).or_else(|| sentences(content)).unwrap_or_else(|| tags(content))
}

/// If the whole text is JSON, a tag is part of the content.
fn is_json(content: &str) -> bool {
    let sound = |text: &str| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    content.starts_with(['{', '['])
        && (sound(content) || content.lines().all(|line| line.trim().is_empty() || sound(line)))
}

fn of_last(text: &str) -> Outside<'_> {
    Outside { text: text.trim().into(), thinks: true, is_unfinished: false }
}

fn unfinished<'t>() -> Outside<'t> {
    Outside { text: "".into(), thinks: true, is_unfinished: true }
}

/// The content of harmony's final channel; none if the answer has no channels.
fn channels(content: &str) -> Option<Outside<'_>> {
    if !content.contains(CHANNEL) {
        // If the marks were removed, the words are glued together.
        let rest = content.strip_prefix("analysis")?;
        rest.starts_with(char::is_alphabetic).then_some(())?;
        return Some(match rest.rsplit_once("assistantfinal") {
            Some((_, said)) => of_last(said),
            None => unfinished(),
        });
    }
    let finals = content.split(CHANNEL).skip(1).filter_map(|channel| {
        let (name, said) = channel.split_once(MESSAGE)?;
        name.trim_start().starts_with("final").then_some(said)
    });
    let end = |said: &str| ENDS.iter().filter_map(|end| said.find(end)).min();
    let said: Vec<&str> =
        finals.map(|said| said[..end(said).unwrap_or(said.len())].trim()).collect();
    if said.is_empty() {
        return Some(unfinished());
    }
    Some(Outside { text: said.join("\n").into(), thinks: true, is_unfinished: false })
}

fn sentences(content: &str) -> Option<Outside<'_>> {
    let [_, end] = SENTENCES.iter().find(|[begin, _]| content.starts_with(begin))?;
    Some(content.split_once(end).map_or_else(unfinished, |(_, said)| of_last(said)))
}

/// A tag of a thought.
#[derive(Debug, PartialEq)]
struct Tag {
    name: String,
    opens: bool,
    /// Bytes.
    length: usize,
}

/// The text outside the tags. Everything before a closing tag that was never opened is a thought:
/// the prompt opened it.
fn tags(content: &str) -> Outside<'_> {
    let (mut said, mut open) = (String::new(), Vec::<String>::new());
    let (mut at, mut thinks, mut quotes) = (0, false, Quotes::default());
    while let Some(begin) = content[at..].find(['<', '[', '◁']).map(|offset| at + offset) {
        quotes.pass(&content[at..begin]);
        let found = tag(&content[begin..]).filter(|tag| !(tag.opens && quotes.are_open()));
        let mark = content[begin..].chars().next().map_or(1, char::len_utf8);
        if open.is_empty() {
            said.push_str(&content[at..if found.is_some() { begin } else { begin + mark }]);
        }
        let Some(found) = found else {
            at = begin + mark;
            continue;
        };
        thinks = true;
        at = begin + found.length;
        match (found.opens, open.iter().rposition(|name| *name == found.name)) {
            (true, _) => open.push(found.name),
            (false, Some(place)) => open.truncate(place),
            (false, None) if open.is_empty() => said.clear(),
            (false, None) => {}
        }
    }
    if !thinks {
        return Outside { text: content.into(), thinks, is_unfinished: false };
    }
    if open.is_empty() {
        said.push_str(&content[at..]);
    }
    Outside { text: said.trim().to_owned().into(), thinks, is_unfinished: !open.is_empty() }
}

/// Whether the line of text so far has an open quote: an opening tag within quotes is a word.
#[derive(Default)]
struct Quotes {
    double: bool,
    code: bool,
    escaped: bool,
}

impl Quotes {
    fn pass(&mut self, text: &str) {
        for next in text.chars() {
            match next {
                _ if self.escaped => self.escaped = false,
                '\\' => self.escaped = true,
                '\n' => *self = Self::default(),
                '"' => self.double ^= true,
                '`' => self.code ^= true,
                _ => {}
            }
        }
    }

    fn are_open(&self) -> bool {
        self.double || self.code
    }
}

/// The tag at the start of a text, if it marks a thought.
fn tag(text: &str) -> Option<Tag> {
    let opener = text.chars().next()?;
    let closer = match opener {
        '<' => '>',
        '[' => ']',
        _ => '▷',
    };
    let end = text.char_indices().take_while(|(at, _)| *at <= MAX_TAG).find(|(_, c)| *c == closer);
    let end = end?.0;
    let inner = text[opener.len_utf8()..end].trim();
    let is_closing = inner.starts_with('/');
    let word = inner.trim_matches(['/', '|', ' ']).split_whitespace().next()?;
    // Links and notes of prose have brackets too.
    if inner.ends_with('/') || (opener == '[' && word.bytes().any(|b| b.is_ascii_lowercase())) {
        return None;
    }
    let word = word.to_lowercase().replace('-', "_");
    let name = word.rsplit(':').next()?;
    let ends = ["end_of_", "end_"].iter().find_map(|prefix| name.strip_prefix(prefix));
    let begins =
        ["begin_of_", "begin_", "start_"].iter().find_map(|prefix| name.strip_prefix(prefix));
    let (name, opens) = match (name, ends, begins) {
        // Gemma's.
        ("unused94", ..) => ("thought", true),
        ("unused95", ..) => ("thought", false),
        (_, Some(name), _) => (name, false),
        (_, _, Some(name)) => (name, true),
        _ => (name, !is_closing),
    };
    let length = end + closer.len_utf8();
    NAMES.contains(&name).then(|| Tag { name: name.to_owned(), opens, length })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(content: &str) -> (String, bool) {
        let Outside { text, is_unfinished, .. } = outside(content);
        (text.into_owned(), is_unfinished)
    }

    #[test]
    fn every_kind_of_thought_is_left_out() {
        for answer in [
            "<think>\nIs it {\"grade\": 3}?\n</think>\n\n{\"grade\": 1}",
            "<think></think>{\"grade\": 1}",
            "<think>The tag \"<think>\" is odd.</think>{\"grade\": 1}",
            "<Thinking>hm</Thinking> {\"grade\": 1}",
            "<thought>hm</thought><reasoning>hm</reasoning>{\"grade\": 1}",
            "<think depth=\"2\">a <think>b</think> {\"grade\": 3}</think>{\"grade\": 1}",
            "[THINK]hm {\"grade\": 3}[/THINK]{\"grade\": 1}",
            "<seed:think>hm</seed:think>{\"grade\": 1}",
            "<|begin_of_thought|>hm<|end_of_thought|>{\"grade\": 1}",
            "<|START_THINKING|>hm<|END_THINKING|>{\"grade\": 1}",
            "◁think▷hm◁/think▷{\"grade\": 1}",
            "<unused94>thought\nhm<unused95>{\"grade\": 1}",
            "Is it {\"grade\": 3}? Say \"no</think>{\"grade\": 1}",
            "<|channel|>analysis<|message|>{\"grade\": 3}?<|end|><|start|>assistant<|channel|>final<|message|>{\"grade\": 1}<|return|>",
            "{\"grade\": 3}?<|end|><|start|>assistant<|channel|>final <|constrain|>json<|message|>{\"grade\": 1}",
            "analysisIs it {\"grade\": 3}?assistantfinal{\"grade\": 1}",
            "Here is my thought process: {\"grade\": 3}?\n\nHere is my response: {\"grade\": 1}",
            "{\"grade\": 1}",
        ] {
            assert_eq!(said(answer), ("{\"grade\": 1}".to_owned(), false), "{answer}");
        }
    }

    #[test]
    fn nothing_stands_outside_a_thought_without_an_end() {
        for answer in [
            "<think>\nAt first sight {\"grade\": 3}, but wait",
            "<thinking>a</thinking><thinking>{\"grade\": 3}",
            "<think>a <think>b</think> {\"grade\": 3}",
            "[THINK]{\"grade\": 3}",
            "<|channel|>analysis<|message|>{\"grade\": 3}",
            "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>commentary<|message|>{\"grade\": 3}",
            "analysisWe need {\"grade\": 3}",
            "Here is my thought process: {\"grade\": 3}",
        ] {
            assert_eq!(said(answer), (String::new(), true), "{answer}");
        }
        assert_eq!(said("Sure.\n<think>\nIs it"), ("Sure.".to_owned(), true));
    }

    #[test]
    fn an_answer_about_such_tags_is_an_answer() {
        for answer in [
            r#"{"questions": ["What does <think> do?", "And </think>?"]}"#,
            r#"{"questions": ["What does <think> do?", "Whe"#,
            "Here: {\"questions\": [\"What does \\\"<think>\\\" do?\"]}",
            "What does `<think>` do?",
            "See [1] and [Reasoning](a.html) <br> for a < b?",
        ] {
            assert_eq!(said(answer), (answer.to_owned(), false), "{answer}");
        }
    }
}
