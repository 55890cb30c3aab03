//! The tiny models, and what Hugging Face transformers says of them. The values and the scripts that
//! made them are in `tests/oracles` at the top of the repository.
#![allow(dead_code, reason = "each test binary uses a part")]

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
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

/// Products on NVIDIA GPUs round their factors to TF32, which keeps 10 bits of each.
const TF32_TOLERANCE: f32 = 2e-2;

/// The tolerance of the device under test, where f32 products have `tolerance`.
pub fn here(tolerance: f32) -> f32 {
    let is_cuda = std::env::var("WHETSTONE_TEST_DEVICE").is_ok_and(|name| name == "cuda");
    if is_cuda { tolerance.max(TF32_TOLERANCE) } else { tolerance }
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

/// A tiny BERT.
pub fn tiny() -> (PathBuf, Goldens) {
    let [bert, ..] = FAMILIES;
    (bert.folder(), bert.goldens())
}

/// A tiny model of a family, by the names of its files among the oracles.
#[derive(Clone, Copy, Debug)]
pub struct Tiny {
    pub model: &'static str,
    /// The model without its head, or with one that a bi-encoder ignores.
    pub encoder: &'static str,
    pub goldens: &'static str,
    /// Of the tensors of the encoder.
    pub prefix: &'static str,
}

/// Every test that is true of all families runs over these.
pub const FAMILIES: [Tiny; 8] = [
    Tiny {
        model: "tiny-model",
        encoder: "tiny-encoder",
        goldens: "goldens-tiny.json",
        prefix: "bert.",
    },
    Tiny {
        model: "tiny-xlm-roberta",
        encoder: "tiny-xlm-roberta",
        goldens: "goldens-xlm-roberta.json",
        prefix: "roberta.",
    },
    Tiny {
        model: "tiny-roberta",
        encoder: "tiny-roberta",
        goldens: "goldens-roberta.json",
        prefix: "roberta.",
    },
    Tiny {
        model: "tiny-electra",
        encoder: "tiny-electra",
        goldens: "goldens-electra.json",
        prefix: "electra.",
    },
    Tiny {
        model: "tiny-modernbert",
        encoder: "tiny-modernbert",
        goldens: "goldens-modernbert.json",
        prefix: "model.",
    },
    Tiny {
        model: "tiny-distilbert",
        encoder: "tiny-distilbert",
        goldens: "goldens-distilbert.json",
        prefix: "distilbert.",
    },
    Tiny {
        model: "tiny-deberta-v2",
        encoder: "tiny-deberta-v2",
        goldens: "goldens-deberta-v2.json",
        prefix: "deberta.",
    },
    Tiny {
        model: "tiny-deberta-v2-unshared",
        encoder: "tiny-deberta-v2-unshared",
        goldens: "goldens-deberta-v2-unshared.json",
        prefix: "deberta.",
    },
];

impl Tiny {
    pub fn folder(&self) -> PathBuf {
        oracles().join(self.model)
    }

    pub fn goldens(&self) -> Goldens {
        goldens(&oracles().join(self.goldens))
    }

    /// The row of the padding token, whose vector PyTorch does not train.
    pub fn padding(&self) -> usize {
        let config = std::fs::read(self.folder().join("config.json")).unwrap();
        let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
        config["pad_token_id"].as_u64().unwrap() as usize
    }
}

pub fn copy_of(model: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(oracles().join(model)).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    folder
}

/// Tensors of a file by name: type, shape, bytes.
pub type File = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

pub fn change_weights(model: &Path, change: impl FnOnce(&mut File)) {
    let path = model.join("model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    let mut file: File = SafeTensors::deserialize(&bytes)
        .unwrap()
        .iter()
        .map(|(name, view)| {
            (name.to_owned(), (view.dtype(), view.shape().to_vec(), view.data().to_vec()))
        })
        .collect();
    change(&mut file);
    let views = file.iter().map(|(name, (dtype, shape, data))| {
        (name, TensorView::new(*dtype, shape.clone(), data).unwrap())
    });
    std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
}

pub fn change_json(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    change(&mut value);
    std::fs::write(path, value.to_string()).unwrap();
}
