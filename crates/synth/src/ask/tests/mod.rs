//! Tests of `ask` against a server on loopback.

mod client;
mod faults;
mod forms;
mod money;
pub(crate) mod server;
mod stage;

use super::*;
use crate::config::SynthConfig;
use server::Server;
use std::path::Path;
use whetstone_llm::LlmConfig;
use whetstone_records::{Passage, PassageMetadata, Query, Silent, read_jsonl};

/// A data set folder with `count` passages, two to a document.
fn data_set(count: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let passages = (0..count).map(|index| Passage {
        id: format!("d{}.md#{:04}", index / 2, index % 2 + 1).as_str().into(),
        title: format!("Book {}", index / 2),
        text: format!(
            "topic{index} is a thing of the world. It costs {index} kr in every shop of the town."
        ),
        metadata: PassageMetadata {
            document: Some(format!("d{}.md", index / 2).as_str().into()),
            span: Some((index, index + 1)),
            ..PassageMetadata::default()
        },
    });
    write_jsonl(&folder.path().join("corpus.jsonl"), passages).unwrap();
    folder
}

/// A config that waits as little as can be; no test sets the variable of the key.
fn config(server: &Server) -> SynthConfig {
    let mut config = SynthConfig { seed: 1, ..SynthConfig::default() };
    config.ask.generator = GeneratorName::Openai;
    config.llm = LlmConfig {
        base_url: server.url.clone(),
        name: "test-llm".into(),
        api_key_env: "WHETSTONE_TEST_KEY_THAT_IS_NOT_SET".into(),
        timeout_s: 5,
        max_wait_s: 1,
        max_retries: 2,
        ..LlmConfig::default()
    };
    config
}

fn run(out: &Path, config: &SynthConfig) -> Result<Manifest> {
    ask(&job(out, config), &Silent)
}

fn job<'a>(out: &'a Path, config: &'a SynthConfig) -> AskJob<'a> {
    AskJob { out, config, model: None, placement: Default::default() }
}

fn queries(out: &Path) -> Vec<Query> {
    read_jsonl(&out.join("queries.jsonl")).unwrap()
}

/// Every file below a folder, as text.
fn everything(folder: &Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        text += &if path.is_dir() {
            everything(&path)
        } else {
            std::fs::read_to_string(&path).unwrap()
        };
    }
    text
}
