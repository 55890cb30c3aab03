use crate::whetstone::{assert_fails, copy_folder, quickstart_folder, run, run_with_stdin, text};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

const PASSAGES: &str = "oil the chain\nthe light is dark\nspokes of a wheel\npump the tyre\n";

/// A model of its own, for a test to write into.
pub fn model(folder: &Path) -> String {
    let model = folder.join("model");
    copy_folder(&quickstart_folder().join("model"), &model);
    text(&model)
}

fn notes(model: &str) -> Value {
    serde_json::from_slice(&fs::read(Path::new(model).join("whetstone.json")).unwrap()).unwrap()
}

/// A data set whose dev labels follow the model's own logits: the 60 highest are relevant, but for
/// one in twelve.
pub fn data_that_agrees(model: &str, folder: &Path, with_scores: bool) -> String {
    let passages: Vec<String> =
        (0..30).map(|at| format!("{} {}", PASSAGES.lines().nth(at % 4).unwrap(), at)).collect();
    let mut hits = Vec::new();
    for query in 0..8 {
        let question = format!("how to oil a chain {query}");
        let args = ["rerank", "--model", model, "--query", &question, "--json"];
        let answer = run_with_stdin(&args, &passages.join("\n")).json();
        hits.extend(
            answer.as_array().unwrap().iter().map(|hit| (query, question.clone(), hit.clone())),
        );
    }
    hits.sort_by(|a, b| b.2["score"].as_f64().unwrap().total_cmp(&a.2["score"].as_f64().unwrap()));
    let mut lines = vec![String::new(); 8];
    for (rank, (query, question, hit)) in hits.into_iter().enumerate() {
        let relevant = rank < 60 && rank % 12 != 11;
        let mut pair = json!({
            "query": question, "passage": hit["text"], "label": f32::from(u8::from(relevant)),
            "query_id": format!("q{query}"), "passage_id": format!("p{}", hit["index"]),
        });
        if with_scores {
            pair["provenance"] =
                json!({"miner": "bm25", "rank": 1, "score": (rank * 7 % 30) as f32});
        }
        lines[query] += &format!("{pair}\n");
    }
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("dev.jsonl"), lines.concat()).unwrap();
    text(folder)
}

#[test]
fn a_calibrated_model_fuses_and_gives_probabilities_and_its_weights_are_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let model = model(folder.path());
    let weights = fs::read(Path::new(&model).join("model.safetensors")).unwrap();
    let data = data_that_agrees(&model, &folder.path().join("data"), true);
    let args = [
        "calibrate",
        "--model",
        &model,
        "--data",
        &data,
        "--precision",
        "0.8",
        "--precision",
        "1",
        "--json",
    ];
    let manifest = run(&args).json();
    assert_eq!(
        (&manifest["counts"]["dev-queries"], &manifest["counts"]["dev-pairs"]),
        (&json!(8), &json!(240))
    );
    assert_eq!(run(&args).json()["up_to_date"], true);
    assert_eq!(run(&[&args[..], &["--force"]].concat()).json()["up_to_date"], false);

    let notes = notes(&model);
    let fusion = &notes["fusion"];
    assert_eq!(
        (&fusion["temperature"], &fusion["weights"], &fusion["chosen_on_dev"]),
        (&json!(4.0), &json!({"bm25": 0.25}), &json!(false)),
        "eight dev queries choose nothing"
    );
    assert!(fusion["model_alone"].as_f64() > fusion["first_stages"].as_f64(), "{notes:#}");
    assert_eq!(notes["first_stages"], json!(["bm25"]));
    assert!(
        notes["calibration"]["log_loss_after"].as_f64()
            < notes["calibration"]["log_loss_before"].as_f64(),
        "{notes:#}"
    );
    assert_eq!(notes["calibration"]["bins_after"].as_array().unwrap().len(), 10);
    let [threshold] = &notes["thresholds"].as_array().unwrap()[..] else { panic!("{notes:#}") };
    assert!(
        threshold["precision"].as_f64().unwrap() >= 0.8
            && threshold["above"].as_u64().unwrap() >= 20
    );
    assert!(
        manifest["notes"].to_string().contains("no threshold for precision 1: "),
        "{manifest:#}"
    );

    check_probabilities(&model, &notes["calibration"]);
    assert_eq!(fs::read(Path::new(&model).join("model.safetensors")).unwrap(), weights);
}

