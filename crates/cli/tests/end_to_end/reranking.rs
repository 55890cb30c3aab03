use crate::whetstone::{
    assert_fails, copy_folder, quickstart_folder, repository, run, run_with_stdin, text,
};
use std::fs;

const PASSAGES: &str = "oil the chain\nthe light is dark\n\nspokes of a wheel\n";

fn model() -> String {
    text(&quickstart_folder().join("model"))
}

#[test]
fn passages_on_stdin_come_back_with_index_score_and_text_highest_first() {
    let answer = run_with_stdin(
        &["rerank", "--model", &model(), "--query", "how to oil a chain", "--json"],
        PASSAGES,
    );
    let hits = answer.json();
    let hits = hits.as_array().unwrap();
    let lines: Vec<_> = PASSAGES.lines().collect();
    assert_eq!(hits.len(), 3, "the blank line is no passage");
    for hit in hits {
        assert_eq!(hit["text"], lines[hit["index"].as_u64().unwrap() as usize]);
        assert_eq!(hit.as_object().unwrap().len(), 3);
    }
    let scores: Vec<_> = hits.iter().map(|hit| hit["score"].as_f64().unwrap()).collect();
    assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
}

#[test]
fn files_and_stdin_give_the_same_answer() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("a.txt"), folder.path().join("b.txt"));
    // No line break at the end of the first file.
    fs::write(&first, "oil the chain\nthe light is dark").unwrap();
    fs::write(&second, "\nspokes of a wheel\n").unwrap();
    let args = ["rerank", "--model", &model(), "--query", "light"];
    let files = run(&[&args[..], &[&text(&first), &text(&second)]].concat());
    assert_eq!(files.stdout, run_with_stdin(&args, PASSAGES).stdout);
    assert_eq!(files.stdout.lines().count(), 3);
}

#[test]
fn a_run_is_reordered_over_the_same_candidates() {
    let folder = tempfile::tempdir().unwrap();
    let data = quickstart_folder().join("data");
    let [corpus, queries, candidates] =
        ["corpus.jsonl", "queries.jsonl", "candidates.run"].map(|name| text(&data.join(name)));
    let out = text(&folder.path().join("mine.run"));
    let model = model();
    let args = [
        "rerank",
        "--model",
        &model,
        "--corpus",
        &corpus,
        "--queries",
        &queries,
        "--candidates",
        &candidates,
        "--out",
        &out,
        "--json",
    ];
    let manifest = run(&args).json();
    assert_eq!(manifest["counts"]["queries"], 3);
    assert_eq!(run(&args).json()["up_to_date"], true);
    assert_eq!(
        fs::read(&out).unwrap(),
        fs::read(quickstart_folder().join("runs/tuned.run")).unwrap()
    );
    let ids = |path: &str| {
        let text = fs::read_to_string(path).unwrap();
        let mut ids: Vec<_> = text
            .lines()
            .map(|line| line.split(' ').take(3).collect::<Vec<_>>().join(" "))
            .collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(&out), ids(&candidates));

    let own = folder.path().join("own.run");
    fs::copy(&candidates, &own).unwrap();
    let (own, model) = (text(&own), model.as_str());
    let args = ["rerank", "--model", model, "--corpus", &corpus, "--queries", &queries];
    let expected =
        "error: `DIR/own.run` is to be read and to be written over\nhint: give --out another name";
    assert_fails(
        &[&args[..], &["--candidates", &own, "--out", &own]].concat(),
        folder.path(),
        expected,
    );
    assert_eq!(fs::read(&own).unwrap(), fs::read(&candidates).unwrap());
}

