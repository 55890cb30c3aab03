//! Tests of `grade` against a server on loopback.

use super::*;
use crate::ask::tests::server::{Reply, Server, completion};
use crate::fixture::Fixture;
use whetstone_llm::LlmConfig;
use whetstone_records::{Hint, Silent};

/// Grades a small data set by a server that says the same to everything.
fn graded(content: &'static str, reason: &'static str) -> (tempfile::TempDir, Result<Manifest>) {
    let server = Server::start(move |_| Reply::Status(200, "", completion(content, reason)));
    let folder = tempfile::tempdir().unwrap();
    Fixture::new(4).write(folder.path());
    std::fs::write(DataSet::new(folder.path()).negatives(), "").unwrap();
    let llm = LlmConfig {
        base_url: server.url.clone(),
        api_key_env: "WHETSTONE_TEST_KEY_THAT_IS_NOT_SET".into(),
        ..LlmConfig::default()
    };
    let config = SynthConfig { llm, ..SynthConfig::default() };
    let manifest = grade(folder.path(), &config, &Silent);
    (folder, manifest)
}

#[test]
fn a_grade_is_taken_in_every_form() {
    for content in ["{\"grade\": \"2/3\"}", "<think>{\"grade\": 3}?</think>2.0", "Grade: 2"] {
        let (folder, manifest) = graded(content, "stop");
        let counts = manifest.unwrap().counts;
        assert_eq!(counts["positives-of-grade-2"], counts["pairs"], "{content} {counts:?}");
        assert!(read(folder.path()).unwrap().values().all(|grade| *grade == 2));
    }
}

#[test]
fn where_no_grade_can_be_read_it_fails_and_keeps_the_journal() {
    for (content, reason, hint) in [
        ("<think>{\"grade\": 3}", "length", "raise `grade.max-answer-tokens` (1024)"),
        ("Let me see: the pump", "length", "raise `grade.max-answer-tokens` (1024)"),
        ("It is fine.", "stop", "try another model or prompt"),
    ] {
        let (folder, manifest) = graded(content, reason);
        let error = manifest.unwrap_err();
        assert!(error.to_string().starts_with("no answer of `default` can be read: "), "{error}");
        assert!(error.hint().unwrap().contains(hint), "{:?}", error.hint());
        let data = DataSet::new(folder.path());
        assert!(!data.grades().exists() && data.ask_journal().metadata().unwrap().len() > 0);
    }
}
