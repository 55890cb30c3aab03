//! The config of a training.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::PathBuf;
use std::sync::LazyLock;
use whetstone_fuzz::{file, scratch, told};
use whetstone_train::TrainConfig;

static FOLDER: LazyLock<PathBuf> = LazyLock::new(scratch);

fuzz_target!(|bytes: &[u8]| {
    if let Some(config) = told(TrainConfig::load(&file(&FOLDER, "a.toml", bytes))) {
        config.check().expect("a config that was loaded was checked");
    }
});
