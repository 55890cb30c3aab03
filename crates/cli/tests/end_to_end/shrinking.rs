//! `shrink`: a smaller model that learned from the larger one.

use crate::whetstone::{assert_fails, command, quickstart_folder, run, text, tiny_model};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// The arguments of a job on the quickstart's data, and the folders of its run and its model.
fn job(folder: &Path, name: &str) -> (Vec<String>, PathBuf, PathBuf) {
    let quickstart = quickstart_folder();
    let (checkpoint, out) = (folder.join(format!("{name}-run")), folder.join(name));
    // Many short steps, so that a kill finds something undone.
    let config = folder.join("distil.toml");
    let keys =
        "loss = \"mse\"\nepochs = 20\nbatch-pairs = 8\neval-every-steps = 10\npatience = 0\n";
    fs::write(&config, keys).unwrap();
    let (data, model) = (quickstart.join("data"), quickstart.join("model"));
    let paths = [&model, &data, &data.join("corpus.jsonl"), &config, &checkpoint, &out];
    let [model, data, corpus, config, run, model_out] = paths.map(|path| text(path));
    let args = ["shrink", "--layers", "1", "--json"].map(str::to_owned).into_iter();
    let named = [
        ("--model", model),
        ("--data", data),
        ("--vocabulary", corpus),
        ("--config", config),
        ("--checkpoint", run),
        ("--out", model_out),
    ];
    let named = named.into_iter().flat_map(|(name, value)| [name.to_owned(), value]);
    (args.chain(named).collect(), checkpoint, out)
}

fn strs(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

#[test]
fn a_shrunk_model_learns_is_served_and_ends_with_the_same_bytes_after_kills() {
    let folder = tempfile::tempdir().unwrap();
    let (args, _, whole) = job(folder.path(), "whole");
    let manifests = run(&strs(&args)).json();
    let stages: Vec<&str> =
        manifests.as_array().unwrap().iter().map(|m| m["stage"].as_str().unwrap()).collect();
    assert_eq!(stages, ["shrink", "train", "export", "shrink"]);
    assert_eq!(run(&["verify", &text(&whole)]).code, Some(0));
    let config: Value =
        serde_json::from_slice(&fs::read(whole.join("config.json")).unwrap()).unwrap();
    assert_eq!(config["num_hidden_layers"], 1);
    assert!(config["vocab_size"].as_u64().unwrap() < 1200);
    let card = fs::read_to_string(whole.join("README.md")).unwrap();
    assert!(card.contains("Made smaller from") && card.contains("layers 0 of 0 to 1"), "{card}");

    let again = run(&strs(&args)).json();
    assert!(again.as_array().unwrap().iter().all(|manifest| manifest["up_to_date"] == true));

    let (args, checkpoint, killed) = job(folder.path(), "killed");
    for step in ["student", "teacher", "step-000030"] {
        let mut child = command(&strs(&args)).stdout(Stdio::null()).spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while !checkpoint.join(step).exists() {
            let is_running = child.try_wait().unwrap().is_none();
            assert!(Instant::now() < deadline && is_running, "{step} never came");
            std::thread::sleep(Duration::from_millis(2));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!killed.exists(), "a model folder is whole or not there");
    }
    assert_eq!(run(&strs(&args)).code, Some(0));
    for name in ["model.safetensors", "config.json", "tokenizer.json", "vocab.txt", "golden.json"] {
        let (whole, killed) = (fs::read(whole.join(name)), fs::read(killed.join(name)));
        assert!(whole.unwrap() == killed.unwrap(), "{name} is another after the kills");
    }
}

#[test]
fn a_late_interaction_learns_from_the_larger_one_and_stays_one() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (quickstart_folder().join("data"), folder.path().join("out"));
    let model = Path::new(&tiny_model()).with_file_name("tiny-colbert");
    let paths = [&model, &data, &folder.path().join("run"), &out].map(|path| text(path));
    let [model, data, checkpoint, model_out] = paths.each_ref().map(String::as_str);
    let args = ["shrink", "--model", model, "--layers", "1", "--data", data, "--json"];
    let folders = ["--checkpoint", checkpoint, "--out", model_out];
    let manifests = run(&[&args[..], &folders].concat()).json();
    let stages: Vec<&str> =
        manifests.as_array().unwrap().iter().map(|m| m["stage"].as_str().unwrap()).collect();
    assert_eq!(stages, ["shrink", "train", "export"]);
    assert_eq!(run(&["verify", model_out]).code, Some(0));
    assert!(out.join("1_Dense/config.json").is_file(), "as PyLate saves it");
}

#[test]
fn a_loss_that_learns_nothing_from_the_larger_model_is_refused_before_any_work() {
    let folder = tempfile::tempdir().unwrap();
    let (args, checkpoint, _) = job(folder.path(), "refused");
    fs::write(folder.path().join("distil.toml"), "loss = \"bce\"\n").unwrap();
    let expected = "error: the `loss` of `DIR/distil.toml` learns nothing from the larger model
hint: set `loss = \"mse\"` or `loss = \"margin-mse\"`";
    assert_fails(&strs(&args), folder.path(), expected);
    assert!(!checkpoint.exists());
}

#[test]
fn a_model_with_fewer_layers_than_are_to_stay_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (model, out) = (tiny_model(), text(&folder.path().join("out")));
    let outcome = run(&["shrink", "--model", &model, "--layers", "9", "--out", &out]);
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.stderr.contains("config.json` has 2 layers, and 9 cannot be kept"));
    assert!(outcome.stderr.contains("hint: `--layers` is a number from 1 to 2"));
    let outcome = run(&["shrink", "--model", &model, "--out", &out]);
    assert_eq!(outcome.code, Some(2), "something must become smaller: {}", outcome.stderr);
}
