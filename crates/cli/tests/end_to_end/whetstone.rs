//! Runs the binary, and a small data set and model that the tests share.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

/// The folder of the repository, which every test runs in.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

pub fn tiny_model() -> String {
    text(&repository().join("tests/oracles/tiny-model"))
}

pub fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// Copies the files of a folder and of its folders.
pub fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_whetstone"));
    command.args(args).current_dir(repository()).stdin(Stdio::null());
    // Nothing of the tester's own hub reaches the tests: a port where nobody answers, an empty
    // cache.
    command
        .env("HF_ENDPOINT", "http://127.0.0.1:9")
        .env("HF_HOME", "/nonexistent")
        .env_remove("HF_TOKEN");
    command.env_remove("RUST_BACKTRACE");
    command
}

pub struct Outcome {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

impl Outcome {
    /// The JSON on stdout of a command that must have done its work.
    pub fn json(&self) -> serde_json::Value {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        serde_json::from_str(&self.stdout).unwrap()
    }
}

pub fn run(args: &[&str]) -> Outcome {
    command(args).output().unwrap().into()
}

pub fn run_with_stdin(args: &[&str], stdin: &str) -> Outcome {
    let mut child = command(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    child.wait_with_output().unwrap().into()
}

/// Checks that a command failed with exactly this on stderr, where DIR stands for `folder`.
pub fn assert_fails(args: &[&str], folder: &Path, expected: &str) {
    let outcome = run(args);
    let stderr = outcome.stderr.replace(&text(folder), "DIR");
    assert_eq!((outcome.code, stderr.trim_end()), (Some(2), expected.trim()), "{args:?}");
    assert_eq!(outcome.stdout, "", "an error leaves stdout empty");
}

pub const QUICKSTART: [&str; 7] = [
    "quickstart",
    "--config",
    "tests/e2e/quickstart.toml",
    "--train-config",
    "tests/e2e/train.toml",
    "--fresh-config",
    "tests/e2e/train.toml",
];

/// What a quickstart on the tiny corpus leaves; made once, read by many tests.
pub fn quickstart_folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let out = tempfile::tempdir().unwrap().keep();
        let (model, folder) = (tiny_model(), text(&out));
        let outcome =
            run(&[&QUICKSTART[..], &["--model", &model, "--out", &folder, "--quiet"]].concat());
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        out
    })
}

/// A config of the data set on the tiny model.
pub fn synth_config(folder: &Path) -> String {
    let config = fs::read_to_string(repository().join("tests/e2e/quickstart.toml")).unwrap();
    let path = folder.join("synth.toml");
    fs::write(&path, format!("model = \"{}\"\n{config}", tiny_model())).unwrap();
    text(&path)
}

/// A config of the training on the tiny model.
pub fn train_config(folder: &Path, more: &str) -> String {
    let config = fs::read_to_string(repository().join("tests/e2e/train.toml")).unwrap();
    let path = folder.join("train.toml");
    fs::write(&path, format!("model = \"{}\"\n{config}\n{more}\n", tiny_model())).unwrap();
    text(&path)
}