#[test]
fn an_id_that_occurs_twice_is_refused_and_leaves_no_run() {
    let folder = tempfile::tempdir().unwrap();
    let data = quickstart_folder().join("data");
    let [corpus, queries, candidates] =
        ["corpus.jsonl", "queries.jsonl", "candidates.run"].map(|name| data.join(name));
    let candidate = fs::read_to_string(&candidates).unwrap();
    let candidate = candidate.split_whitespace().nth(2).unwrap();
    let twice = folder.path().join("corpus.jsonl");
    let text_of_corpus = fs::read_to_string(&corpus).unwrap();
    let again = format!("{{\"_id\":\"{candidate}\",\"text\":\"another text\"}}\n");
    fs::write(&twice, format!("{text_of_corpus}{again}")).unwrap();
    let out = folder.path().join("out/mine.run");
    let args = ["rerank", "--model", &model()].map(str::to_owned);
    let files = [
        ("--corpus", &twice),
        ("--queries", &queries),
        ("--candidates", &candidates),
        ("--out", &out),
    ];
    let files = files.into_iter().flat_map(|(flag, path)| [flag.to_owned(), text(path)]);
    let args: Vec<String> = args.into_iter().chain(files).collect();
    let line = text_of_corpus.lines().count() + 1;
    assert_fails(
        &args.iter().map(String::as_str).collect::<Vec<_>>(),
        folder.path(),
        &format!(
            "error: `DIR/corpus.jsonl` line {line}: id `{candidate}` occurs twice
hint: ids must be unique; delete one of the two"
        ),
    );
    assert!(!out.exists());
}

