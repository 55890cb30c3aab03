//! What training asks of a late interaction: its scores in batches of pairs, its gradients and its
//! files.

mod common;

use common::{LOGIT_TOLERANCE, engine, here, oracles};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::HashMap;
use whetstone_model::{
    Engine, LateInteraction, Packed, PairNetwork, PairTokenizer, Precision, Slot, StepDropout,
};
use whetstone_records::{ModelDir, Silent};

/// Relative to the length of a parameter's gradient.
const GRADIENT_TOLERANCE: f32 = 1e-4;
/// Longer than any passage here, so that the model's own limit counts.
const LIMIT: usize = 48;

#[derive(Deserialize)]
struct Goldens {
    groups: Vec<Group>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Group {
    query: String,
    passages: Vec<String>,
}

#[derive(Deserialize)]
struct Case {
    model: String,
    /// Settings in place of the model's own.
    changes: Map<String, Value>,
    loss: f32,
    gradients: HashMap<String, Gradient>,
}

#[derive(Deserialize)]
struct Gradient {
    l2: f32,
    /// Its first values.
    head: Vec<f32>,
}

fn goldens() -> Goldens {
    let path = oracles().join("goldens-late-gradients.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

impl Goldens {
    fn pairs(&self) -> Vec<(&str, &str)> {
        let groups = self.groups.iter();
        groups
            .flat_map(|group| group.passages.iter().map(|passage| (&*group.query, &**passage)))
            .collect()
    }
}

fn batch(tokenizer: &PairTokenizer, pairs: &[(&str, &str)]) -> Packed {
    let texts: Vec<&str> = pairs.iter().flat_map(|&(query, passage)| [query, passage]).collect();
    let tokens = tokenizer.tokenize(&texts).unwrap();
    tokenizer.batch(tokens.chunks_exact(2).map(|pair| (&pair[0], &pair[1])))
}

/// A folder with the model's files, some of its settings changed.
fn folder(case: &Case) -> tempfile::TempDir {
    let (from, to) = (oracles().join(&case.model), tempfile::tempdir().unwrap());
    let model = ModelDir::new(&from);
    let files = LateInteraction::files(model.root()).unwrap();
    for file in &files {
        let to = to.path().join(file);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(from.join(file), to).unwrap();
    }
    let settings = ModelDir::new(to.path()).sentence_transformers();
    if !case.changes.is_empty() {
        common::change_json(&settings, |file| {
            file.as_object_mut().unwrap().extend(case.changes.clone());
        });
    }
    to
}

#[test]
fn loss_and_every_gradient_are_those_of_pylate_and_pytorch() {
    let goldens = goldens();
    let group = goldens.groups[0].passages.len();
    for case in &goldens.cases {
        let folder = folder(case);
        let engine = engine().for_training(Precision::F32);
        for engine in [engine.clone(), engine.without_kernels()] {
            let mut network = PairNetwork::load_or_make_late(folder.path(), &engine).unwrap();
            let tokenizer = PairTokenizer::for_scoring(folder.path(), LIMIT).unwrap();
            let batch = batch(&tokenizer, &goldens.pairs());
            let scores = network.forward(&batch, StepDropout::default(), &engine); // [pairs]
            let rows = scores.reshape([goldens.groups.len(), group]); // [queries, passages]
            let chances = burn::tensor::activation::log_softmax(rows, 1);
            let loss = chances.slice([0..goldens.groups.len(), 0..1]).mean().neg();
            let gradients = loss.backward();
            let loss: f32 = loss.into_scalar();
            let difference = (loss - case.loss).abs();
            assert!(difference < here(10.0 * LOGIT_TOLERANCE), "{} {loss}", case.model);
            let mut compared = 0;
            for parameter in network.parameters() {
                let name = parameter.name.trim_start_matches("bert.").trim_start_matches("model.");
                let Some(golden) = case.gradients.get(name) else { continue };
                compared += 1;
                let values: Vec<f32> = match parameter.slot {
                    Slot::Table(param) => param.val().grad(&gradients).unwrap().into_data(),
                    Slot::Matrix(param) => {
                        param.val().grad(&gradients).unwrap().transpose().into_data()
                    }
                    Slot::Vector(param) => param.val().grad(&gradients).unwrap().into_data(),
                }
                .try_into_vec()
                .unwrap();
                let length = values.iter().map(|value| value * value).sum::<f32>().sqrt();
                let near = here(GRADIENT_TOLERANCE) * golden.l2.max(1e-2);
                assert!((length - golden.l2).abs() <= near, "{name} {length} {}", golden.l2);
                for (value, expected) in values.iter().zip(&golden.head) {
                    assert!((value - expected).abs() <= near, "{name} {value} {expected}");
                }
            }
            assert_eq!(compared, case.gradients.len(), "{}", case.model);
        }
    }
}

/// The scores of a network by its batches, and those of the model that encodes each text once.
fn both(model: &std::path::Path, engine: &Engine) -> [Vec<f32>; 2] {
    let goldens = goldens();
    let network = PairNetwork::load(model, engine).unwrap();
    let tokenizer = PairTokenizer::for_scoring(model, LIMIT).unwrap();
    let pairs = goldens.pairs();
    let alone = LateInteraction::load(model, Some(LIMIT), engine).unwrap();
    [network.logits(&batch(&tokenizer, &pairs), engine), alone.score(&pairs, &Silent).unwrap()]
}

fn assert_same([batched, alone]: &[Vec<f32>; 2]) {
    for (batched, alone) in batched.iter().zip(alone) {
        assert!((batched - alone).abs() <= here(LOGIT_TOLERANCE), "{batched} {alone}");
    }
}

#[test]
fn a_batch_of_pairs_scores_like_texts_that_are_encoded_once() {
    for case in &goldens().cases {
        let folder = folder(case);
        for engine in [engine(), engine().without_kernels()] {
            assert_same(&both(folder.path(), &engine));
        }
    }
}

#[test]
fn an_encoder_becomes_a_late_interaction_of_its_own_vectors_and_stays_the_same_when_saved() {
    let base = oracles().join("tiny-encoder");
    let (engine, out) = (engine(), tempfile::tempdir().unwrap());
    let network = PairNetwork::load_or_make_late(&base, &engine).unwrap();
    let tokenizer = PairTokenizer::for_late_interaction(&base, LIMIT).unwrap();
    let goldens = goldens();
    let before = network.logits(&batch(&tokenizer, &goldens.pairs()), &engine);
    for file in [ModelDir::CONFIG, ModelDir::TOKENIZER] {
        std::fs::copy(base.join(file), out.path().join(file)).unwrap();
    }
    network.save(out.path(), &base, LIMIT).unwrap();
    assert!(LateInteraction::is_in(out.path()).unwrap());
    let [batched, alone] = both(out.path(), &engine);
    assert_eq!(batched, before);
    assert_same(&[batched, alone]);
    // Saved once more from its own folder, it has the same bytes.
    let again = tempfile::tempdir().unwrap();
    PairNetwork::load(out.path(), &engine).unwrap().save(again.path(), out.path(), LIMIT).unwrap();
    for file in [ModelDir::WEIGHTS, ModelDir::DENSE_WEIGHTS, ModelDir::SENTENCE_TRANSFORMERS] {
        let bytes = |folder: &std::path::Path| std::fs::read(folder.join(file)).unwrap();
        assert!(bytes(out.path()) == bytes(again.path()), "{file}");
    }
}

#[test]
fn a_published_projection_stays_as_it_is_when_the_model_is_saved() {
    for case in &goldens().cases[..2] {
        let (folder, out) = (folder(case), tempfile::tempdir().unwrap());
        let network = PairNetwork::load(folder.path(), &engine()).unwrap();
        for file in [ModelDir::CONFIG, ModelDir::TOKENIZER] {
            std::fs::copy(folder.path().join(file), out.path().join(file)).unwrap();
        }
        network.save(out.path(), folder.path(), LIMIT).unwrap();
        let ([before, _], [after, alone]) =
            (both(folder.path(), &engine()), both(out.path(), &engine()));
        assert_eq!(before, after, "{}", case.model);
        assert_same(&[after, alone]);
    }
}
