//! A cross-encoder as the teacher of another.

mod common;

use common::{data_folder, losses, oracles, run, run_from, short_run, tensors};
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use whetstone_records::{Progress, Silent};
use whetstone_train::{Error, LossName, TrainConfig, forget_run};

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
    for loss in [LossName::Mse, LossName::MarginMse] {
        let (data, out) = (data_folder(true), tempfile::tempdir().unwrap());
        let config = TrainConfig { dropout: Some(0.0), ..taught_by("tiny-model", loss) };
        run(data.path(), out.path(), &config, &Silent).unwrap();
        let losses = losses(out.path());
        assert!(losses.len() > 3 && losses.iter().all(|loss| *loss < 1e-8), "{losses:?}");
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

fn last_step(run: &Path) -> std::path::PathBuf {
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