#[test]
fn a_model_whose_scores_are_no_numbers_leaves_no_run() {
    let folder = tempfile::tempdir().unwrap();
    let spoilt = folder.path().join("model");
    copy_folder(&quickstart_folder().join("model"), &spoilt);
    let weights = spoilt.join("model.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let tensors: serde_json::Value = serde_json::from_slice(&bytes[8..8 + header]).unwrap();
    let bias = tensors["classifier.bias"]["data_offsets"][0].as_u64().unwrap() as usize;
    bytes[8 + header + bias..][..4].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&weights, bytes).unwrap();
    let data = quickstart_folder().join("data");
    let out = folder.path().join("mine.run");
    let paths = [
        ("--corpus", data.join("corpus.jsonl")),
        ("--queries", data.join("queries.jsonl")),
        ("--candidates", data.join("candidates.run")),
        ("--out", out.clone()),
        ("--model", spoilt),
    ];
    let args = paths.iter().flat_map(|(flag, path)| [(*flag).to_owned(), text(path)]);
    let args: Vec<String> = ["rerank".to_owned()].into_iter().chain(args).collect();
    let outcome = run(&args.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
    let left = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(left.into_iter().all(|name| !name.to_string_lossy().contains("run")));
}

#[test]
fn runs_are_fused_as_quickstart_fuses_them() {
    let folder = tempfile::tempdir().unwrap();
    let made = quickstart_folder();
    let parts = ["data/runs/bm25.run", "data/runs/dense.run", "runs/tuned.run"]
        .map(|name| text(&made.join(name)));
    let out = text(&folder.path().join("fused.run"));
    let args = ["fuse", &parts[0], &parts[1], &parts[2], "--out", &out, "--json"];
    assert_eq!(run(&args).json()["counts"]["queries"], 3);
    assert_eq!(run(&args).json()["up_to_date"], true);
    assert_eq!(fs::read(&out).unwrap(), fs::read(made.join("runs/fused.run")).unwrap());
    // A report says how the run was made, as long as the file is what was made.
    let (qrels, report) = (text(&made.join("data/qrels/test.tsv")), folder.path().join("eval"));
    let runs = [format!("bm25={}", parts[0]), format!("fused={out}")];
    let is_told = || {
        run(&[
            "eval",
            "--qrels",
            &qrels,
            "--run",
            &runs[0],
            "--run",
            &runs[1],
            "--out",
            &text(&report),
        ]);
        fs::read_to_string(report.join("report.html")).unwrap().contains("fuse-fused")
    };
    assert!(is_told());
    fs::copy(&parts[1], &out).unwrap();
    assert!(!is_told());
}

#[test]
fn a_run_is_not_written_over_by_its_own_fusion() {
    let folder = tempfile::tempdir().unwrap();
    let run_file = folder.path().join("a.run");
    fs::write(&run_file, "q Q0 p 1 0.5 a\n").unwrap();
    let path = text(&run_file);
    let expected =
        "error: `DIR/a.run` is to be read and to be written over\nhint: give --out another name";
    assert_fails(&["fuse", &path, &path, "--out", &path], folder.path(), expected);
    assert_eq!(fs::read_to_string(&run_file).unwrap(), "q Q0 p 1 0.5 a\n");
    assert_fails(
        &["fuse", &path, &path, "--weight", "1", "--out", "b.run"],
        folder.path(),
        "error: --weight goes with --way scores\nhint: add --way scores and --logits",
    );
    assert_fails(
        &["fuse", &path, "--out", "b.run"],
        folder.path(),
        "error: there is only one run to fuse\nhint: give two or more",
    );
}

#[test]
fn scores_are_joined_by_hand_as_quickstart_joins_them() {
    let folder = tempfile::tempdir().unwrap();
    let made = quickstart_folder();
    let [bm25, dense, tuned] = ["data/runs/bm25.run", "data/runs/dense.run", "runs/tuned.run"]
        .map(|name| text(&made.join(name)));
    let out = text(&folder.path().join("joined.run"));
    let args = ["fuse", &bm25, &dense, "--logits", &tuned, "--out", &out];
    let scores = [&args[..], &["--way", "scores", "--json"]].concat();
    assert_eq!(run(&scores).json()["counts"]["runs"], 3);
    assert_eq!(run(&scores).json()["up_to_date"], true);
    assert_eq!(fs::read(&out).unwrap(), fs::read(made.join("runs/joined.run")).unwrap());
    let cooler = run(&[&scores[..], &["--temperature", "1"]].concat());
    assert_eq!(cooler.json()["up_to_date"], false);
    assert_fails(
        &args,
        folder.path(),
        "error: --logits goes with --way scores\n\
         hint: add --way scores, or give the model's run among the others",
    );
    let outcome = run(&["fuse", &bm25, "--way", "scores", "--out", &out]);
    assert!(outcome.stderr.contains("--logits <RUN>"), "{}", outcome.stderr);
}

#[test]
fn a_late_interaction_reranks_and_a_change_of_its_settings_reranks_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| text(&folder.path().join(name));
    copy_folder(&repository().join("tests/oracles/tiny-colbert"), &folder.path().join("model"));
    let model = path("model");
    let args = ["rerank", "--model", &model, "--query", "how to oil a chain"];
    assert_eq!(run_with_stdin(&args, PASSAGES).stdout.lines().count(), 3);

    let passage = |id: &str, text: &str| format!("{{\"_id\": \"{id}\", \"text\": \"{text}\"}}\n");
    let corpus = PASSAGES.lines().filter(|line| !line.is_empty()).zip(["a", "b", "c"]);
    let corpus: String = corpus.map(|(line, id)| passage(id, line)).collect();
    fs::write(path("corpus.jsonl"), corpus).unwrap();
    fs::write(path("queries.jsonl"), passage("q", "which valve opens")).unwrap();
    fs::write(path("first.run"), "q Q0 a 1 3 x\nq Q0 b 2 2 x\nq Q0 c 3 1 x\n").unwrap();
    let [corpus, queries, first, out] =
        ["corpus.jsonl", "queries.jsonl", "first.run", "late.run"].map(path);
    let rerank = || {
        let texts = ["--corpus", &corpus, "--queries", &queries, "--candidates", &first];
        let outcome = run(&[&["rerank", "--model", &model], &texts[..], &["--out", &out]].concat());
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        fs::read_to_string(&out).unwrap()
    };
    let scores = rerank();
    assert_eq!(scores.lines().count(), 3);
    let settings = folder.path().join("model/artifact.metadata");
    let changed = fs::read_to_string(&settings)
        .unwrap()
        .replace("\"query_maxlen\": 32", "\"query_maxlen\": 16");
    fs::write(&settings, changed).unwrap();
    assert_ne!(rerank(), scores);
}
