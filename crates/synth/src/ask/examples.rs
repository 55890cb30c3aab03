//! Passages with good queries, which the LLM sees before it is asked.

use super::styles::{self, EXAMPLE_TEXT, EXAMPLE_TITLE};
use crate::config::{AskConfig, Style};
use crate::error::{Error, Result};
use serde::Deserialize;
use std::path::Path;
use whetstone_records::JsonlReader;

/// A passage with good queries: one turn of the conversation.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    #[serde(default)]
    pub title: String,
    pub text: String,
    pub queries: Vec<String>,
    /// Absent: it fits every style.
    #[serde(default)]
    pub style: Option<Style>,
}

/// The examples of a config: the user's, or the compiled-in ones.
pub struct Examples(Vec<Example>);

impl Examples {
    pub fn read(config: &AskConfig) -> Result<Self> {
        config.examples.as_deref().map_or_else(|| Ok(Self::compiled_in()), Self::of_file)
    }

    fn compiled_in() -> Self {
        let example = |style| Example {
            title: EXAMPLE_TITLE.into(),
            text: EXAMPLE_TEXT.into(),
            queries: styles::words(style).examples.map(str::to_owned).into(),
            style: Some(style),
        };
        Self(Style::ALL.map(example).into())
    }

    fn of_file(path: &Path) -> Result<Self> {
        let mut examples = Vec::new();
        let mut lines = JsonlReader::<Example>::open(path)?;
        while let Some(example) = lines.next().transpose()? {
            if example.text.trim().is_empty()
                || example.queries.iter().all(|query| query.trim().is_empty())
            {
                return Err(Error::BadExample { path: path.into(), line: lines.line() });
            }
            examples.push(example);
        }
        if examples.is_empty() {
            return Err(whetstone_records::Error::Empty { path: path.into() }.into());
        }
        Ok(Self(examples))
    }

    /// The first `most` of a style. If the user gave none of that style: those without a style,
    /// then all.
    pub fn of(&self, style: Style, most: usize) -> Vec<&Example> {
        let fitting =
            |wanted: Option<Style>| self.0.iter().filter(move |example| example.style == wanted);
        let own: Vec<&Example> = fitting(Some(style)).chain(fitting(None)).take(most).collect();
        if own.is_empty() { self.0.iter().take(most).collect() } else { own }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &str) -> Result<Examples> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("good.jsonl");
        std::fs::write(&path, lines).unwrap();
        Examples::read(&AskConfig { examples: Some(path), ..AskConfig::default() })
    }

    #[test]
    fn the_users_own_examples_come_by_style() {
        let lines = r#"{"text": "a", "queries": ["any"]}
            {"text": "b", "queries": ["key"], "style": "keyword"}"#;
        let examples = read(lines).unwrap();
        let queries = |style, most| -> Vec<String> {
            examples.of(style, most).iter().map(|example| example.queries[0].clone()).collect()
        };
        assert_eq!(queries(Style::Keyword, 3), ["key", "any"]);
        assert_eq!(queries(Style::HowTo, 3), ["any"]);
        assert_eq!(queries(Style::Keyword, 1), ["key"]);
        let error = read("\n{\"text\": \"a\", \"queries\": []}").err().unwrap();
        assert!(error.to_string().contains("good.jsonl` line 2"), "{error}");
    }

    #[test]
    fn every_style_has_an_example_of_its_own() {
        let examples = Examples::read(&AskConfig::default()).unwrap();
        for style in Style::ALL {
            let own = examples.of(style, 3);
            assert_eq!((own.len(), own[0].style), (1, Some(style)));
        }
    }
}
