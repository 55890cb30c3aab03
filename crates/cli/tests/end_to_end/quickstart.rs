use crate::whetstone::{QUICKSTART, run, text, tiny_model};
use std::fs;

#[test]
fn quickstart_does_everything_once_and_says_up_to_date_the_second_time() {
    let folder = tempfile::tempdir().unwrap();
    let (model, out) = (tiny_model(), text(folder.path()));
    let args = [&QUICKSTART[..], &["--model", &model, "--out", &out]].concat();
    let first = run(&[&args[..], &["--json"]].concat()).json();
    let second = run(&[&args[..], &["--json"]].concat()).json();
    let stages = [
        "chunk",
        "ask",
        "mine",
        "pair",
        "train",
        "export",
        "export",
        "calibrate",
        "rerank-untuned",
        "rerank-tuned",
        "eval",
    ];
    for (answer, up_to_date) in [(&first, false), (&second, true)] {
        let done: Vec<_> = answer["stages"].as_array().unwrap().iter().collect();
        assert_eq!(
            done.iter().map(|stage| stage["stage"].as_str().unwrap()).collect::<Vec<_>>(),
            stages
        );
        assert!(done.iter().all(|stage| stage["up_to_date"] == up_to_date), "{answer:#}");
    }
    assert_eq!(first["runs"], second["runs"]);
    let measures: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.path().join("measures.json")).unwrap()).unwrap();
    assert_eq!(measures["runs"], first["runs"]);

    let third = run(&args);
    assert_eq!(third.code, Some(0));
    for name in ["bm25", "bi-encoder", "untuned cross-encoder", "tuned cross-encoder"] {
        assert!(third.stdout.contains(&format!("| {name} ")), "{}", third.stdout);
        assert_eq!(first["runs"][name]["queries"], 3);
    }
    assert_eq!(
        third.stderr.matches(": up to date, in `").count(),
        stages.len(),
        "{}",
        third.stderr
    );
}

#[test]
fn force_does_everything_again_with_the_same_result() {
    let folder = tempfile::tempdir().unwrap();
    let (model, out) = (tiny_model(), text(folder.path()));
    let args = [&QUICKSTART[..], &["--model", &model, "--out", &out, "--json"]].concat();
    let first = run(&args).json();
    let again = run(&[&args[..], &["--force"]].concat()).json();
    assert!(
        again["stages"].as_array().unwrap().iter().all(|stage| stage["up_to_date"] == false),
        "{again:#}"
    );
    assert_eq!(first["runs"], again["runs"]);
}
