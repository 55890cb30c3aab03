//! A cross-encoder as the teacher of another.

mod common;

use burn::tensor::Tensor;
use common::{data_folder, engine, losses, oracles, run, run_from, short_run, tensors};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use whetstone_model::{Engine, PairNetwork, PairTokenizer, StepDropout};
use whetstone_records::{Progress, Silent};
use whetstone_train::{Error, LossName, TrainConfig, forget_run, train};

fn taught_by(teacher: &str, loss: LossName) -> TrainConfig {
    TrainConfig { teacher: Some(oracles().join(teacher)), loss, ..short_run() }
}

/// Counts the pairs that the teacher scored now.
#[derive(Default)]
struct Parts(Mutex<Vec<String>>);

impl Progress for Parts {
    fn start(&self, part: &str, _total: Option<u64>, _unit: &str) {
        self.0.lock().unwrap().push(part.to_owned());
    }
    fn warn(&self, _text: &str) {}
}

#[test]
fn a_student_that_is_its_own_teacher_has_nothing_to_learn() {
    for (loss, layers) in
        [(LossName::Mse, vec![]), (LossName::MarginMse, vec![]), (LossName::Mse, vec![0, 1])]
    {
        let (data, out) = (data_folder(true), tempfile::tempdir().unwrap());
        let config = TrainConfig {
            dropout: Some(0.0),
            // AdamW steps as far for the smallest gradient as for any other.
            learning_rate: 1e-9,
            teacher_layers: layers,
            ..taught_by("tiny-model", loss)
        };
        run(data.path(), out.path(), &config, &Silent).unwrap();
        let losses = losses(out.path());
        assert!(losses.len() > 3 && losses.iter().all(|loss| *loss < 1e-8), "{losses:?}");
    }
}

#[test]
fn a_network_without_kernels_learns_from_layers_too() {
    let (data, out) = (data_folder(true), tempfile::tempdir().unwrap());
    let config = TrainConfig {
        dropout: Some(0.0),
        learning_rate: 1e-9,
        teacher_layers: vec![0, 1],
        ..taught_by("tiny-deberta-v2", LossName::Mse)
    };
    run_from("tiny-deberta-v2", (data.path(), out.path()), &config, &Silent).unwrap();
    let losses = losses(out.path());
    assert!(losses.len() > 3 && losses.iter().all(|loss| *loss < 1e-8), "{losses:?}");
}

/// The tiny model after a training that took it far from itself, for 2 layers of its own.
fn strayed(data: &Path, out: &Path) -> PathBuf {
    let config = TrainConfig { learning_rate: 1e-2, ..short_run() };
    run(data, out, &config, &Silent).unwrap();
    last_step(out)
}

/// How far what comes out of a model's layers is from what the tiny model gives, squared.
fn states_apart(folder: &Path) -> f32 {
    let states = |folder: &Path| -> Vec<f32> {
        let network = PairNetwork::load(folder, &engine()).unwrap();
        let tokenizer = PairTokenizer::open(folder, 64).unwrap();
        let tokens = tokenizer.tokenize(&["what is the limit", "60 degrees at the meter"]).unwrap();
        let batch = tokenizer.batch([(&tokens[0], &tokens[1])]);
        let (_, states) = network.forward_with_states(&batch, StepDropout::default(), &engine());
        let values = |state: Tensor<2>| state.into_data().try_into_vec::<f32>().unwrap();
        states.into_iter().flat_map(values).collect()
    };
    let (own, wanted) = (states(folder), states(&oracles().join("tiny-model")));
    own.iter().zip(&wanted).map(|(a, b)| (a - b).powi(2)).sum()
}

#[test]
fn layers_that_learn_from_layers_come_back_with_and_without_kernels() {
    let (data, strayed_run) = (data_folder(true), tempfile::tempdir().unwrap());
    let student = strayed(data.path(), strayed_run.path());
    let learn = |layers: Vec<usize>, engine: &Engine| {
        let out = tempfile::tempdir().unwrap();
        let config = TrainConfig {
            epochs: 20,
            eval_every_steps: 1000,
            dropout: Some(0.0),
            teacher_layers: layers,
            ..taught_by("tiny-model", LossName::Mse)
        };
        let engines = [engine.clone()];
        train(data.path(), out.path(), &student, &config, &engines, &Silent).unwrap();
        (losses(out.path()), out)
    };
    let (alone, alone_end) = learn(vec![], &engine());
    let (with_layers, end) = learn(vec![0, 1], &engine());
    assert_eq!(alone[0], with_layers[0], "the logits begin alike");
    assert_ne!(alone.last(), with_layers.last(), "the layers move the weights too");
    let (first, last) = (with_layers[0], with_layers[with_layers.len() - 1]);
    assert!(last < first / 4.0, "{first} to {last}");
    let ends = [&alone_end, &end].map(|run| last_step(run.path()));
    let apart = [&student, &ends[0], &ends[1]].map(|folder| states_apart(folder));
    assert!(apart[2] < apart[1] && apart[2] < apart[0] / 2.0, "{apart:?}");
    // Batches of like lengths: the steps are others, the way is the same.
    let (_, padded) = learn(vec![0, 1], &engine().without_kernels());
    let padded = states_apart(&last_step(padded.path()));
    assert!(padded < apart[0] / 2.0, "{padded} of {}", apart[0]);
}

