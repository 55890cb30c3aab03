//! Prompts as files: a system and a user message with variables.

use crate::error::{Error, Result};
use std::path::{Path, PathBuf};

/// The line between the two messages.
const BORDER: &str = "---";

/// A prompt as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    system: Vec<Line>,
    user: Vec<Line>,
}

/// A line that alternates between text and names of variables. It starts with text.
#[derive(Clone, Debug, PartialEq)]
struct Line {
    texts: Vec<String>,
    variables: Vec<String>,
}

/// Values by name.
pub type Values<'a> = [(&'static str, &'a str)];

impl Template {
    /// Reads the prompt in `file`, or the compiled-in one. It may use the `known` variables, and
    /// must use the `needed` ones in the user's message.
    pub fn open(
        file: Option<&Path>,
        compiled_in: &str,
        known: &[&'static str],
        needed: &[&'static str],
    ) -> Result<Self> {
        match file {
            Some(path) => Self::parse(&whetstone_records::read_text(path)?, path, known, needed),
            None => Self::parse(compiled_in, Path::new("the compiled-in prompt"), known, needed),
        }
    }

    /// Parses the text of a prompt; `path` is for messages.
    pub fn parse(
        text: &str,
        path: &Path,
        known: &[&'static str],
        needed: &[&'static str],
    ) -> Result<Self> {
        let problem =
            |line, what: String| Error::BadPrompt { path: PathBuf::from(path), line, what };
        let (mut system, mut user) = (Vec::new(), None::<Vec<Line>>);
        for (number, line) in text.lines().enumerate() {
            if line.trim() == BORDER && user.is_none() {
                user = Some(Vec::new());
                continue;
            }
            let line =
                Line::parse(line).ok_or_else(|| problem(number + 1, "`{{` without `}}`".into()))?;
            if let Some(name) = line.variables.iter().find(|name| !known.contains(&name.as_str())) {
                let known: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
                let what = format!("there is no variable `{name}`; there are {}", known.join(", "));
                return Err(problem(number + 1, what));
            }
            user.as_mut().unwrap_or(&mut system).push(line);
        }
        let user = user.ok_or_else(|| {
            problem(0, format!("no line `{BORDER}` between system and user message"))
        })?;
        let used =
            |name: &&&str| user.iter().any(|line| line.variables.iter().any(|used| used == **name));
        match needed.iter().find(|name| !used(name)) {
            Some(name) => Err(problem(
                0,
                format!("`{{{{{name}}}}}` does not occur below the line `{BORDER}`"),
            )),
            None => Ok(Self { system, user }),
        }
    }

    /// Returns the system's and the user's message.
    pub fn render(&self, values: &Values) -> [String; 2] {
        [&self.system, &self.user].map(|lines| {
            let lines: Vec<String> = lines.iter().filter_map(|line| line.render(values)).collect();
            lines.join("\n").trim().to_owned()
        })
    }
}

impl Line {
    fn parse(line: &str) -> Option<Self> {
        let (mut texts, mut variables) = (Vec::new(), Vec::new());
        let mut rest = line;
        while let Some((text, after)) = rest.split_once("{{") {
            let (name, after) = after.split_once("}}")?;
            texts.push(text.to_owned());
            variables.push(name.trim().to_owned());
            rest = after;
        }
        texts.push(rest.to_owned());
        Some(Self { texts, variables })
    }

    /// None if all variables of the line are empty.
    fn render(&self, values: &Values) -> Option<String> {
        let value = |name: &String| {
            values.iter().find(|(known, _)| known == name).map_or("", |(_, value)| *value)
        };
        if !self.variables.is_empty() && self.variables.iter().all(|name| value(name).is_empty()) {
            return None;
        }
        let mut line = self.texts[0].clone();
        for (name, text) in self.variables.iter().zip(&self.texts[1..]) {
            line.push_str(value(name));
            line.push_str(text);
        }
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Template> {
        Template::parse(text, Path::new("own.md"), &["title", "text", "persona"], &["text"])
    }

    #[test]
    fn variables_are_filled_in_and_lines_without_value_left_out() {
        let template =
            parse("You write.\nFor {{persona}}.\n---\nTitle: {{title}}\n\n{{text}} {\"a\": 1} {{ persona }}").unwrap();
        let values = [("title", "T"), ("text", "{{title}} is not looked at")];
        let expected = ["You write.", "Title: T\n\n{{title}} is not looked at {\"a\": 1} "]
            .map(|text| text.trim_end());
        assert_eq!(template.render(&values), expected);
    }

    #[test]
    fn mistakes_are_named_with_file_and_line() {
        for (text, expected) in [
            ("a\n{{titel}}\n---\n{{text}}", "`own.md` line 2: there is no variable `titel`"),
            ("a {{title\n---\n{{text}}", "line 1: `{{` without `}}`"),
            ("a {{text}}", "no line `---`"),
            ("{{text}}\n---\n{{title}}", "`{{text}}` does not occur below"),
        ] {
            let message = parse(text).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