/// Holds the probabilities that `rerank` prints against the scaling of the notes.
fn check_probabilities(model: &str, calibration: &Value) {
    let query = ["rerank", "--model", model, "--query", "how to oil a chain", "--json"];
    let plain = run_with_stdin(&query, PASSAGES).json();
    let with = run_with_stdin(&[&query[..], &["--probability"]].concat(), PASSAGES).json();
    for (plain, with) in plain.as_array().unwrap().iter().zip(with.as_array().unwrap()) {
        assert_eq!(
            (plain["score"].clone(), plain.get("probability")),
            (with["score"].clone(), None)
        );
        let number = |name: &str| calibration[name].as_f64().unwrap();
        let logit = number("a") * with["score"].as_f64().unwrap() + number("b");
        assert!(
            (with["probability"].as_f64().unwrap() - 1.0 / (1.0 + (-logit).exp())).abs() < 1e-6,
            "{with}"
        );
    }
}

#[test]
fn the_first_stages_scores_may_come_from_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let model = model(folder.path());
    let data = data_that_agrees(&model, &folder.path().join("data"), false);
    let args = ["calibrate", "--model", &model, "--data", &data];
    assert_fails(
        &args,
        folder.path(),
        "error: `DIR/data/dev.jsonl` line 1: the pair has no score of the first stage\n\
         hint: name the first stage's run over the dev candidates with --first-stage",
    );
    // One passage of each query is not found: it counts as the lowest that is.
    let lines: String = (0..8)
        .flat_map(|query| {
            (0..29).map(move |at| format!("q{query} Q0 p{at} {} {} mine\n", at + 1, 30 - at))
        })
        .collect();
    let path = text(&folder.path().join("dev.run"));
    fs::write(&path, &lines).unwrap();
    let with_run = [&args[..], &["--first-stage", &path]].concat();
    assert_eq!(run(&with_run).code, Some(0));
    assert_eq!(notes(&model)["first_stages"], json!(["mine"]));
    let (a, b) = (format!("a={path}"), format!("b={path}"));
    let named = [&args[..], &["--first-stage", &a]].concat();
    let both = [&named[..], &["--first-stage", &b]].concat();
    assert_eq!(run(&both).code, Some(0));
    assert_eq!(notes(&model)["fusion"]["weights"], json!({"a": 0.5, "b": 0.5}));
    assert_fails(
        &[&named[..], &["--first-stage", &a]].concat(),
        folder.path(),
        "error: `DIR/dev.run` and `DIR/dev.run` are both named `a`\n\
         hint: give one of them another name: NAME=RUN",
    );
    fs::write(&path, "q0 Q0 elsewhere 1 30 mine\n").unwrap();
    assert_fails(
        &with_run,
        folder.path(),
        "error: `DIR/dev.run` ranks no candidate of `DIR/data/dev.jsonl`\n\
         hint: the run must be over the dev queries",
    );
}

