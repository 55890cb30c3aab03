//! What the targets have in common: a folder for the bytes, a small model, and errors told in full.

use std::path::{Path, PathBuf};
use whetstone_records::{Hint, one_line};

/// The files of a BERT with hidden size 8, which `seeds.py` makes.
const MODEL: [&str; 3] = ["config.json", "model.safetensors", "tokenizer.json"];

/// A folder for one process, below TMPDIR.
pub fn scratch() -> PathBuf {
    let folder = std::env::temp_dir().join(format!("whetstone-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("TMPDIR can be written to");
    folder
}

/// Writes the bytes as a file of the scratch folder and returns its path.
pub fn file(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).expect("TMPDIR can be written to");
    path
}

/// A copy of the small model in the scratch folder.
pub fn model() -> PathBuf {
    let folder = scratch().join("model");
    std::fs::create_dir_all(&folder).expect("TMPDIR can be written to");
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/model");
    for name in MODEL {
        std::fs::copy(made.join(name), folder.join(name)).expect("run fuzz/seeds.py first");
    }
    folder
}

/// Puts the bytes in place of a file of the small model, opens it and ranks with it.
pub fn rank_with(folder: &Path, name: &str, bytes: &[u8]) {
    file(folder, name, bytes);
    match whetstone_model::Reranker::open(folder) {
        Ok(reranker) => {
            let passages = ["a valve opens", "", "ünïcode \u{200d}\u{301} 漢字 🙂"];
            told(reranker.rank("when does the valve open", &passages));
        }
        Err(error) => tell(&error),
    }
}

/// Lets the program catch the panics of a library, at which libFuzzer would stop. One that nobody
/// catches still ends the run.
pub fn panics_may_be_caught() {
    std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
}

/// What an operation returned; an error is told as the program tells it.
pub fn told<T, E: std::error::Error + Hint>(result: Result<T, E>) -> Option<T> {
    result.inspect_err(|error| tell(error)).ok()
}

fn tell(error: &(impl std::error::Error + Hint)) {
    assert!(!one_line(error).is_empty());
    assert!(error.hint().is_none_or(|hint| !hint.is_empty()));
}
