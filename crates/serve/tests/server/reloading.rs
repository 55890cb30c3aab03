//! A new model while the server runs.

use crate::client::{get, post};
use crate::running::{Running, copy_of_tiny_model};
use serde_json::{Value, json};
use std::fs::{create_dir, read, write};
use std::path::Path;
use std::time::Duration;
use whetstone_model::Reranker;
use whetstone_serve::Event;

/// Writes a manifest, as the last file of an export.
fn write_manifest(model: &Path, text: &str) {
    let folder = model.join("manifests");
    let _ = create_dir(&folder);
    write(folder.join("export.json"), text).unwrap();
}

fn write_golden(model: &Path, logit: f32) {
    let pair = json!({"query": "pump", "passage": "water", "logit": logit});
    write(
        model.join("golden.json"),
        json!({ "version": "1", "source": "test", "max_seq_tokens": 64, "pairs": [pair] })
            .to_string(),
    )
    .unwrap();
}

fn logit(server: &Running) -> Value {
    let body = json!({"query": "pump", "texts": ["water"], "raw_scores": true});
    post(server.address, "/rerank", &body).json()[0]["score"].clone()
}

fn longest_input(server: &Running) -> Value {
    get(server.address, "/info").json()["max_input_length"].clone()
}

#[test]
fn a_new_manifest_brings_a_new_model_if_it_scores_as_it_should() {
    let folder = copy_of_tiny_model();
    let model = folder.path();
    write_manifest(model, "{}");
    let server = Running::start(|config| {
        config.model = model.into();
        config.limits.poll = Duration::from_millis(20);
    });
    let before = logit(&server);
    assert_eq!(longest_input(&server), 128);

    // The folder's files change, but it does not score as it should.
    write(model.join("sentence_bert_config.json"), r#"{"max_seq_length": 32}"#).unwrap();
    write_golden(model, 7.0);
    write_manifest(model, "{ }");
    let failed = server.wait_for(|event| matches!(event, Event::ReloadFailed { .. }));
    let Event::ReloadFailed { reason, hint } = failed else { unreachable!() };
    assert!(reason.contains("golden.json`: pair 0 scores 1.10"), "{reason}");
    assert!(reason.ends_with("and 7 is expected") && hint.is_some(), "{reason}");
    assert_eq!((longest_input(&server), logit(&server)), (json!(128), before.clone()));

    let right = Reranker::open(model).unwrap().rank("pump", &["water"]).unwrap()[0].score;
    write_golden(model, right);
    write_manifest(model, "{  }");
    server.wait_for(|event| matches!(event, Event::Reloaded { .. }));
    assert_eq!((longest_input(&server), logit(&server)), (json!(32), before));
    assert!(get(server.address, "/metrics").body.contains("whetstone_failed_reloads_total 1\n"));
}

#[test]
fn a_reload_that_is_asked_for_needs_no_manifest_and_a_broken_folder_changes_nothing() {
    let folder = copy_of_tiny_model();
    let server = Running::start(|config| config.model = folder.path().into());
    let weights = folder.path().join("model.safetensors");
    let whole = read(&weights).unwrap();
    write(&weights, &whole[..whole.len() / 2]).unwrap();
    server.handle.reload();
    server.wait_for(|event| matches!(event, Event::ReloadFailed { .. }));
    assert!(logit(&server).is_number());

    server.forget_events();
    write(&weights, &whole).unwrap();
    server.handle.reload();
    server.wait_for(|event| matches!(event, Event::Reloaded { .. }));
    assert!(logit(&server).is_number());
}
