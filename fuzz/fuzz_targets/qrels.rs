//! Judgements: what is read stays the same when it is written and read again, in either form.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::PathBuf;
use std::sync::LazyLock;
use whetstone_fuzz::{file, scratch, told};
use whetstone_records::Qrels;

static FOLDER: LazyLock<PathBuf> = LazyLock::new(scratch);

fuzz_target!(|bytes: &[u8]| {
    let path = file(&FOLDER, "a.qrels", bytes);
    let Some(qrels) = told(Qrels::read(&path)) else { return };
    qrels.write_trec(&path).expect("what was read can be written");
    assert_eq!(Qrels::read(&path).expect("our own file"), qrels);
    qrels.write_beir(&path).expect("what was read can be written");
    assert_eq!(Qrels::read(&path).expect("our own file"), qrels);
});
