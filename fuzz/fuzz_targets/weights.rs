//! The weights of a model.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::PathBuf;
use std::sync::LazyLock;
use whetstone_fuzz::{model, panics_may_be_caught, rank_with};

static MODEL: LazyLock<PathBuf> = LazyLock::new(model);

fuzz_target!(init: panics_may_be_caught(), |bytes: &[u8]| {
    rank_with(&MODEL, "model.safetensors", bytes);
});
