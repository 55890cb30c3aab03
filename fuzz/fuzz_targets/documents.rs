//! Documents of all kinds, cut into passages.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::LazyLock;
use whetstone_fuzz::{file, model, scratch, told};
use whetstone_records::{Passage, Silent, read_jsonl};
use whetstone_synth::{ChunkConfig, SynthConfig, chunk};

/// Between documents, each of which begins with a letter for its kind.
const SEPARATOR: u8 = 0x1c;
const MOST: usize = 8;

static FOLDERS: LazyLock<[PathBuf; 3]> = LazyLock::new(|| {
    let folders = [scratch().join("documents"), scratch().join("out"), model()];
    folders[..2].iter().for_each(|folder| std::fs::create_dir_all(folder).expect("TMPDIR"));
    folders
});

fuzz_target!(|bytes: &[u8]| {
    let [documents, out, model] = &*FOLDERS;
    for entry in std::fs::read_dir(documents).expect("TMPDIR").flatten() {
        std::fs::remove_file(entry.path()).expect("TMPDIR");
    }
    for (number, document) in bytes.split(|byte| *byte == SEPARATOR).take(MOST).enumerate() {
        let Some((kind, text)) = document.split_first() else { continue };
        let suffix = ["md", "html", "txt"][usize::from(*kind) % 3];
        file(documents, &format!("{number}.{suffix}"), text);
    }
    let cut = ChunkConfig {
        passage_tokens: 24,
        overlap_tokens: 6,
        min_tokens: 3,
        max_seq_tokens: 64,
        ..ChunkConfig::default()
    };
    let config = SynthConfig { chunk: cut, ..SynthConfig::default() };
    if told(chunk(documents, out, model, &config, &Silent)).is_none() {
        return;
    }
    let passages: Vec<Passage> = read_jsonl(&out.join("corpus.jsonl")).expect("our own file");
    let mut ids = HashSet::new();
    for passage in &passages {
        assert!(ids.insert(passage.id.clone()), "{}", passage.id);
        assert!(!passage.text.trim().is_empty(), "{}", passage.id);
        assert!(!passage.id.as_str().contains(char::is_whitespace), "{:?}", passage.id);
    }
});
