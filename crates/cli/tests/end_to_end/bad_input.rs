use crate::whetstone::{
    assert_fails, quickstart_folder, run, synth_config, text, tiny_model, train_config,
};
use std::fs;
use std::path::{Path, PathBuf};

/// A copy of the tiny model that a test may spoil.
fn model(folder: &Path) -> PathBuf {
    let out = folder.join("model");
    fs::create_dir(&out).unwrap();
    for name in ["config.json", "model.safetensors", "tokenizer.json"] {
        fs::copy(Path::new(&tiny_model()).join(name), out.join(name)).unwrap();
    }
    out
}

fn config(folder: &Path, text_: &str) -> String {
    let path = folder.join("bad.toml");
    fs::write(&path, text_).unwrap();
    text(&path)
}

#[test]
fn an_empty_corpus() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = folder.path().join("corpus");
    fs::create_dir(&corpus).unwrap();
    let out = folder.path().join("out");
    assert_fails(
        &[
            "synth",
            "--config",
            &synth_config(folder.path()),
            "--corpus",
            &text(&corpus),
            "--out",
            &text(&out),
            "--quiet",
        ],
        folder.path(),
        "error: the corpus `DIR/corpus` holds no text (0 files skipped)
hint: documents are files named .md, .markdown, .mdx, .txt, .html or .htm with text in UTF-8",
    );
    assert!(!out.join("corpus.jsonl").exists());
}

#[test]
fn a_config_with_an_unknown_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = config(folder.path(), "seed = 1\n[chunk]\npassage-token = 3\n");
    let outcome = run(&["chunk", "--config", &path, "--corpus", "x", "--out", "y"]);
    assert_eq!(outcome.code, Some(2));
    for part in [
        "bad.toml` is not understood\n",
        "line 3, column 1",
        "passage-token = 3\n",
        "^^^^^^^^^^^^^",
        "\nhint: ",
    ] {
        assert!(outcome.stderr.contains(part), "{part:?} is not in\n{}", outcome.stderr);
    }
    let path = config(folder.path(), "epoch = 1\n");
    let outcome = run(&["train", "--config", &path, "--data", "x", "--out", "y"]);
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.stderr.contains("unknown field `epoch`"), "{}", outcome.stderr);
}

#[test]
fn a_config_with_an_impossible_value() {
    let folder = tempfile::tempdir().unwrap();
    let path = config(folder.path(), "[split]\ndev-fraction = 1.5\n");
    assert_fails(
        &["chunk", "--config", &path, "--corpus", "x", "--out", "y"],
        folder.path(),
        "error: `split.dev-fraction` must be in [0, 1), got 1.5
hint: configs/synth.toml explains every key",
    );
}

#[test]
fn a_config_that_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    assert_fails(
        &["train", "--config", &text(&folder.path().join("no.toml")), "--data", "x", "--out", "y"],
        folder.path(),
        "error: cannot read `DIR/no.toml`: No such file or directory (os error 2)
hint: check the path; nothing was written",
    );
}

#[test]
fn a_missing_model_file() {
    let folder = tempfile::tempdir().unwrap();
    let model = model(folder.path());
    fs::remove_file(model.join("tokenizer.json")).unwrap();
    assert_fails(
        &["rerank", "--model", &text(&model), "--query", "x"],
        folder.path(),
        "error: `DIR/model` is no model: it has no tokenizer.json
hint: place tokenizer.json of the model in that folder",
    );
}

#[test]
fn a_truncated_safetensors_file() {
    let folder = tempfile::tempdir().unwrap();
    let model = model(folder.path());
    let weights = model.join("model.safetensors");
    let bytes = fs::read(&weights).unwrap();
    fs::write(&weights, &bytes[..bytes.len() - 1000]).unwrap();
    let (found, stated) = (bytes.len() - 1000, bytes.len());
    assert_fails(
        &["rerank", "--model", &text(&model), "--query", "x"],
        folder.path(),
        &format!(
            "error: `DIR/model/model.safetensors` is not whole: it has {found} bytes, its header says {stated}
hint: get that file again; if `whetstone pull` made the folder, run it with --force"
        ),
    );
}

