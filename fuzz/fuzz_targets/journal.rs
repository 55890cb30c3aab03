//! A journal: opened, and every answer that it names looked up.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::PathBuf;
use std::sync::LazyLock;
use whetstone_fuzz::{file, scratch, told};
use whetstone_llm::{Llm, LlmConfig};

static FOLDER: LazyLock<PathBuf> = LazyLock::new(scratch);

fuzz_target!(|bytes: &[u8]| {
    let journal = file(&FOLDER, "a.journal.jsonl", bytes);
    let config = LlmConfig::default();
    let Some(llm) = told(Llm::open(&config, &journal)) else { return };
    for line in bytes.split(|byte| *byte == b'\n') {
        let entry = serde_json::from_slice::<serde_json::Value>(line).unwrap_or_default();
        if let Some(key) = entry["key"].as_str() {
            told(llm.entry(key));
        }
    }
    drop(llm);
    // Whatever was torn is gone now.
    let kept = std::fs::read(&journal).expect("TMPDIR");
    assert!(bytes.starts_with(&kept) && (kept.is_empty() || kept.ends_with(b"\n")));
});