#[test]
fn joined_scores_are_quickstarts_and_an_uncalibrated_model_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let model = model(folder.path());
    let [corpus, queries, candidates] = ["corpus.jsonl", "queries.jsonl", "candidates.run"]
        .map(|name| text(&quickstart_folder().join("data").join(name)));
    let out = text(&folder.path().join("fused.run"));
    let args = ["rerank", "--model", &model, "--corpus", &corpus, "--queries", &queries];
    let args = [&args[..], &["--candidates", &candidates, "--out", &out, "--fuse"]].concat();
    assert_eq!(run(&args).code, Some(0));
    let joined = fs::read(quickstart_folder().join("runs/joined.run")).unwrap();
    assert_eq!(fs::read(&out).unwrap(), joined);
    // Elsewhere the first stages' runs have to be named; then the result is the same.
    let alone = text(&folder.path().join("alone.run"));
    fs::copy(&candidates, &alone).unwrap();
    let moved: Vec<&str> =
        args.iter().map(|arg| if *arg == candidates { &*alone } else { *arg }).collect();
    assert_fails(
        &moved,
        folder.path(),
        "error: the join needs the scores of the first stage `bm25`, and there is no run of it\n\
         hint: name it with --first-stage bm25=RUN, or calibrate with the runs you have",
    );
    let [bm25, dense] = ["bm25", "dense"]
        .map(|name| text(&quickstart_folder().join(format!("data/runs/{name}.run"))));
    let named = [&moved[..], &["--first-stage", &bm25, "--first-stage", &dense]].concat();
    assert_eq!(run(&named).code, Some(0));
    assert_eq!(fs::read(&out).unwrap(), joined);

    fs::write(Path::new(&model).join("whetstone.json"), {
        let mut other = notes(&model);
        other["provenance"]["weights"] = json!("of another model");
        other.to_string()
    })
    .unwrap();
    let hint = "hint: run `whetstone calibrate --model DIR/model --data DIR` first";
    assert_fails(
        &args,
        folder.path(),
        &format!("error: `DIR/model/whetstone.json` was made for other weights\n{hint}"),
    );
    fs::remove_file(Path::new(&model).join("whetstone.json")).unwrap();
    assert_fails(
        &args,
        folder.path(),
        &format!("error: `DIR/model` has not been calibrated\n{hint}"),
    );
    let outcome =
        run_with_stdin(&["rerank", "--model", &model, "--query", "x", "--probability"], PASSAGES);
    assert!(
        outcome.code == Some(2) && outcome.stderr.contains("has not been calibrated"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn what_dev_cannot_support_is_said_and_bad_input_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let model = model(folder.path());
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    let pair = |label: u8, passage: &str| {
        format!(
            "{{\"query\":\"q\",\"passage\":\"{passage}\",\"label\":{label},\"query_id\":\"q\",\"passage_id\":\"{passage}\",\
             \"provenance\":{{\"miner\":\"rrf\",\"score\":1}}}}\n"
        )
    };
    fs::write(data.join("dev.jsonl"), pair(1, "a") + &pair(1, "b")).unwrap();
    let data_text = text(&data);
    let args = ["calibrate", "--model", &model, "--data", &data_text];
    let manifest = run(&[&args[..], &["--json"]].concat()).json();
    let said = manifest["notes"].to_string();
    for part in [
        "2 of 2 dev pairs are relevant, and both kinds are needed",
        "rests on 1 dev queries",
        "dev has fewer than 20 passages",
    ] {
        assert!(said.contains(part), "{said}");
    }
    assert_eq!(notes(&model)["calibration"], Value::Null);
    let outcome =
        run_with_stdin(&["rerank", "--model", &model, "--query", "x", "--probability"], PASSAGES);
    assert!(
        outcome.stderr.contains("holds no calibration: dev had too little for one"),
        "{}",
        outcome.stderr
    );

    fs::write(data.join("dev.jsonl"), "").unwrap();
    assert_fails(
        &args,
        folder.path(),
        "error: `DIR/data/dev.jsonl` has no pairs\n\
         hint: the data set needs dev queries: raise `dev-fraction` in [split]",
    );
    fs::remove_file(data.join("dev.jsonl")).unwrap();
    let outcome = run(&args);
    assert!(
        outcome.code == Some(2) && outcome.stderr.contains("data/dev.jsonl`"),
        "{}",
        outcome.stderr
    );
    let outcome = run(&[&args[..], &["--precision", "1.5"]].concat());
    assert!(outcome.stderr.contains("expected a share above 0 and up to 1"), "{}", outcome.stderr);
}