#[test]
fn a_checkpoint_that_is_none() {
    let folder = tempfile::tempdir().unwrap();
    assert_fails(
        &[
            "export",
            "--checkpoint",
            &text(folder.path()),
            "--out",
            &text(&folder.path().join("out")),
        ],
        folder.path(),
        "error: `DIR` is neither a training run with a best step nor a step folder
hint: name the --out folder of `whetstone train`, or a step-000500 folder in it",
    );
}

#[test]
fn a_data_set_without_training_pairs() {
    let folder = tempfile::tempdir().unwrap();
    let config = train_config(folder.path(), "");
    assert_fails(
        &[
            "train",
            "--config",
            &config,
            "--data",
            &text(folder.path()),
            "--out",
            &text(&folder.path().join("run")),
        ],
        folder.path(),
        "error: cannot read `DIR/train.jsonl`: No such file or directory (os error 2)
hint: check the path; nothing was written",
    );
}

#[test]
fn a_run_with_a_bad_line() {
    let folder = tempfile::tempdir().unwrap();
    let (qrels, run) = (folder.path().join("a.tsv"), folder.path().join("a.run"));
    fs::write(&qrels, "q 0 p 1\n").unwrap();
    fs::write(&run, "q Q0 p 1 high x\n").unwrap();
    assert_fails(
        &["eval", "--qrels", &text(&qrels), "--run", &format!("a={}", text(&run))],
        folder.path(),
        "error: `DIR/a.run` line 1: expected a number as score, got `q Q0 p 1 high x`
hint: correct or delete that line",
    );
}

#[test]
fn candidates_of_another_corpus() {
    let folder = tempfile::tempdir().unwrap();
    let data = quickstart_folder().join("data");
    let [queries, candidates] =
        ["queries.jsonl", "candidates.run"].map(|name| text(&data.join(name)));
    let corpus = folder.path().join("corpus.jsonl");
    fs::write(&corpus, "{\"_id\":\"other\",\"text\":\"a passage\"}\n").unwrap();
    let out = folder.path().join("a.run");
    let outcome = run(&[
        "rerank",
        "--model",
        &tiny_model(),
        "--corpus",
        &text(&corpus),
        "--queries",
        &queries,
        "--candidates",
        &candidates,
        "--out",
        &text(&out),
    ]);
    assert_eq!(outcome.code, Some(2));
    assert!(
        outcome.stderr.starts_with("error: the candidates do not belong to this corpus: ")
            && outcome.stderr.contains(" passages are not in `")
            && outcome
                .stderr
                .ends_with("hint: corpus, queries and candidates must be of one data set\n"),
        "{}",
        outcome.stderr
    );
    assert!(!out.exists());
}

#[test]
fn no_passages_and_no_query() {
    let folder = tempfile::tempdir().unwrap();
    assert_fails(
        &["rerank", "--model", &tiny_model(), "--query", "x"],
        folder.path(),
        "error: there are no passages
hint: name files with a passage on each line, or pipe them in",
    );
    assert_fails(
        &["rerank", "--model", &tiny_model(), "--query", " "],
        folder.path(),
        "error: the query is empty
hint: write the question after --query",
    );
}

#[test]
fn a_device_that_is_not_built_in() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("p.txt");
    fs::write(&file, "a passage\n").unwrap();
    assert_fails(
        &["rerank", "--model", &tiny_model(), "--query", "x", "--device", "cuda", &text(&file)],
        folder.path(),
        "error: this build has no support for device `cuda`
hint: build with `cargo build --release --features cuda`, or use `--device cpu`",
    );
    let config = config(folder.path(), "");
    assert_fails(
        &["train", "--config", &config, "--data", "x", "--out", "y", "--devices", "2"],
        folder.path(),
        "error: 2 devices `cpu` were asked for
hint: `--devices` is a number of GPUs, for `--device cuda` or `wgpu`",
    );
}

#[test]
#[cfg(target_os = "linux")]
fn a_disk_that_is_full() {
    // /dev/full takes no byte; the way to it for a file is standard output.
    let model = text(&quickstart_folder().join("model"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("p.txt");
    fs::write(&file, "a passage\n").unwrap();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output =
        crate::whetstone::command(&["rerank", "--model", &model, "--query", "x", &text(&file)])
            .stdout(full)
            .output()
            .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        stderr,
        "error: cannot write to standard output: No space left on device (os error 28)
hint: free some disk space and run the same command again; what is complete is kept\n"
    );
}
