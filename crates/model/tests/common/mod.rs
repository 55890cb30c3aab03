//! The tiny model, and what Hugging Face transformers says of it. The values and the scripts that
//! made them are in `tests/oracles` at the top of the repository.
#![allow(dead_code, reason = "each test binary uses a part")]

use serde::Deserialize;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use whetstone_model::Engine;

/// f32 against float64: six layers of sums over 384 values.
pub const LOGIT_TOLERANCE: f32 = 1e-5;

#[derive(Deserialize)]
pub struct Goldens {
    pub max_length: usize,
    pub pairs: Vec<GoldenPair>,
    #[serde(default)]
    pub embeddings: Vec<GoldenEmbedding>,
    pub loss: Option<GoldenLoss>,
    #[serde(default)]
    pub gradients: HashMap<String, GoldenGradient>,
}

#[derive(Deserialize)]
pub struct GoldenPair {
    pub query: String,
    pub passage: String,
    #[serde(default)]
    pub label: f32,
    pub input_ids: Vec<u32>,
    pub token_type_ids: Vec<u32>,
    pub logit: f32,
    pub logit_batched: f32,
}

#[derive(Deserialize)]
pub struct GoldenEmbedding {
    pub text: String,
    pub head: Vec<f32>,
}

#[derive(Deserialize)]
pub struct GoldenLoss {
    pub pos_weight: f32,
    pub value: f32,
}

#[derive(Deserialize)]
pub struct GoldenGradient {
    pub l2: Option<f32>,
    pub head: Option<Vec<f32>>,
    pub full: Option<Vec<f32>>,
}

/// The CPU, or what `just test-gpu` asks for.
pub fn engine() -> Engine {
    let name = std::env::var("WHETSTONE_TEST_DEVICE").unwrap_or_else(|_| "cpu".into());
    Engine::open(name.parse().unwrap()).unwrap()
}

pub fn oracles() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracles")
}

pub fn goldens(path: &Path) -> Goldens {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

pub fn tiny() -> (PathBuf, Goldens) {
    (oracles().join("tiny-model"), goldens(&oracles().join("goldens-tiny.json")))
}

pub fn copy_of(model: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(oracles().join(model)).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    folder
}