#[test]
fn layers_that_do_not_fit_are_refused() {
    let (data, out) = (data_folder(true), tempfile::tempdir().unwrap());
    for (teacher, layers, expected) in [
        ("tiny-model", vec![0], "one number for each of the model's 2 layers, got [0]"),
        ("tiny-model", vec![0, 2], "below 2, the teacher's layers, got [0, 2]"),
        ("tiny-electra", vec![0, 1], "the same tokens and width, got [0, 1]"),
    ] {
        let config = TrainConfig { teacher_layers: layers, ..taught_by(teacher, LossName::Mse) };
        let error = run(data.path(), out.path(), &config, &Silent).unwrap_err().to_string();
        assert!(
            error.starts_with("`teacher-layers` must be ") && error.ends_with(expected),
            "{error}"
        );
    }
}

#[test]
fn a_teacher_of_another_family_pulls_the_students_logits_towards_its_own() {
    let (data, out) = (data_folder(true), tempfile::tempdir().unwrap());
    let config = TrainConfig {
        epochs: 40,
        eval_every_steps: 1000,
        dropout: Some(0.0),
        ..taught_by("tiny-electra", LossName::Mse)
    };
    run(data.path(), out.path(), &config, &Silent).unwrap();
    let losses = losses(out.path());
    let (first, last) = (losses[0], losses[losses.len() - 1]);
    assert!(last < first / 4.0, "{first} to {last}");
}

#[test]
fn scores_of_an_earlier_run_are_taken_and_those_of_another_teacher_are_not() {
    let (data, out) = (data_folder(true), tempfile::tempdir().unwrap());
    let scores = || fs::read_to_string(out.path().join("teacher/00000.json")).unwrap();
    let parts = Parts::default();
    run(data.path(), out.path(), &taught_by("tiny-electra", LossName::Mse), &parts).unwrap();
    assert!(parts.0.lock().unwrap().contains(&"teach".to_owned()));
    let whole = scores();
    let weights = tensors(&last_step(out.path()));

    // As after a kill before the first checkpoint: the scores are there, the steps are not.
    forget_run(out.path()).unwrap();
    assert!(!out.path().join("teacher").exists(), "a new start asks the teacher again");
    fs::create_dir_all(out.path().join("teacher")).unwrap();
    fs::write(out.path().join("teacher/00000.json"), &whole).unwrap();
    run(data.path(), out.path(), &taught_by("tiny-electra", LossName::Mse), &Silent).unwrap();
    assert_eq!(scores(), whole);
    assert_eq!(tensors(&last_step(out.path())), weights);

    forget_run(out.path()).unwrap();
    fs::create_dir_all(out.path().join("teacher")).unwrap();
    fs::write(out.path().join("teacher/00000.json"), &whole[..whole.len() / 2]).unwrap();
    run(data.path(), out.path(), &taught_by("tiny-electra", LossName::Mse), &Silent).unwrap();
    assert_eq!(scores(), whole, "a damaged file is made again");

    forget_run(out.path()).unwrap();
    fs::create_dir_all(out.path().join("teacher")).unwrap();
    fs::write(out.path().join("teacher/00000.json"), &whole).unwrap();
    run(data.path(), out.path(), &taught_by("tiny-roberta", LossName::Mse), &Silent).unwrap();
    assert_ne!(scores(), whole, "another teacher gives other scores");
}

fn last_step(run: &Path) -> PathBuf {
    let steps = fs::read_dir(run).unwrap().map(|entry| entry.unwrap().path());
    steps.filter(|path| path.join("state.json").exists()).max().unwrap()
}

#[test]
fn another_teacher_on_the_same_folder_is_another_run() {
    let (data, out) = (data_folder(true), tempfile::tempdir().unwrap());
    run(data.path(), out.path(), &taught_by("tiny-electra", LossName::Mse), &Silent).unwrap();
    let other = taught_by("tiny-roberta", LossName::Mse);
    let error = run(data.path(), out.path(), &other, &Silent).unwrap_err();
    assert!(matches!(&error, Error::OtherRun { what, .. } if what.contains("teacher")), "{error}");
}

#[test]
fn a_teacher_without_a_loss_that_asks_it_is_refused() {
    let (data, out) = (data_folder(true), tempfile::tempdir().unwrap());
    let config = taught_by("tiny-electra", LossName::Bce);
    let error = run_from("tiny-model", (data.path(), out.path()), &config, &Silent).unwrap_err();
    let message = error.to_string();
    assert!(message.starts_with("`teacher` must be left out unless `loss` is `mse`"), "{message}");
}
