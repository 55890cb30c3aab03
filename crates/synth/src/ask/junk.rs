//! Passages that nobody asks about: navigation, licence text, tables of contents.

use serde::Serialize;
use whetstone_records::{Passage, PassageId};

/// What a passage is in place of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Junk {
    Navigation,
    Licence,
    Contents,
}

impl Junk {
    pub fn name(self) -> &'static str {
        match self {
            Junk::Navigation => "navigation",
            Junk::Licence => "licence",
            Junk::Contents => "contents",
        }
    }
}

/// A line of `skipped.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Skipped {
    #[serde(rename = "_id")]
    pub id: PassageId,
    pub reason: Junk,
    /// How it begins.
    pub text: String,
}

/// Fewest lines, or links, of what is taken for a list.
const MIN_LINES: usize = 4;
/// Phrases of licences; two of them make one.
const LICENCE: &[&str] = &[
    "permission is hereby granted",
    "without warranty of any kind",
    "without warranties or conditions",
    "in no event shall",
    "redistribution and use in source and binary forms",
    "all rights reserved",
    "licensed under the",
    "you may not use this file except in compliance",
    "gnu general public license",
    "shall be included in all copies",
    "the software is provided \"as is\"",
    "merchantability",
    "you may obtain a copy of the license",
    "creative commons",
];
/// Entries of menus.
const MENU: &[&str] = &[
    "home",
    "about",
    "about us",
    "contact",
    "contact us",
    "login",
    "log in",
    "sign in",
    "sign up",
    "register",
    "search",
    "menu",
    "next",
    "previous",
    "back",
    "back to top",
    "skip to content",
    "skip to main content",
    "privacy",
    "privacy policy",
    "terms",
    "terms of use",
    "terms of service",
    "cookies",
    "imprint",
    "sitemap",
    "faq",
    "help",
    "blog",
    "news",
    "careers",
    "share",
    "print",
    "download",
    "newsletter",
    "subscribe",
    "site map",
    "accessibility",
];

/// Says what a passage is where it is no text that answers anything.
pub fn junk(passage: &Passage) -> Option<Junk> {
    let text = &passage.text;
    if is_licence(text) {
        return Some(Junk::Licence);
    }
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.len() >= MIN_LINES
        && lines.iter().filter(|line| is_entry(line)).count() * 4 >= lines.len() * 3
    {
        return Some(Junk::Contents);
    }
    if is_navigation(text, &lines) { Some(Junk::Navigation) } else { None }
}

fn is_licence(text: &str) -> bool {
    let lower = text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    LICENCE.iter().filter(|phrase| lower.contains(**phrase)).count() >= 2
}

/// An entry of a table of contents: `3.2 Pumps ..... 14`, or words with dots and a page.
fn is_entry(line: &str) -> bool {
    let page = line.trim_end_matches(|c: char| c.is_ascii_digit());
    let has_page = page.len() < line.len() && line.len() - page.len() <= 4;
    let leader = page.trim_end();
    has_page && (leader.ends_with("..") || leader.ends_with('…') || leader.ends_with(". ."))
}

/// Menus: separated or listed entries without a sentence, several of which every site has.
fn is_navigation(text: &str, lines: &[&str]) -> bool {
    let is_separator = |c: char| matches!(c, '|' | '»' | '›' | '•' | '·' | '\n' | '>');
    let entries: Vec<String> = text
        .split(is_separator)
        .map(|entry| entry.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase())
        .filter(|entry| !entry.is_empty())
        .collect();
    let short = entries.iter().filter(|entry| entry.split_whitespace().count() <= 4).count();
    let known = entries.iter().filter(|entry| MENU.contains(&entry.as_str())).count();
    let sentences = lines
        .iter()
        .filter(|line| line.ends_with(['.', '!', '?', ':']) && line.contains(' '))
        .count();
    entries.len() >= MIN_LINES
        && short * 10 >= entries.len() * 8
        && known >= 3
        && known * 4 >= entries.len()
        && sentences == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<Junk> {
        junk(&Passage {
            id: "p".into(),
            title: "T".into(),
            text: text.into(),
            metadata: Default::default(),
        })
    }

    #[test]
    fn what_answers_nothing_is_recognised() {
        assert_eq!(of("Home | About us | Products | Contact | Login"), Some(Junk::Navigation));
        assert_eq!(
            of("Home\nProducts\nPumps\nContact us\nPrivacy policy\nSearch"),
            Some(Junk::Navigation)
        );
        let contents = "1 Safety ........ 3\n2 Installation .... 7\n2.1 Pumps ... 9\n3 Errors ..... 12\nIndex ... 40";
        assert_eq!(of(contents), Some(Junk::Contents));
        let licence = "Permission is hereby granted, free of charge, to any person … The Software is provided \"as is\", \
                       without warranty of any kind, express or implied.";
        assert_eq!(of(licence), Some(Junk::Licence));
    }

    #[test]
    fn lists_tables_and_talk_of_licences_are_text() {
        for text in [
            "| pump | pressure |\n| VX-40 | 8 bar |\n| VX-41 | 9 bar |\n| VX-42 | 9 bar |",
            "- Open the valve\n- Wait for 5 minutes\n- Close the valve\n- Call us on 4711",
            "The library is licensed under the Apache License, so you may use it at work.",
            "Press Home, then Search, and confirm with Next.",
            "Year 2019\nYear 2020\nYear 2021\nYear 2022",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[test]
    fn the_sample_corpus_and_its_like_hold_next_to_none() {
        let mut folders = vec![
            std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR"))
                .join("../../datasets/handbook/documents"),
        ];
        let mut paragraphs = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let text = std::fs::read_to_string(path).unwrap();
                for paragraph in text.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty())
                {
                    paragraphs += 1;
                    assert_eq!(of(paragraph), None, "{paragraph}");
                }
            }
        }
        assert!(paragraphs > 500, "{paragraphs}");
    }
}
