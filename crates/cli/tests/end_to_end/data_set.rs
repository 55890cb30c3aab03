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

#[test]
fn a_run_of_another_search_is_found_beside_the_config_and_asked_for_where_it_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let config = synth_config(folder.path());
    let own = "\n[[mine.from]]\nkind = 'run'\nname = 'own'\npath = 'own.run'\nfraction = 0.4\n";
    fs::write(&config, fs::read_to_string(&config).unwrap() + own).unwrap();
    let data = text(&folder.path().join("data"));
    let of = |command: &'static str| run(&[command, "--config", &config, "--out", &data, "--json"]);
    for command in ["chunk", "ask"] {
        of(command).json();
    }
    let missing = of("mine");
    assert_eq!(missing.code, Some(2));
    assert!(missing.stderr.contains("hint: after `whetstone ask`"), "{}", missing.stderr);

    // A search that ranks the passages by their place in the corpus.
    let ids = |file: &str| -> Vec<String> {
        let lines = fs::read_to_string(folder.path().join("data").join(file)).unwrap();
        let id = |line: &str| {
            let record: serde_json::Value = serde_json::from_str(line).unwrap();
            record["_id"].as_str().unwrap().to_owned()
        };
        lines.lines().map(id).collect()
    };
    let passages = ids("corpus.jsonl");
    let mut found = String::new();
    for query in ids("queries.jsonl") {
        for (passage, rank) in passages.iter().zip(1..) {
            found += &format!("{query} Q0 {passage} {rank} {} own\n", 1.0 / rank as f64);
        }
    }
    fs::write(folder.path().join("own.run"), found).unwrap();
    assert!(of("mine").json()["inputs"]["run/own"].is_string());
    let outputs = &of("pair").json()["outputs"];
    assert!(outputs["runs/own.run"].is_string() && outputs["runs/bm25.run"].is_null(), "{outputs}");
}

/// A BEIR folder whose every document has a question of a person.
fn beir(folder: &Path, thing: &str) -> String {
    fs::create_dir_all(folder.join("qrels")).unwrap();
    let [mut corpus, mut queries] = [String::new(), String::new()];
    let mut qrels = "query-id\tcorpus-id\tscore\n".to_owned();
    for number in 0..30 {
        let text = format!("The {thing} number {number} is oiled every {} weeks.", number + 2);
        corpus += &format!("{{\"_id\": \"{number}\", \"title\": \"\", \"text\": \"{text}\"}}\n");
        let question = format!("how often must {thing} {number} be oiled?");
        queries += &format!("{{\"_id\": \"{number}\", \"text\": \"{question}\"}}\n");
        qrels += &format!("{number}\t{number}\t1\n");
    }
    fs::write(folder.join("corpus.jsonl"), corpus).unwrap();
    fs::write(folder.join("queries.jsonl"), queries).unwrap();
    fs::write(folder.join("qrels/train.tsv"), qrels).unwrap();
    text(folder)
}

#[test]
fn several_collections_become_one_data_set_that_a_cross_encoder_teaches() {
    let folder = tempfile::tempdir().unwrap();
    let config = synth_config(folder.path());
    let folders = ["pumps", "valves"].map(|thing| beir(&folder.path().join(thing), thing));
    let own = fs::read_to_string(&config).unwrap();
    let own: Vec<&str> = own.lines().filter(|line| line.starts_with("model")).collect();
    let toml = format!(
        "{}\n[gather]\nfolders = {folders:?}\n[pair]\nteacher = \"cross-encoder\"\n\
         teacher-model = \"tests/oracles/tiny-model\"\n",
        own.join("\n")
    );
    fs::write(&config, toml).unwrap();
    let [data, other] = ["data", "other"].map(|name| text(&folder.path().join(name)));
    let manifests = run(&["synth", "--config", &config, "--out", &data, "--json"]).json();
    let stages: Vec<_> =
        manifests.as_array().unwrap().iter().map(|one| one["stage"].as_str().unwrap()).collect();
    assert_eq!(stages, ["gather", "mine", "pair"]);
    for stage in stages {
        run(&[stage, "--config", &config, "--out", &other, "--json"]).json();
    }
    let train = |data: &str| fs::read_to_string(Path::new(data).join("train.jsonl")).unwrap();
    assert_eq!(train(&data), train(&other));
    for line in train(&data).lines() {
        let pair: serde_json::Value = serde_json::from_str(line).unwrap();
        let collection = |key: &str| pair[key].as_str().unwrap().split('/').next().unwrap();
        assert_eq!(collection("query_id"), collection("passage_id"));
        assert!(pair["teacher"].is_number(), "{line}");
    }

    let both = ["synth", "--config", &config, "--corpus", &folders[0], "--out", &data];
    let outcome = run(&both);
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.stderr.contains("a corpus and folders to gather"), "{}", outcome.stderr);
    let outcome = run(&["ask", "--config", &config, "--out", &data]);
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.stderr.contains("are those of its folders"), "{}", outcome.stderr);
    assert_eq!(train(&data), train(&other));
}
