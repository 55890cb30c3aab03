use crate::whetstone::{run, synth_config, text, train_config};
use std::fs;
use std::path::Path;

const FILES: [&str; 11] = [
    "corpus.jsonl",
    "queries.jsonl",
    "negatives.jsonl",
    "train.jsonl",
    "dev.jsonl",
    "test.jsonl",
    "candidates.run",
    "runs/bm25.run",
    "runs/dense.run",
    "qrels/train.tsv",
    "qrels/test.tsv",
];

fn bytes(folder: &Path) -> Vec<Vec<u8>> {
    FILES
        .iter()
        .map(|name| fs::read(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}")))
        .collect()
}

#[test]
fn the_four_steps_one_by_one_give_what_synth_gives() {
    let folder = tempfile::tempdir().unwrap();
    let config = synth_config(folder.path());
    let (whole, steps) = (text(&folder.path().join("whole")), text(&folder.path().join("steps")));
    let manifests = run(&["synth", "--config", &config, "--out", &whole, "--json"]).json();
    let stages: Vec<_> =
        manifests.as_array().unwrap().iter().map(|one| one["stage"].as_str().unwrap()).collect();
    assert_eq!(stages, ["chunk", "ask", "mine", "pair"]);
    for stage in stages {
        let manifest = run(&[stage, "--config", &config, "--out", &steps, "--json"]).json();
        assert_eq!((&manifest["stage"], &manifest["up_to_date"]), (&stage.into(), &false.into()));
    }
    assert_eq!(bytes(&folder.path().join("whole")), bytes(&folder.path().join("steps")));
}

#[test]
fn a_data_set_is_trained_exported_and_named_in_the_manifests() {
    let folder = tempfile::tempdir().unwrap();
    let (config, training) = (synth_config(folder.path()), train_config(folder.path(), ""));
    let [data, checkpoint, model] =
        ["data", "run", "model"].map(|name| text(&folder.path().join(name)));
    assert_eq!(run(&["synth", "--config", &config, "--out", &data]).code, Some(0));
    let train = ["train", "--config", &training, "--data", &data, "--out", &checkpoint, "--json"];
    let manifest = run(&train).json();
    assert_eq!(manifest["stage"], "train");
    assert_eq!(run(&train).json()["up_to_date"], true);
    assert_eq!(
        run(&[&train[..], &["--force"]].concat()).json()["outputs"],
        manifest["outputs"],
        "same seed, same bytes"
    );
    let export = ["export", "--checkpoint", &checkpoint, "--out", &model, "--json"];
    assert_eq!(
        run(&export).json()["outputs"]["model.safetensors"],
        manifest["outputs"]
            .as_object()
            .unwrap()
            .iter()
            .find(|(name, _)| name.ends_with("model.safetensors"))
            .unwrap()
            .1
            .clone()
    );
}

#[test]
fn binary_and_non_utf8_files_are_skipped_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = folder.path().join("corpus");
    fs::create_dir(&corpus).unwrap();
    fs::write(
        corpus.join("good.md"),
        "# Pump\n\nThe pump must be oiled every week by the night shift.\n",
    )
    .unwrap();
    fs::write(corpus.join("latin1.txt"), b"caf\xe9 au lait").unwrap();
    fs::write(corpus.join("image.md"), b"\x89PNG\r\n\x1a\n\0\0\0").unwrap();
    let config = synth_config(folder.path());
    let out = text(&folder.path().join("out"));
    let outcome =
        run(&["chunk", "--config", &config, "--corpus", &text(&corpus), "--out", &out, "--json"]);
    let manifest = outcome.json();
    assert_eq!(manifest["counts"]["documents"], 1, "{manifest:#}");
    let told = format!("{} {}", manifest["notes"], outcome.stderr);
    assert!(told.contains("latin1.txt") && told.contains("image.md"), "{told}");
}
