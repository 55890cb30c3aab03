//! `verify`, and what `export` writes for it.

use crate::whetstone::{copy_folder, quickstart_folder, run, text};
use serde_json::Value;

#[test]
fn an_exported_model_agrees_with_its_golden_json_until_a_logit_is_another() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    copy_folder(&quickstart_folder().join("model"), &model);
    let found = run(&["verify", &text(&model), "--json"]).json();
    assert_eq!(found["agreements"][0]["pairs"], 20);
    assert_eq!(found["agreements"][0]["agrees"], true);

    let golden = model.join("golden.json");
    let mut moved: Value = serde_json::from_slice(&std::fs::read(&golden).unwrap()).unwrap();
    let logit = moved["pairs"][3]["logit"].as_f64().unwrap();
    moved["pairs"][3]["logit"] = (logit + 0.5).into();
    std::fs::write(&golden, moved.to_string()).unwrap();
    let outcome = run(&["verify", &text(&model)]);
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    assert!(outcome.stdout.contains("DIFFERS, 20 pairs, largest difference 5.0e-1"));
    assert!(outcome.stderr.contains("where golden.json has"), "{}", outcome.stderr);
    assert_eq!(run(&["verify", &text(&model), "--tolerance", "0.6"]).code, Some(0));

    std::fs::remove_file(&golden).unwrap();
    let outcome = run(&["verify", &text(&model)]);
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.stderr.contains("export the model again"), "{}", outcome.stderr);
}

#[test]
fn a_server_that_nobody_runs_is_an_error_that_names_it() {
    let model = text(&quickstart_folder().join("model"));
    let outcome = run(&["verify", &model, "--url", "http://127.0.0.1:9"]);
    assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("cannot reach `http://127.0.0.1:9/rerank`"));
    assert!(outcome.stderr.contains("hint: start the server"), "{}", outcome.stderr);
}

#[cfg(not(feature = "onnxruntime"))]
#[test]
fn a_build_without_onnx_runtime_says_how_to_get_it() {
    let model = text(&quickstart_folder().join("model"));
    let outcome = run(&["verify", &model, "--onnx"]);
    assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("--features onnxruntime"), "{}", outcome.stderr);
}
