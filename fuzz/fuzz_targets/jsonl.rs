//! Lines of JSON: what is read stays the same when it is written and read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde::{Serialize, de::DeserializeOwned};
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use whetstone_fuzz::{file, scratch, told};
use whetstone_records::{Negative, Pair, Passage, Query, read_jsonl, write_jsonl};

static FOLDER: LazyLock<PathBuf> = LazyLock::new(scratch);

fn twice<T: Serialize + DeserializeOwned + PartialEq + Debug>(path: &Path) {
    let Some(records) = told(read_jsonl::<T>(path)) else { return };
    let again = FOLDER.join("again.jsonl");
    write_jsonl(&again, &records).expect("TMPDIR");
    assert_eq!(read_jsonl::<T>(&again).expect("our own file"), records);
}

fuzz_target!(|bytes: &[u8]| {
    let path = file(&FOLDER, "a.jsonl", bytes);
    twice::<Query>(&path);
    twice::<Passage>(&path);
    twice::<Pair>(&path);
    twice::<Negative>(&path);
});
