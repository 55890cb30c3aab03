//! The weights of a model.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::PathBuf;
use std::sync::LazyLock;
use whetstone_fuzz::{model, rank_with};

static MODEL: LazyLock<PathBuf> = LazyLock::new(model);

fuzz_target!(|bytes: &[u8]| rank_with(&MODEL, "model.safetensors", bytes));
