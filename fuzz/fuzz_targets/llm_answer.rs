//! What an LLM wrote: questions, grades and texts out of it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use whetstone_llm::parse::{Said, field, grade, questions};

fuzz_target!(|bytes: &[u8]| {
    let Some((first, content)) = bytes.split_first() else { return };
    let content = String::from_utf8_lossy(content);
    let said = Said::of(&content, first % 2 == 1);
    for question in questions(&said).unwrap_or_default() {
        assert!(!question.trim().is_empty(), "{content:?}");
    }
    for name in ["grade", "question"] {
        assert!(grade(&said, name, 3).is_none_or(|grade| grade <= 3), "{content:?}");
    }
    assert!(field(&said, "answer").is_none_or(|text| text.trim() == text), "{content:?}");
});
