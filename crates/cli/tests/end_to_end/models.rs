//! `whetstone models`, and what each of its refusals says.

use crate::whetstone::{assert_fails, command, copy_folder, repository, run, text, tiny_model};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

fn oracle(name: &str) -> PathBuf {
    repository().join("tests/oracles").join(name)
}

/// A copy of the tiny model, to be spoiled.
fn model(folder: &Path) -> PathBuf {
    let model = folder.join("model");
    copy_folder(Path::new(&tiny_model()), &model);
    model
}

fn change_config(model: &Path, key: &str, value: Value) {
    let path = model.join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config[key] = value;
    fs::write(path, config.to_string()).unwrap();
}

#[test]
fn a_folder_is_described() {
    let outcome = run(&["models", &tiny_model(), &text(&oracle("tiny-encoder"))]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let lines: Vec<&str> = outcome.stdout.lines().map(str::trim).collect();
    for line in [
        "family         bert",
        "kind           cross-encoder",
        "kind           encoder without a relevance head; training makes one",
        "longest input  128 tokens; pairs are cut at 128 unless you say other",
        "tokenizer      WordPiece, 1200 tokens",
        "bi-encoder     pooling mean, no prompts, texts are cut at 128 tokens",
    ] {
        assert!(lines.contains(&line), "{line:?} is not in\n{}", outcome.stdout);
    }
    assert!(outcome.stdout.contains("with batch-pairs = 32 and max-seq-tokens = 128"));
}

#[test]
fn a_late_interaction_is_described_with_its_vectors() {
    let outcome = run(&["models", &text(&oracle("tiny-colbert"))]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    for line in [
        "kind           late interaction; training makes one of it with `kind = \"late-interaction\"`",
        "token vectors  of width 8, queries filled up to 32 tokens, passages cut at 48",
    ] {
        assert!(outcome.stdout.contains(line), "{line:?} is not in\n{}", outcome.stdout);
    }
}

#[test]
fn a_description_is_also_json() {
    let found = run(&["models", &text(&oracle("tiny-modernbert")), "--json"]).json();
    assert_eq!(found[0]["family"], "modernbert");
    assert_eq!(found[0]["tokenizer"]["kind"], "BPE");
    assert_eq!(found[0]["training"]["batch_pairs"], 32);
    assert!(found[0]["training"]["bytes"].as_u64().unwrap() > 100 << 20);
}

#[test]
fn the_models_of_the_working_folder_and_of_the_cache_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache/hub/models--some--model");
    copy_folder(Path::new(&tiny_model()), &cache.join("snapshots/c0ffee"));
    fs::create_dir_all(cache.join("refs")).unwrap();
    fs::write(cache.join("refs/main"), "c0ffee").unwrap();
    let pulled = folder.path().join("models/owner/other");
    copy_folder(&oracle("tiny-electra"), &pulled);
    fs::create_dir_all(pulled.join("manifests")).unwrap();
    let manifest = json!({ "notes": ["from the model hub, revision decade"] });
    fs::write(pulled.join("manifests/pull.json"), manifest.to_string()).unwrap();
    let models = |args: &[&str]| {
        let mut command = command(&[&["models"], args].concat());
        command.current_dir(folder.path()).env("HF_HOME", folder.path().join("cache"));
        crate::whetstone::Outcome::from(command.output().unwrap())
    };
    let listed = models(&["--json"]).json();
    let row = |i: usize| ["name", "family", "revision"].map(|key| listed[i][key].clone());
    assert_eq!(row(0), ["owner/other", "electra", "decade"]);
    assert_eq!(row(1), ["some/model", "bert", "c0ffee"]);
    assert_eq!(listed.as_array().unwrap().len(), 2);
    // Both are also found by their names, without a hub.
    for (name, family) in [("owner/other", "electra"), ("some/model", "bert")] {
        assert_eq!(models(&[name, "--json"]).json()[0]["family"], family);
    }
    let table = models(&[]);
    assert!(table.stdout.starts_with("| model "), "{}", table.stdout);
    fs::write(pulled.join("config.json"), r#"{"model_type": "gpt2"}"#).unwrap();
    let outcome = models(&[]);
    assert!(outcome.stdout.contains("not usable"), "{}", outcome.stdout);
    assert!(outcome.stderr.contains("must be one of `bert`, "), "{}", outcome.stderr);
}

#[test]
fn a_model_that_is_not_here_is_not_downloaded() {
    let folder = tempfile::tempdir().unwrap();
    assert_fails(
        &["models", "some/model"],
        folder.path(),
        "error: `some/model` is no folder, and neither `models` nor the hub's cache has it
hint: `whetstone models` lists those that are here, `whetstone pull some/model` gets it",
    );
}

#[test]
fn an_unknown_family_names_those_that_are_known() {
    let folder = tempfile::tempdir().unwrap();
    let model = model(folder.path());
    change_config(&model, "model_type", json!("gpt2"));
    let outcome = run(&["models", &text(&model)]);
    let expected = "`model_type` must be one of `bert`, `electra`, `modernbert`, `roberta`, ";
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.stderr.contains(expected), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("got `gpt2`\nhint: docs/models.md"), "{}", outcome.stderr);
}

#[test]
fn pickled_weights_alone_come_with_the_line_that_converts_them() {
    let folder = tempfile::tempdir().unwrap();
    let model = model(folder.path());
    fs::rename(model.join("model.safetensors"), model.join("pytorch_model.bin")).unwrap();
    let outcome = run(&["models", &text(&model)]);
    let stderr = outcome.stderr.replace(&text(folder.path()), "DIR");
    assert_eq!(outcome.code, Some(2));
    let expected = "error: `DIR/model` is no model: it has no model.safetensors\nhint: this writes";
    assert!(stderr.starts_with(expected) && stderr.contains("torch.load("), "{stderr}");
}

#[test]
fn a_tokenizer_of_another_family_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let model = model(folder.path());
    let foreign = oracle("tiny-xlm-roberta").join("tokenizer.json");
    fs::copy(foreign, model.join("tokenizer.json")).unwrap();
    assert_fails(
        &["models", &text(&model)],
        folder.path(),
        "error: `DIR/model/tokenizer.json` has no token `[CLS]`, which models of `bert` need
hint: the tokenizer is of another family than the weights: take both from the same place",
    );
}

