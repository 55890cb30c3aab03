use crate::whetstone::{
    QUICKSTART, command, quickstart_folder, run, text, tiny_model, train_config,
};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

#[test]
fn a_killed_training_goes_on_and_ends_as_if_nothing_had_happened() {
    let folder = tempfile::tempdir().unwrap();
    let config = train_config(folder.path(), "").replace("train.toml", "long.toml");
    let long = fs::read_to_string(folder.path().join("train.toml"))
        .unwrap()
        .replace("epochs = 2", "epochs = 40");
    fs::write(&config, long).unwrap();
    let data = text(&quickstart_folder().join("data"));
    let [whole, killed] = ["whole", "killed"].map(|name| folder.path().join(name));
    let [whole_text, killed_text] = [&whole, &killed].map(|path| text(path));
    let whole_args = ["train", "--config", &config, "--data", &data, "--out", &whole_text];
    let killed_args = ["train", "--config", &config, "--data", &data, "--out", &killed_text];

    assert_eq!(run(&whole_args).code, Some(0));
    let mut child =
        command(&killed_args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !killed.join("step-000030").exists() {
        assert!(
            Instant::now() < deadline && child.try_wait().unwrap().is_none(),
            "no checkpoint before the end"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!killed.join("manifests/train.json").exists(), "a manifest says that all is whole");

    let outcome = run(&killed_args);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    for name in ["log.jsonl", "best.json"] {
        assert_eq!(
            fs::read(whole.join(name)).unwrap(),
            fs::read(killed.join(name)).unwrap(),
            "{name}"
        );
    }
}

/// The files below a folder by name, without what tells times: manifests, reports, and lines of
/// milliseconds.
fn files(folder: &Path, below: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(below).unwrap().map(Result::unwrap) {
        let (path, name) = (entry.path(), entry.file_name());
        match name.to_str().unwrap() {
            "manifests" | "report.html" | "report.md" => {}
            _ if path.is_dir() => files(folder, &path, found),
            "measures.json" => {
                let text = fs::read_to_string(&path).unwrap();
                let lines = text.lines().filter(|line| !line.contains("ms_per_query"));
                found.insert("measures.json".into(), lines.collect::<String>().into_bytes());
            }
            _ => {
                found.insert(text(path.strip_prefix(folder).unwrap()), fs::read(&path).unwrap());
            }
        }
    }
}

#[test]
fn killed_again_and_again_in_every_stage_quickstart_ends_with_the_same_bytes_and_nothing_else() {
    let (mut whole, model) = (BTreeMap::new(), tiny_model());
    files(quickstart_folder(), quickstart_folder(), &mut whole);
    let mut kills = 0;
    for first in [5, 17, 31] {
        let folder = tempfile::tempdir().unwrap();
        let out = text(folder.path());
        let args = [&QUICKSTART[..], &["--model", &model, "--out", &out, "--quiet"]].concat();
        // Every run gets a little further than the one before, so that the kills are spread over
        // all that is done.
        for life in (0..).map(|more| Duration::from_millis(first + 7 * more)) {
            let mut child =
                command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(life);
            match child.try_wait().unwrap() {
                Some(status) => {
                    assert_eq!(
                        status.code(),
                        Some(0),
                        "after {kills} kills: {}",
                        run(&args).stderr
                    );
                    break;
                }
                None => kills += 1,
            }
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let mut killed = BTreeMap::new();
        files(folder.path(), folder.path(), &mut killed);
        let names = |of: &BTreeMap<String, Vec<u8>>| of.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&killed), names(&whole));
        let other: Vec<_> = whole
            .iter()
            .filter(|(name, bytes)| killed[*name] != **bytes)
            .map(|(name, _)| name)
            .collect();
        assert!(other.is_empty(), "{other:?}");
    }
    assert!(kills >= 10, "only {kills} runs lived long enough to be killed");
}
