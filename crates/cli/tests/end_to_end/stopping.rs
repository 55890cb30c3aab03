use crate::whetstone::{command, quickstart_folder, run, text, train_config};
use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

#[test]
fn a_killed_training_goes_on_and_ends_as_if_nothing_had_happened() {
    let folder = tempfile::tempdir().unwrap();
    let config = train_config(folder.path(), "").replace("train.toml", "long.toml");
    let long = fs::read_to_string(folder.path().join("train.toml")).unwrap().replace("epochs = 2", "epochs = 40");
    fs::write(&config, long).unwrap();
    let data = text(&quickstart_folder().join("data"));
    let [whole, killed] = ["whole", "killed"].map(|name| folder.path().join(name));
    let [whole_text, killed_text] = [&whole, &killed].map(|path| text(path));
    let whole_args = ["train", "--config", &config, "--data", &data, "--out", &whole_text];
    let killed_args = ["train", "--config", &config, "--data", &data, "--out", &killed_text];

    assert_eq!(run(&whole_args).code, Some(0));
    let mut child = command(&killed_args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !killed.join("step-000030").exists() {
        assert!(Instant::now() < deadline && child.try_wait().unwrap().is_none(), "no checkpoint before the end");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!killed.join("manifests/train.json").exists(), "a manifest says that all is whole");

    let outcome = run(&killed_args);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    for name in ["log.jsonl", "best.json"] {
        assert_eq!(fs::read(whole.join(name)).unwrap(), fs::read(killed.join(name)).unwrap(), "{name}");
    }
}