#[test]
fn a_tokenizer_with_far_fewer_tokens_is_doubted() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    copy_folder(&oracle("tiny-modernbert"), &model);
    // It has the special tokens of ModernBERT, so nothing else tells that it is a cut one.
    let path = model.join("tokenizer.json");
    let mut tokenizer: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let vocabulary = tokenizer["model"]["vocab"].as_object_mut().unwrap();
    vocabulary.retain(|_, id| id.as_u64().unwrap() < 300);
    tokenizer["model"]["merges"] = json!([]);
    let added = tokenizer["added_tokens"].as_array_mut().unwrap();
    added.iter_mut().zip(300..).for_each(|(token, id)| token["id"] = json!(id));
    tokenizer["post_processor"] = Value::Null;
    fs::write(&path, tokenizer.to_string()).unwrap();
    let outcome = run(&["models", &text(&model)]);
    let expected = "tokens; the network embeds 700: is it another model's?";
    assert!(outcome.stdout.contains(expected), "{}{}", outcome.stdout, outcome.stderr);
}

#[test]
fn a_config_that_contradicts_the_weights_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let model = model(folder.path());
    change_config(&model, "intermediate_size", json!(96));
    let outcome = run(&["models", &text(&model)]);
    assert_eq!(outcome.code, Some(2));
    for part in [
        "model.safetensors`: tensor `bert.encoder.layer.0.intermediate.dense.weight` has shape [",
        "], the config asks for [96, ",
        "hint: config and weights are of two models: take both from the same place",
    ] {
        assert!(outcome.stderr.contains(part), "{part:?} is not in\n{}", outcome.stderr);
    }
    let layers = fs::read_to_string(oracle("tiny-model").join("config.json")).unwrap();
    fs::write(model.join("config.json"), layers).unwrap();
    change_config(&model, "num_hidden_layers", json!(1));
    let outcome = run(&["models", &text(&model)]);
    assert!(outcome.stderr.contains("unused [bert.encoder.layer.1."), "{}", outcome.stderr);
}

#[test]
fn a_head_that_is_missing_is_named_where_one_is_needed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("p.txt");
    fs::write(&file, "a passage\n").unwrap();
    let model = folder.path().join("encoder");
    copy_folder(&oracle("tiny-encoder"), &model);
    assert_fails(
        &["rerank", "--model", &text(&model), "--query", "x", &text(&file)],
        folder.path(),
        "error: `DIR/encoder` has no relevance head
hint: train one first with `whetstone train`, or name a cross-encoder such as cross-encoder/ms-marco-MiniLM-L6-v2",
    );
}
