use crate::whetstone::{
    QUICKSTART, assert_fails, copy_folder, quickstart_folder, repository, run, synth_config, text,
    tiny_model, train_config,
};
use serde_json::Value;
use std::fs;
use std::path::Path;

fn json_of(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

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
    assert!(third.stdout.contains("\nRecommendation: serve "), "{}", third.stdout);
    for name in ["bm25", "bi-encoder", "tuned reranker", "joined: both + tuned"] {
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
fn the_recommendation_is_kept_beside_the_weights_and_warns_who_reranks() {
    let made = quickstart_folder();
    let results = json_of(&made.join("model/results.json"));
    let recommendation = &results["recommendation"];
    let orders: Vec<_> = recommendation["orders"]
        .as_array()
        .unwrap()
        .iter()
        .map(|order| order["order"].as_str().unwrap())
        .collect();
    assert_eq!(orders, ["first-stages", "model-alone", "ranks", "joined-scores"]);
    assert_eq!(json_of(&made.join("measures.json"))["recommendation"], *recommendation);
    let measures = json_of(&made.join("measures.json"));
    for (place, run) in
        [(0, "fused: bm25 + bi-encoder"), (1, "tuned reranker"), (3, "joined: both + tuned")]
    {
        let mean = &recommendation["orders"][place]["mean"];
        assert_eq!(*mean, measures["runs"][run]["ndcg@10"], "{run}");
    }
    let said = recommendation["text"].as_str().unwrap();
    for page in ["report.md", "report.html"] {
        let page = fs::read_to_string(made.join(page)).unwrap();
        assert!(page.contains("Recommendation:"), "{said}");
    }

    // A model that loses is called so before anybody serves it.
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    copy_folder(&made.join("model"), &model);
    let mut losing = results.clone();
    losing["recommendation"]["order"] = "first-stages".into();
    losing["recommendation"]["text"] = "serve the first stages without the model".into();
    fs::write(model.join("results.json"), losing.to_string()).unwrap();
    let (model, out) = (text(&model), text(&folder.path().join("x.run")));
    let [corpus, queries, candidates] = ["corpus.jsonl", "queries.jsonl", "candidates.run"]
        .map(|name| text(&made.join("data").join(name)));
    let args = ["rerank", "--model", &model, "--corpus", &corpus, "--queries", &queries];
    let outcome = run(&[&args[..], &["--candidates", &candidates, "--out", &out]].concat());
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let said = "warning: the last evaluation says: serve the first stages without the model";
    assert!(outcome.stderr.contains(said), "{}", outcome.stderr);
}

#[test]
fn a_base_is_recorded_and_kept_and_another_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (model, out) = (tiny_model(), text(folder.path()));
    let args = [&QUICKSTART[..], &["--model", &model, "--out", &out]].concat();
    assert_eq!(run(&args).code, Some(0));
    let record = json_of(&folder.path().join("base.json"));
    assert_eq!(record, serde_json::json!({ "base": model }));
    let encoder = text(&repository().join("tests/oracles/tiny-encoder"));
    assert_fails(
        &[&args[..], &["--base", &encoder, "--quiet"]].concat(),
        folder.path(),
        &format!(
            "error: `DIR` was begun from the base `{model}`, not `{encoder}`\n\
             hint: name another folder with --out, or begin anew with --force"
        ),
    );
}

#[test]
fn where_the_hub_is_out_of_reach_the_base_is_the_fallback_and_stays_so() {
    let folder = tempfile::tempdir().unwrap();
    // The synthetic fallback is a folder here, since the real one comes from a registry.
    let train = fs::read_to_string(repository().join("tests/e2e/train.toml")).unwrap();
    let config = |name: &str, model: &str, keys: &str| {
        let path = folder.path().join(name);
        fs::write(&path, format!("model = \"{model}\"\n{keys}{train}")).unwrap();
        text(&path)
    };
    let encoder = text(&repository().join("tests/oracles/tiny-encoder"));
    let late = "kind = \"late-interaction\"\nloss = \"softmax\"\n";
    let wanted = config("a.toml", "some/reranker", "");
    let fresh = config("b.toml", &encoder, late);
    let out = text(&folder.path().join("out"));
    let data = synth_config(folder.path());
    let args = ["quickstart", "--config", &data, "--train-config", &wanted];
    let args = [&args[..], &["--fresh-config", &fresh, "--out", &out]].concat();
    for first in [true, false] {
        let outcome = run(&args);
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        let said = outcome.stderr.contains("warning: cannot get `some/reranker`");
        assert_eq!(said, first, "the hub is asked once: {}", outcome.stderr);
        assert!(outcome.stderr.contains("as late interaction in place of `some/reranker`"));
    }
    let record = json_of(&folder.path().join("out/base.json"));
    assert_eq!(record, serde_json::json!({ "base": encoder, "instead_of": "some/reranker" }));
    // What was trained is a late interaction, which scores its own golden pairs again.
    let model = folder.path().join("out/model");
    let described = run(&["models", &text(&model), "--json"]).json();
    assert_eq!(described[0]["late_interaction"]["query_tokens"], 64, "{described:#}");
    assert_eq!(run(&["verify", &text(&model)]).code, Some(0));
    let notes = json_of(&model.join("whetstone.json"));
    assert!(notes["fusion"]["temperature"].is_null(), "its scores are joined as z-scores");
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

#[test]
fn a_training_that_needs_a_teacher_is_refused_before_any_stage_if_there_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let train = train_config(folder.path(), "loss = \"margin-mse\"");
    let args = ["quickstart", "--config", "tests/e2e/quickstart.toml", "--train-config", &train];
    let (model, out) = (tiny_model(), text(&out));
    let more = ["--fresh-config", "tests/e2e/train.toml", "--model", &model, "--out", &out];
    let outcome = run(&[&args[..], &more].concat());
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.stderr.contains("has no `teacher` in [pair]"), "{}", outcome.stderr);
    assert!(!Path::new(&out).join("data").exists());
}
