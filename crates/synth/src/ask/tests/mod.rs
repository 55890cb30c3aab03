mod server;

use super::*;
use crate::config::GeneratorName;
use serde_json::json;
use server::{Reply, Server, asked_text, completion, good};
use std::fs;
use std::time::{Duration, Instant};
use whetstone_records::{PassageMetadata, Silent};

/// A data set folder with `count` passages, two to a document.
fn data_set(count: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let passages = (0..count).map(|index| Passage {
        id: format!("d{}.md#{:04}", index / 2, index % 2 + 1).as_str().into(),
        title: format!("Book {}", index / 2),
        text: format!("topic{index} is a thing of the world. It costs {index} kr in every shop of the town."),
        metadata: PassageMetadata {
            document: Some(format!("d{}.md", index / 2).as_str().into()),
            span: Some((index, index + 1)),
        },
    });
    write_jsonl(&folder.path().join("corpus.jsonl"), passages).unwrap();
    folder
}

/// A config that waits as little as can be; no test sets the variable of the key.
fn config(server: &Server) -> AskConfig {
    AskConfig {
        generator: GeneratorName::Openai,
        base_url: server.url.clone(),
        llm: "test-llm".into(),
        api_key_env: "WHETSTONE_TEST_KEY_THAT_IS_NOT_SET".into(),
        timeout_s: 5,
        max_wait_s: 1,
        max_retries: 2,
        ..AskConfig::default()
    }
}

fn queries(out: &Path) -> Vec<Query> {
    read_jsonl(&out.join("queries.jsonl")).unwrap()
}

#[test]
fn every_passage_is_asked_about_once_and_never_again() {
    let (folder, server) = (data_set(6), Server::start(good));
    let out = folder.path();
    let manifest = ask(out, &config(&server), 1, &Silent).unwrap();
    let count = |name: &str| manifest.counts[name];
    assert_eq!((server.count(), count("calls"), count("queries"), count("tokens-in")), (6, 6, 18, 600));
    let queries = queries(out);
    assert_eq!(queries[0].id.as_str(), "d0.md#0001-q1");
    assert_eq!(queries[0].metadata.generator.as_deref(), Some("test-llm"));
    let qrels = Qrels::read(&out.join("qrels/all.tsv")).unwrap();
    assert_eq!(qrels.get("d2.md#0002-q3").unwrap()["d2.md#0002"], 1);
    assert!(server.headers().iter().all(|headers| !headers.to_lowercase().contains("authorization")));

    assert!(ask(out, &config(&server), 1, &Silent).unwrap().up_to_date);
    fs::remove_dir_all(out.join("manifests")).unwrap();
    let before = fs::read(out.join("queries.jsonl")).unwrap();
    let manifest = ask(out, &config(&server), 1, &Silent).unwrap();
    assert_eq!((server.count(), manifest.counts["calls"], manifest.counts["answers-from-journal"]), (6, 0, 6));
    assert_eq!(fs::read(out.join("queries.jsonl")).unwrap(), before);

    let prompt = AskConfig { temperature: 0.2, max_passages: Some(2), ..config(&server) };
    ask(out, &prompt, 1, &Silent).unwrap();
    assert_eq!(server.count(), 8, "changed parameters pay for what they ask");
}

#[test]
fn trouble_on_the_way_is_met_with_another_try() {
    let faults = [
        || Reply::Status(429, "retry-after: 1\r\n", "{}".into()),
        || Reply::Status(500, "", "oops".into()),
        || Reply::Torn("{\"choices\": [".into()),
        || Reply::Status(200, "", "{\"choices\": [{".into()),
        || Reply::Status(200, "", json!({"error": {"code": 502, "message": "upstream"}}).to_string()),
    ];
    let server = Server::start(move |request| match faults.get(request.number) {
        Some(fault) => fault(),
        None => good(request),
    });
    let folder = data_set(2);
    let started = Instant::now();
    let manifest = ask(folder.path(), &AskConfig { max_retries: 5, ..config(&server) }, 1, &Silent).unwrap();
    assert_eq!((server.count(), manifest.counts["calls-retried"], manifest.counts["queries"]), (7, 5, 6));
    assert!(started.elapsed() >= Duration::from_secs(1), "Retry-After is honoured");
}

#[test]
fn a_call_that_hangs_is_given_up_and_its_passage_reported() {
    let server = Server::start(|request| match asked_text(&request.body).starts_with("topic1 ") {
        true => Reply::Hang,
        false => good(request),
    });
    let folder = data_set(4);
    let hasty = AskConfig { timeout_s: 1, max_retries: 1, ..config(&server) };
    let manifest = ask(folder.path(), &hasty, 1, &Silent).unwrap();
    assert_eq!((manifest.counts["queries"], manifest.counts["passages-not-answered"]), (9, 1));
    assert!(manifest.notes[0].contains("1 passages have no query: `d0.md#0002`"), "{:?}", manifest.notes);
}

#[test]
fn a_wrong_key_model_or_address_stops_the_run_at_once_with_a_hint() {
    for (status, hint) in [(401, "WHETSTONE_TEST_KEY_THAT_IS_NOT_SET"), (403, "environment"), (404, "test-llm")] {
        let server = Server::start(move |_| Reply::Status(status, "", json!({"error": {"message": "no"}}).to_string()));
        let folder = data_set(40);
        let error = ask(folder.path(), &config(&server), 1, &Silent).unwrap_err();
        assert!(error.to_string().contains(&format!("with status {status}: no")), "{error}");
        assert!(error.hint().unwrap().contains(hint), "{:?}", error.hint());
        assert_eq!(server.count(), 1);
        assert!(!folder.path().join("queries.jsonl").exists());
    }
}

