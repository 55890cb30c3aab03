//! Base models whose classifier has several labels, as models of natural language inference do.

mod common;

use common::{data_folder, oracles, short_run, tensors};
use safetensors::{SafeTensors, tensor::TensorView};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use whetstone_model::{DeviceName, Engine};
use whetstone_records::Progress;
use whetstone_train::{TrainConfig, train};

/// A copy of tiny-roberta with three labels: rows of ones, twos and threes.
fn classifier(folder: &Path) -> PathBuf {
    for entry in std::fs::read_dir(oracles().join("tiny-roberta")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
    }
    let rows = |width: usize| -> Vec<u8> {
        (0..3 * width).flat_map(|i| ((i / width + 1) as f32).to_le_bytes()).collect()
    };
    let (weight, bias) = (rows(16), rows(1));
    let weights = folder.join("model.safetensors");
    let bytes = std::fs::read(&weights).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let views = file.iter().map(|(name, view)| {
        let (shape, data) = match name {
            "classifier.out_proj.weight" => (vec![3, 16], weight.as_slice()),
            "classifier.out_proj.bias" => (vec![3], bias.as_slice()),
            _ => (view.shape().to_vec(), view.data()),
        };
        (name, TensorView::new(view.dtype(), shape, data).unwrap())
    });
    let new = safetensors::serialize(views, None).unwrap();
    std::fs::write(&weights, new).unwrap();
    let path = folder.join("config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    config["id2label"] = json!({"0": "contradiction", "1": "entailment", "2": "neutral"});
    std::fs::write(&path, config.to_string()).unwrap();
    folder.into()
}

#[derive(Default)]
struct Said(Mutex<String>);

impl Progress for Said {
    fn warn(&self, text: &str) {
        self.0.lock().unwrap().push_str(text);
    }
}

#[test]
fn training_starts_from_the_label_that_is_named_and_else_makes_a_head_and_says_so() {
    let (data, folder) = (data_folder(false), tempfile::tempdir().unwrap());
    let model = classifier(folder.path());
    let go = |label: Option<&str>| {
        let out = tempfile::tempdir().unwrap();
        let head_label = label.map(str::to_owned);
        let config = TrainConfig { head_label, warm_start_steps: 2, epochs: 1, ..short_run() };
        let (engine, said) = (Engine::open(DeviceName::Cpu).unwrap(), Said::default());
        let manifest = train(data.path(), out.path(), &model, &config, &[engine], &said);
        let start = manifest.map(|_| tensors(&out.path().join("step-000000")));
        (start, said.0.into_inner().unwrap())
    };
    for (label, value) in [("entailment", 2.0), ("entailment - contradiction", 1.0), ("2", 3.0)] {
        let (start, said) = go(Some(label));
        let start = start.unwrap();
        assert_eq!(start["classifier.out_proj.weight"], [value; 16]);
        assert_eq!(start["classifier.out_proj.bias"], [value]);
        assert!(!said.contains("made anew"), "{said}");
    }
    let (start, said) = go(None);
    let weight = start.unwrap()["classifier.out_proj.weight"].clone();
    assert!(weight.len() == 16 && weight.iter().all(|value| value.abs() < 0.2), "{weight:?}");
    let expected = "head gives contradiction, entailment, neutral, so it is made anew";
    assert!(said.contains(expected), "{said}");
    let message = go(Some("relevant")).0.unwrap_err().to_string();
    assert!(message.contains("has no label `relevant`"), "{message}");
}
