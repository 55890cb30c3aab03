//! A BEIR folder that is gathered: passages, queries and judgements.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::LazyLock;
use whetstone_fuzz::{file, scratch, told};
use whetstone_records::{Passage, Qrels, Query, Silent, read_jsonl};
use whetstone_synth::{SynthConfig, gather};

/// Between the files.
const SEPARATOR: u8 = 0x1c;

static FOLDERS: LazyLock<[PathBuf; 2]> = LazyLock::new(|| {
    let folders = [scratch().join("beir"), scratch().join("out")];
    std::fs::create_dir_all(folders[0].join("qrels")).expect("TMPDIR");
    folders
});

fuzz_target!(|bytes: &[u8]| {
    let [beir, out] = &*FOLDERS;
    let mut parts = bytes.split(|byte| *byte == SEPARATOR);
    for name in ["corpus.jsonl", "queries.jsonl", "qrels/train.tsv", "qrels/test.tsv"] {
        file(beir, name, parts.next().unwrap_or_default());
    }
    let mut config = SynthConfig::default();
    config.gather.folders = vec![beir.clone()];
    if told(gather(out, &config, &Silent)).is_none() {
        return;
    }
    let passages: Vec<Passage> = read_jsonl(&out.join("corpus.jsonl")).expect("our own file");
    let queries: Vec<Query> = read_jsonl(&out.join("queries.jsonl")).expect("our own file");
    let qrels = Qrels::read(&out.join("qrels/all.tsv")).expect("our own file");
    let ids: HashSet<&str> = passages.iter().map(|passage| passage.id.as_str()).collect();
    assert_eq!(ids.len(), passages.len());
    for query in &queries {
        let judged = qrels.get(query.id.as_str()).expect("a query without an answer was dropped");
        assert!(judged.keys().all(|id| ids.contains(id.as_str())), "{}", query.id);
    }
});
