//! The config of a data set.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::PathBuf;
use std::sync::LazyLock;
use whetstone_fuzz::{file, scratch, told};
use whetstone_synth::SynthConfig;

static FOLDER: LazyLock<PathBuf> = LazyLock::new(scratch);

fuzz_target!(|bytes: &[u8]| {
    if let Some(config) = told(SynthConfig::load(&file(&FOLDER, "a.toml", bytes))) {
        config.check().expect("a config that was loaded was checked");
    }
});
