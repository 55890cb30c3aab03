//! Runs: what is read stays the same when it is written and read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::PathBuf;
use std::sync::LazyLock;
use whetstone_fuzz::{file, scratch, told};
use whetstone_records::Run;

static FOLDER: LazyLock<PathBuf> = LazyLock::new(scratch);

fuzz_target!(|bytes: &[u8]| {
    let path = file(&FOLDER, "a.run", bytes);
    let Some(run) = told(Run::read(&path)) else { return };
    told(Run::read_name(&path)).expect("a run that was read has a first line");
    run.write(&path, "name").expect("what was read can be written");
    assert_eq!(Run::read(&path).expect("our own file"), run);
});
