//! The network against Hugging Face transformers: tokens, logits, embeddings, and the gradient of
//! every parameter. The values and the scripts that made them are in `tests/oracles` at the top of
//! the repository.

use burn::tensor::{Device, Gradients, Tensor};
use serde::Deserialize;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use whetstone_model::{
    BiEncoder, CrossEncoder, CrossEncoderNetwork, PairTokenizer, Slot, StepDropout, open_device,
};
use whetstone_records::Silent;

/// f32 against float64: six layers of sums over 384 values.
const LOGIT_TOLERANCE: f32 = 1e-5;
/// Relative to the largest entry of a parameter's gradient.
const GRADIENT_TOLERANCE: f32 = 1e-4;

#[derive(Deserialize)]
struct Goldens {
    max_length: usize,
    pairs: Vec<GoldenPair>,
    #[serde(default)]
    embeddings: Vec<GoldenEmbedding>,
    loss: Option<GoldenLoss>,
    #[serde(default)]
    gradients: HashMap<String, GoldenGradient>,
}

#[derive(Deserialize)]
struct GoldenPair {
    query: String,
    passage: String,
    #[serde(default)]
    label: f32,
    input_ids: Vec<u32>,
    token_type_ids: Vec<u32>,
    logit: f32,
    logit_batched: f32,
}

#[derive(Deserialize)]
struct GoldenEmbedding {
    text: String,
    head: Vec<f32>,
}

#[derive(Deserialize)]
struct GoldenLoss {
    pos_weight: f32,
    value: f32,
}

#[derive(Deserialize)]
struct GoldenGradient {
    l2: Option<f32>,
    head: Option<Vec<f32>>,
    full: Option<Vec<f32>>,
}

/// The CPU, or what `just test-gpu` asks for.
fn device() -> Device {
    let name = std::env::var("WHETSTONE_TEST_DEVICE").unwrap_or_else(|_| "cpu".into());
    open_device(name.parse().unwrap()).unwrap()
}

fn oracles() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracles")
}

