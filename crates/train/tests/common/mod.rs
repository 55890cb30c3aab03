//! A tiny run, which the tests of training share.
#![allow(dead_code, reason = "each test binary uses a part")]

use safetensors::SafeTensors;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use whetstone_model::Engine;
use whetstone_records::{Manifest, Progress};
use whetstone_train::{TrainConfig, train};

/// The device that `just test-gpu` asks for.
pub fn device_under_test() -> Option<String> {
    std::env::var("WHETSTONE_TEST_DEVICE").ok()
}

/// The CPU, or what `just test-gpu` asks for.
pub fn engine() -> Engine {
    let name = device_under_test().unwrap_or_else(|| "cpu".into());
    Engine::open(name.parse().unwrap()).unwrap()
}

/// Products on NVIDIA GPUs round their factors to TF32, which keeps 10 bits of each.
const TF32_TOLERANCE: f64 = 2e-2;

/// The tolerance of the device under test, where f32 products have `tolerance`.
pub fn here(tolerance: f64) -> f64 {
    let is_cuda = device_under_test().is_some_and(|name| name == "cuda");
    if is_cuda { tolerance.max(TF32_TOLERANCE) } else { tolerance }
}

pub fn oracles() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracles")
}

pub fn goldens() -> Value {
    serde_json::from_slice(&std::fs::read(oracles().join("goldens-tiny.json")).unwrap()).unwrap()
}

/// The pairs of the goldens as a data folder: queries of two pairs each, a dev set of the same
/// pairs.
pub fn data_folder(with_dev: bool) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut lines = String::new();
    for (i, pair) in goldens()["pairs"].as_array().unwrap().iter().enumerate() {
        let line = serde_json::json!({
            "query": pair["query"], "passage": pair["passage"], "label": pair["label"],
            "query_id": format!("q{}", i / 2), "passage_id": format!("p{i}"),
        });
        lines += &format!("{line}\n");
    }
    std::fs::write(folder.path().join("train.jsonl"), &lines).unwrap();
    if with_dev {
        std::fs::write(folder.path().join("dev.jsonl"), &lines).unwrap();
    }
    folder
}

pub fn run(
    data: &Path,
    out: &Path,
    config: &TrainConfig,
    progress: &dyn Progress,
) -> Result<Manifest, whetstone_train::Error> {
    run_from("tiny-model", (data, out), config, progress)
}

/// The same from another model of the oracles.
pub fn run_from(
    model: &str,
    (data, out): (&Path, &Path),
    config: &TrainConfig,
    progress: &dyn Progress,
) -> Result<Manifest, whetstone_train::Error> {
    train(data, out, &oracles().join(model), config, &[engine()], progress)
}

pub fn short_run() -> TrainConfig {
    TrainConfig {
        epochs: 4,
        batch_pairs: 4,
        max_seq_tokens: Some(64),
        learning_rate: 1e-3,
        dropout: Some(0.1),
        eval_every_steps: 3,
        patience: 0,
        ..Default::default()
    }
}

pub fn losses(out: &Path) -> Vec<f64> {
    let log = std::fs::read_to_string(out.join("log.jsonl")).unwrap();
    log.lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).unwrap()["loss"].as_f64())
        .collect()
}

/// The tensors of a model folder by name.
pub fn tensors(folder: &Path) -> BTreeMap<String, Vec<f32>> {
    let bytes = std::fs::read(folder.join("model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let values = |data: &[u8]| {
        data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
    };
    file.iter().map(|(name, view)| (name.to_owned(), values(view.data()))).collect()
}
