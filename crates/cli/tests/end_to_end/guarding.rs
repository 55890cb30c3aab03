//! What keeps an evaluation from saying more than it knows.

use crate::whetstone::{copy_folder, quickstart_folder, run, text};
use serde_json::json;
use std::fs;
use std::path::Path;

fn data_set(folder: &Path) -> String {
    let data = folder.join("data");
    copy_folder(&quickstart_folder().join("data"), &data);
    text(&data)
}

fn eval(data: &str) -> (serde_json::Value, crate::whetstone::Outcome) {
    let tuned = format!("tuned={}", text(&quickstart_folder().join("runs/tuned.run")));
    let args = ["eval", "--data", data, "--run", &tuned, "--system", "tuned"];
    (run(&[&args[..], &["--json"]].concat()).json(), run(&args))
}

#[test]
fn a_query_that_was_trained_on_refuses_the_verdict_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let data = data_set(folder.path());
    let (clean, _) = eval(&data);
    assert!(!clean["verdict"].to_string().contains("trained on"), "{clean:#}");

    let path = folder.path().join("data/train.jsonl");
    let qrels = fs::read_to_string(folder.path().join("data/qrels/test.tsv")).unwrap();
    let query = qrels.lines().nth(1).unwrap().split('\t').next().unwrap().to_owned();
    let queries = fs::read_to_string(folder.path().join("data/queries.jsonl")).unwrap();
    let records =
        queries.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let asked = records.into_iter().find(|record| record["_id"] == query.as_str()).unwrap();
    let mut train = fs::read_to_string(&path).unwrap();
    let first: serde_json::Value = serde_json::from_str(train.lines().next().unwrap()).unwrap();
    let mut leaked = first.clone();
    leaked["query"] = json!(asked["text"].as_str().unwrap().to_uppercase());
    leaked["query_id"] = json!("leaked");
    train += &format!("{leaked}\n");
    fs::write(&path, train).unwrap();

    let (leaking, shown) = eval(&data);
    assert!(
        leaking["verdict"].to_string().contains("1 of 3 test queries were trained on"),
        "{leaking:#}"
    );
    assert!((shown.stdout + &shown.stderr).contains("1 of 3 test queries were trained on"));
}

#[test]
fn few_real_and_only_synthetic_questions_are_labelled() {
    let folder = tempfile::tempdir().unwrap();
    let data = data_set(folder.path());
    let (few, shown) = eval(&data);
    assert!(few["warnings"].to_string().contains("only 3 of 3 test queries are real"), "{few:#}");
    assert!(
        shown.stderr.contains("judge 50 questions of real users with `whetstone label`"),
        "{}",
        shown.stderr
    );
    let path = folder.path().join("data/queries.jsonl");
    let generated: String = fs::read_to_string(&path)
        .unwrap()
        .lines()
        .map(|line| {
            let mut record: serde_json::Value = serde_json::from_str(line).unwrap();
            record["metadata"] = json!({"generator": "built-in"});
            format!("{record}\n")
        })
        .collect();
    fs::write(&path, generated).unwrap();
    let (synthetic, _) = eval(&data);
    let warnings = synthetic["warnings"].to_string();
    assert!(
        warnings.contains("all 3 test queries are synthetic; their passages hold "),
        "{warnings}"
    );
}
