//! A tokenizer made from a vocabulary: vocab.txt, or vocab.json and merges.txt.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::PathBuf;
use std::sync::LazyLock;
use whetstone_fuzz::{file, model, panics_may_be_caught, rank_with};

/// Between the files.
const SEPARATOR: u8 = 0x1c;

static MODEL: LazyLock<PathBuf> = LazyLock::new(model);

fuzz_target!(init: panics_may_be_caught(), |bytes: &[u8]| {
    let Some((kind, rest)) = bytes.split_first() else { return };
    for name in ["tokenizer.json", "vocab.txt", "vocab.json", "merges.txt"] {
        let _ = std::fs::remove_file(MODEL.join(name));
    }
    let mut parts = rest.split(|byte| *byte == SEPARATOR);
    let mut part = || parts.next().unwrap_or_default();
    let first = if kind % 2 == 0 { "vocab.txt" } else { "vocab.json" };
    let vocabulary = part();
    for name in ["tokenizer_config.json", "added_tokens.json", "merges.txt"] {
        match (name, part()) {
            ("merges.txt", text) if first == "vocab.json" => drop(file(&MODEL, name, text)),
            (_, []) => drop(std::fs::remove_file(MODEL.join(name))),
            (_, text) => drop(file(&MODEL, name, text)),
        }
    }
    rank_with(&MODEL, first, vocabulary);
});