fn goldens(path: &Path) -> Goldens {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn tiny() -> (PathBuf, Goldens) {
    (oracles().join("tiny-model"), goldens(&oracles().join("goldens-tiny.json")))
}

fn copy_of(model: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(oracles().join(model)).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    folder
}

fn check_tokens_and_logits(model_dir: &Path, goldens: &Goldens) {
    let tokenizer = PairTokenizer::open(model_dir, goldens.max_length).unwrap();
    let model = CrossEncoder::load(model_dir, Some(goldens.max_length), &device()).unwrap();
    for pair in &goldens.pairs {
        let tokens = tokenizer.tokenize(&[&pair.query, &pair.passage]).unwrap();
        let batch = tokenizer.batch([(&tokens[0], &tokens[1])]);
        assert_eq!(batch.ids, pair.input_ids, "{}", pair.query);
        assert_eq!(batch.types, pair.token_type_ids, "{}", pair.query);
        let alone = model.score(&[(&pair.query, &pair.passage)], &Silent).unwrap()[0];
        assert!((alone - pair.logit).abs() < LOGIT_TOLERANCE, "{alone} {}", pair.logit);
    }
    let pairs: Vec<(&str, &str)> =
        goldens.pairs.iter().map(|p| (p.query.as_str(), p.passage.as_str())).collect();
    for (score, pair) in model.score(&pairs, &Silent).unwrap().iter().zip(&goldens.pairs) {
        assert!(
            (score - pair.logit_batched).abs() < LOGIT_TOLERANCE,
            "{score} {}",
            pair.logit_batched
        );
    }
}

#[test]
fn tokens_and_logits_are_those_of_transformers() {
    let (model_dir, goldens) = tiny();
    check_tokens_and_logits(&model_dir, &goldens);
}

/// `just golden`: the same on a real MiniLM, whose weights are not in the repository.
#[test]
#[ignore = "needs WHETSTONE_GOLDEN_DIR with a model folder and goldens.json, see tests/oracles/README.md"]
fn tokens_and_logits_of_the_real_model_are_those_of_transformers() {
    let folder =
        PathBuf::from(std::env::var("WHETSTONE_GOLDEN_DIR").expect("WHETSTONE_GOLDEN_DIR is set"));
    check_tokens_and_logits(&folder.join("model"), &goldens(&folder.join("goldens.json")));
}

#[test]
fn embeddings_are_those_of_transformers() {
    let (_, goldens) = tiny();
    let folder = copy_of("tiny-encoder");
    let limit = format!("{{\"max_seq_length\": {}}}", goldens.max_length);
    std::fs::write(folder.path().join("sentence_bert_config.json"), limit).unwrap();
    let model = BiEncoder::load(folder.path(), &device()).unwrap();
    let texts: Vec<&str> = goldens.embeddings.iter().map(|e| e.text.as_str()).collect();
    let vectors = model.encode(&texts, &Silent).unwrap();
    for (vector, golden) in vectors.chunks_exact(model.hidden()).zip(&goldens.embeddings) {
        for (value, expected) in vector.iter().zip(&golden.head) {
            assert!(
                (value - expected).abs() < LOGIT_TOLERANCE,
                "{} {value} {expected}",
                golden.text
            );
        }
    }
}

/// BCE on logits with a positive weight, as PyTorch defines it.
fn bce(logits: Tensor<1>, labels: &[f32], pos_weight: f32, device: &Device) -> Tensor<1> {
    let labels = Tensor::<1>::from_floats(labels, device);
    let softplus = |x: Tensor<1>| x.clone().clamp_min(0.0) + (x.abs().neg().exp() + 1.0).log();
    let positive = softplus(logits.clone().neg()) * labels.clone() * pos_weight;
    (positive + softplus(logits) * (labels.neg() + 1.0)).mean()
}

/// The loss of the golden batch and its gradients in Hugging Face's layout.
fn loss_and_gradients(
    padded: bool,
    dropout: Option<StepDropout>,
) -> (f32, HashMap<String, Vec<f32>>) {
    let (model_dir, goldens) = tiny();
    let device = device().autodiff();
    let mut network = CrossEncoderNetwork::load(&model_dir, &device).unwrap();
    let tokenizer = PairTokenizer::open(&model_dir, goldens.max_length).unwrap();
    let texts: Vec<&str> =
        goldens.pairs.iter().flat_map(|p| [p.query.as_str(), p.passage.as_str()]).collect();
    let tokens = tokenizer.tokenize(&texts).unwrap();
    let batch = tokenizer.batch(tokens.chunks_exact(2).map(|pair| (&pair[0], &pair[1])));
    let forward =
        if padded { CrossEncoderNetwork::forward_padded } else { CrossEncoderNetwork::forward };
    let labels: Vec<f32> = goldens.pairs.iter().map(|p| p.label).collect();
    let loss = bce(
        forward(&network, &batch, dropout, &device),
        &labels,
        goldens.loss.unwrap().pos_weight,
        &device,
    );
    let gradients = loss.backward();
    let mut named: HashMap<_, _> = network
        .slots()
        .into_iter()
        .map(|(name, slot)| (name, gradient(&slot, &gradients)))
        .collect();
    // PyTorch gives the row of the padding token no gradient. Only a text with a literal "[PAD]"
    // has one here.
    named.get_mut("bert.embeddings.word_embeddings.weight").unwrap()[..32].fill(0.0);
    (loss.into_scalar(), named)
}

fn gradient(slot: &Slot, gradients: &Gradients) -> Vec<f32> {
    let data = match slot {
        Slot::Table(param) => param.val().grad(gradients).unwrap().into_data(),
        Slot::Matrix(param) => param.val().grad(gradients).unwrap().transpose().into_data(),
        Slot::Vector(param) => param.val().grad(gradients).unwrap().into_data(),
    };
    data.try_into_vec().unwrap()
}

#[test]
fn loss_and_every_gradient_are_those_of_pytorch() {
    let (_, goldens) = tiny();
    for padded in [false, true] {
        let (loss, gradients) = loss_and_gradients(padded, None);
        let expected = goldens.loss.as_ref().unwrap().value;
        assert!((loss - expected).abs() < LOGIT_TOLERANCE, "{loss} {expected}");
        assert_eq!(gradients.len(), goldens.gradients.len());
        for (name, golden) in &goldens.gradients {
            let found = &gradients[name];
            let largest = found.iter().fold(1e-3f32, |a, b| a.max(b.abs()));
            let values = golden.full.as_ref().or(golden.head.as_ref()).unwrap();
            for (value, expected) in found.iter().zip(values) {
                assert!(
                    (value - expected).abs() <= GRADIENT_TOLERANCE * largest,
                    "{name} padded {padded}: {value} {expected}"
                );
            }
            if let Some(expected) = golden.l2 {
                let l2 = found.iter().map(|v| v * v).sum::<f32>().sqrt();
                assert!(
                    (l2 - expected).abs() <= GRADIENT_TOLERANCE * expected.max(1e-3),
                    "{name}: {l2} {expected}"
                );
            }
        }
    }
}

#[test]
fn dropout_has_the_gradient_of_the_function_it_makes() {
    // With a fixed seed the network with dropout is a fixed function: the fused backward must match
    // finite differences.
    let dropout = Some(StepDropout { hidden: 0.2, attention: 0.2, seed: 11 });
    let (loss, gradients) = loss_and_gradients(false, dropout);
    let (again, _) = loss_and_gradients(false, dropout);
    assert_eq!(loss, again);
    assert_ne!(loss, loss_and_gradients(false, None).0);

    let (model_dir, goldens) = tiny();
    let device = device();
    let tokenizer = PairTokenizer::open(&model_dir, goldens.max_length).unwrap();
    let texts: Vec<&str> =
        goldens.pairs.iter().flat_map(|p| [p.query.as_str(), p.passage.as_str()]).collect();
    let tokens = tokenizer.tokenize(&texts).unwrap();
    let batch = tokenizer.batch(tokens.chunks_exact(2).map(|pair| (&pair[0], &pair[1])));
    let labels: Vec<f32> = goldens.pairs.iter().map(|p| p.label).collect();
    let pos_weight = goldens.loss.unwrap().pos_weight;
    for name in [
        "bert.encoder.layer.0.attention.self.query.bias",
        "bert.encoder.layer.0.attention.self.value.bias",
        "bert.encoder.layer.0.intermediate.dense.bias",
        "bert.encoder.layer.1.attention.output.LayerNorm.weight",
        "bert.encoder.layer.1.output.dense.bias",
    ] {
        // Along the gradient itself, the slope is its length.
        let direction = &gradients[name];
        let length = direction.iter().map(|v| v * v).sum::<f32>().sqrt();
        let at = |step: f32| -> f32 {
            let mut network = CrossEncoderNetwork::load(&model_dir, &device).unwrap();
            for (found, slot) in network.slots() {
                if let (true, Slot::Vector(param)) = (found == name, slot) {
                    let shift =
                        Tensor::<1>::from_floats(direction.as_slice(), &device) * (step / length);
                    *param = param.clone().map(|value| value + shift);
                }
            }
            bce(network.forward(&batch, dropout, &device), &labels, pos_weight, &device)
                .into_scalar()
        };
        let slope = (at(0.01) - at(-0.01)) / 0.02;
        assert!(
            (slope - length).abs() < 0.02 * length.max(0.01),
            "{name}: slope {slope}, gradient {length}"
        );
    }
}

#[test]
fn a_damaged_model_is_refused_by_name() {
    let folder = copy_of("tiny-model");
    let load = || CrossEncoder::load(folder.path(), None, &device()).err().unwrap().to_string();
    let weights = folder.path().join("model.safetensors");
    let whole = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, &whole[..whole.len() / 2]).unwrap();
    assert!(load().contains("is not a whole safetensors file"), "{}", load());
    std::fs::write(
        &weights,
        std::fs::read(oracles().join("tiny-encoder/model.safetensors")).unwrap(),
    )
    .unwrap();
    assert!(load().contains("has no relevance head"), "{}", load());
    std::fs::remove_file(&weights).unwrap();
    assert!(load().starts_with("cannot read"), "{}", load());
}