#[test]
fn an_endpoint_that_has_gone_ends_the_run_and_keeps_what_was_answered() {
    let server = Server::start(|request| match request.number < 5 {
        true => good(request),
        false => Reply::Status(503, "", String::new()),
    });
    let folder = data_set(40);
    let config = AskConfig { max_retries: 0, ..config(&server) };
    let error = ask(folder.path(), &config, 1, &Silent).unwrap_err();
    assert!(error.to_string().ends_with("does not answer: status 503; 5 answers are kept"), "{error}");
    assert!(server.count() < 20);

    let server = Server::start(good);
    let moved = AskConfig { base_url: server.url.clone(), ..config };
    let manifest = ask(folder.path(), &moved, 1, &Silent).unwrap();
    assert_eq!((server.count(), manifest.counts["answers-from-journal"], manifest.counts["queries"]), (35, 5, 120));
}

#[test]
fn a_server_without_json_schema_is_asked_in_simpler_words() {
    let server = Server::start(|request| match request.body.get("response_format") {
        Some(_) => {
            Reply::Status(400, "", json!({"error": {"message": "response_format is not supported"}}).to_string())
        }
        None => good(request),
    });
    let folder = data_set(4);
    let manifest = ask(folder.path(), &config(&server), 1, &Silent).unwrap();
    let formats: Vec<_> = server.bodies().iter().map(|body| body["response_format"]["type"].clone()).collect();
    assert_eq!(formats[..3], [json!("json_schema"), json!("json_object"), json!(null)]);
    assert_eq!((server.count(), manifest.counts["queries"]), (6, 12));
    assert!(manifest.notes.iter().any(|note| note.contains("no JSON schema")), "{:?}", manifest.notes);
}

#[test]
fn a_passage_that_is_refused_costs_no_other() {
    let server = Server::start(|request| match asked_text(&request.body).starts_with("topic0 ") {
        true => Reply::Status(400, "", json!({"error": {"message": "context length exceeded"}}).to_string()),
        false => good(request),
    });
    let folder = data_set(4);
    let manifest = ask(folder.path(), &config(&server), 1, &Silent).unwrap();
    assert_eq!((manifest.counts["queries"], manifest.counts["passages-not-answered"]), (9, 1));
    assert_eq!(server.bodies().last().unwrap()["response_format"]["type"], "json_schema");
}

#[test]
fn bad_answers_are_counted_by_reason_and_nothing_usable_is_an_error() {
    let folder = data_set(4);
    let server = Server::start(|request| {
        let (content, reason) = match asked_text(&request.body).split(' ').next().unwrap() {
            "topic0" => (r#"["What is topic0 then?", "What is topic0 then?", "What does the passage say?"]"#, "stop"),
            "topic1" => (r#"["How much is topic1 in town?", "and then it wa"#, "length"),
            "topic2" => (r#"["It costs 2 kr in every shop of the town."]"#, "stop"),
            _ => ("I am sorry.", "stop"),
        };
        Reply::Status(200, "", completion(content, reason))
    });
    let manifest = ask(folder.path(), &config(&server), 1, &Silent).unwrap();
    for (name, count) in [
        ("queries", 2),
        ("dropped-duplicate", 1),
        ("dropped-anaphoric", 1),
        ("dropped-copied", 1),
        ("answers-cut-off", 1),
        ("answers-unreadable", 1),
        ("passages-without-query", 2),
    ] {
        assert_eq!(manifest.counts.get(name), Some(&count), "{name}");
    }

    let server = Server::start(|_| Reply::Status(200, "", completion("I am sorry.", "stop")));
    let error = ask(data_set(3).path(), &config(&server), 1, &Silent).unwrap_err();
    assert_eq!(error.to_string(), "no usable query came out of 3 passages");
    assert!(error.hint().unwrap().contains("answers-unreadable 3"));
}

#[test]
fn a_sample_is_seeded_and_leaves_out_documents_that_humans_judged() {
    let folder = data_set(20);
    let judged = folder.path().join("judged.jsonl");
    let line =
        r#"{"_id":"h1","text":"price of topic3","answers":[{"document":"d1.md","quote":"costs 3 kr","grade":2}]}"#;
    fs::write(&judged, line).unwrap();
    let config = AskConfig { judgements: Some(judged), max_passages: Some(8), ..AskConfig::default() };
    let run = |seed| {
        let manifest = ask(folder.path(), &config, seed, &Silent).unwrap();
        assert_eq!((manifest.counts["passages-asked"], manifest.counts["queries-human"]), (8, 1));
        queries(folder.path())
    };
    let first = run(1);
    assert!(first.iter().all(|query| !query.id.as_str().starts_with("d1.md")));
    assert_eq!(first.last().unwrap().id.as_str(), "h1");
    assert_ne!(run(2), first);
    assert_eq!(run(1), first);
    let qrels = Qrels::read(&folder.path().join("qrels/all.tsv")).unwrap();
    assert_eq!(qrels.get("h1").unwrap()["d1.md#0002"], 2);
}

#[test]
fn a_query_that_two_documents_share_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let passage = |id: &str| Passage {
        id: id.into(),
        title: String::new(),
        text: "A boost window is an agreed period of two hours, which the customer may move twice a year.".into(),
        metadata: PassageMetadata::default(),
    };
    write_jsonl(&folder.path().join("corpus.jsonl"), [passage("a"), passage("b")]).unwrap();
    let error = ask(folder.path(), &AskConfig::default(), 1, &Silent).unwrap_err();
    assert!(error.hint().unwrap().contains("dropped-ambiguous"), "{:?}", error.hint());
}
