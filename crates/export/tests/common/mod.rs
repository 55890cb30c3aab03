//! What the tests of exporting and of shrinking share.

use std::path::{Path, PathBuf};
use whetstone_model::{CrossEncoder, DeviceName, Engine};
use whetstone_records::Silent;

pub const PAIRS: [(&str, &str); 4] = [
    ("what is the limit", "the limit is 60 degrees at the meter"),
    ("what is the limit", "Snow fell on the museum, naïve café."),
    // The third character has no token of its own, so the whole word is unknown.
    ("valveŧ pumps", "[MASK] and valveŧs"),
    ("", "an empty query is still a pair"),
];

pub const FAMILIES: [&str; 8] = [
    "tiny-model",
    "tiny-xlm-roberta",
    "tiny-roberta",
    "tiny-electra",
    "tiny-modernbert",
    "tiny-distilbert",
    "tiny-deberta-v2",
    "tiny-deberta-v2-unshared",
];

pub fn oracle(model: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracles").join(model)
}

pub fn logits(folder: &Path, max_seq_tokens: Option<usize>) -> Vec<f32> {
    let engine = Engine::open(DeviceName::Cpu).unwrap();
    CrossEncoder::load(folder, max_seq_tokens, &engine).unwrap().score(&PAIRS, &Silent).unwrap()
}
