//! Passages that nobody should ask about: navigation, licence text, tables of contents, data.

use serde::Serialize;
use whetstone_records::{Passage, PassageId};

/// Why a passage is not asked about: what it is instead of text, or where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    Navigation,
    Licence,
    Contents,
    /// Data in letters and digits, such as a key or a picture.
    Encoded,
    /// Its text occurs in a document for training and in one for measuring.
    SeveralSplits,
}

impl Reason {
    pub fn name(self) -> &'static str {
        match self {
            Reason::Navigation => "navigation",
            Reason::Licence => "licence",
            Reason::Contents => "contents",
            Reason::Encoded => "encoded",
            Reason::SeveralSplits => "several-splits",
        }
    }
}

/// A line of `skipped.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Skipped {
    #[serde(rename = "_id")]
    pub id: PassageId,
    pub reason: Reason,
    /// Its first words.
    pub text: String,
}

/// Fewest lines, or links, that count as a list.
const MIN_LINES: usize = 4;
/// Shortest word that counts as data.
const MIN_DATA_BYTES: usize = 40;
/// Phrases of licences. A text with two of them is a licence.
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

/// Says what a passage is if it is not text that answers anything.
pub fn junk(passage: &Passage) -> Option<Reason> {
    let text = &passage.text;
    if is_licence(text) {
        return Some(Reason::Licence);
    }
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.len() >= MIN_LINES
        && lines.iter().filter(|line| is_entry(line)).count() * 4 >= lines.len() * 3
    {
        return Some(Reason::Contents);
    }
    if is_encoded(text) {
        return Some(Reason::Encoded);
    }
    if is_navigation(text, &lines) { Some(Reason::Navigation) } else { None }
}

/// Whether most of a text is base64, hex or the like: long runs with digits and both cases.
fn is_encoded(text: &str) -> bool {
    let is_data = |word: &&str| {
        let body = word.trim_end_matches('=');
        let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '_' | '-');
        let mixed = |kind: fn(&char) -> bool| body.chars().any(|c| kind(&c));
        let base64 = mixed(char::is_ascii_digit)
            && mixed(char::is_ascii_uppercase)
            && mixed(char::is_ascii_lowercase);
        let hex = body.chars().all(|c| c.is_ascii_hexdigit());
        body.len() >= MIN_DATA_BYTES && body.chars().all(letter) && (base64 || hex)
    };
    let data: usize = text.split_whitespace().filter(is_data).map(str::len).sum();
    data * 2 > text.len()
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

/// Menus: several separated or listed entries that every site has, without a sentence.
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

    fn of(text: &str) -> Option<Reason> {
        junk(&Passage {
            id: "p".into(),
            title: "T".into(),
            text: text.into(),
            metadata: Default::default(),
        })
    }

    #[test]
    fn what_answers_nothing_is_recognised() {
        assert_eq!(of("Home | About us | Products | Contact | Login"), Some(Reason::Navigation));
        assert_eq!(
            of("Home\nProducts\nPumps\nContact us\nPrivacy policy\nSearch"),
            Some(Reason::Navigation)
        );
        let contents = "1 Safety ........ 3\n2 Installation .... 7\n2.1 Pumps ... 9\n3 Errors ..... 12\nIndex ... 40";
        assert_eq!(of(contents), Some(Reason::Contents));
        let licence = "Permission is hereby granted, free of charge, to any person … The Software is provided \"as is\", \
                       without warranty of any kind, express or implied.";
        assert_eq!(of(licence), Some(Reason::Licence));
        let key = format!(
            "-----BEGIN KEY-----\n{}=\n-----END KEY-----",
            "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A\nc3Vw/2+x".replace('\n', "").repeat(3)
        );
        assert_eq!(of(&key), Some(Reason::Encoded));
    }

    #[test]
    fn lists_tables_and_talk_of_licences_are_text() {
        for text in [
            "| pump | pressure |\n| VX-40 | 8 bar |\n| VX-41 | 9 bar |\n| VX-42 | 9 bar |",
            "- Open the valve\n- Wait for 5 minutes\n- Close the valve\n- Call us on 4711",
            "The library is licensed under the Apache License, so you may use it at work.",
            "Press Home, then Search, and confirm with Next.",
            "The checksum is d41d8cd98f00b204e9800998ecf8427ed41d8cd98f00b204 and must be compared by hand with the one above.",
            "See https://example.com/a/very/long/path/that/Goes/on/and/On/2024 for more on it.",
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
