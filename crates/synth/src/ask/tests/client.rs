//! Calls one after another: what is retried, what stops the run, what the endpoint is asked.

use super::server::{Reply, Server, asked_text, completion, good};
use super::*;
use serde_json::json;
use std::fs;
use std::time::{Duration, Instant};
use whetstone_records::Hint;

#[test]
fn every_passage_is_asked_about_once_and_never_again() {
    let (folder, server) = (data_set(6), Server::start(good));
    let out = folder.path();
    let config = config(&server);
    let manifest = run(out, &config).unwrap();
    let count = |name: &str| manifest.counts[name];
    assert_eq!(
        (server.count(), count("calls"), count("queries"), count("tokens-in")),
        (6, 6, 18, 600)
    );
    let queries = queries(out);
    assert_eq!(queries[0].id.as_str(), "d0.md#0001-q1");
    assert_eq!(queries[0].metadata.generator.as_deref(), Some("test-llm"));
    assert_eq!(queries[0].metadata.style.as_deref(), Some("mixed"));
    let qrels = Qrels::read(&out.join("qrels/all.tsv")).unwrap();
    assert_eq!(qrels.get("d2.md#0002-q3").unwrap()["d2.md#0002"], 1);
    assert!(
        server.headers().iter().all(|headers| !headers.to_lowercase().contains("authorization"))
    );

    assert!(run(out, &config).unwrap().up_to_date);
    fs::remove_dir_all(out.join("manifests")).unwrap();
    let files = ["queries.jsonl", "synth.json", "synth.html"].map(|name| out.join(name));
    let before = files.clone().map(|path| fs::read(path).unwrap());
    let manifest = run(out, &config).unwrap();
    assert_eq!(
        (server.count(), manifest.counts["calls"], manifest.counts["answers-from-journal"]),
        (6, 0, 6)
    );
    assert_eq!(files.map(|path| fs::read(path).unwrap()), before, "the same bytes, paid or not");

    let mut changed = config.clone();
    (changed.ask.temperature, changed.ask.max_passages) = (0.2, Some(2));
    run(out, &changed).unwrap();
    assert_eq!(server.count(), 8, "changed parameters pay for what they ask");
}

#[test]
fn trouble_on_the_way_is_met_with_another_try() {
    let faults = [
        || Reply::Status(429, "retry-after: 1\r\n", "{}".into()),
        || Reply::Status(500, "", "oops".into()),
        || Reply::Torn("{\"choices\": [".into()),
        || Reply::Status(200, "", "{\"choices\": [{".into()),
        || {
            Reply::Status(
                200,
                "",
                json!({"error": {"code": 502, "message": "upstream"}}).to_string(),
            )
        },
        || Reply::Status(200, "", json!({"choices": "none today"}).to_string()),
        || Reply::Endless,
        || Reply::Reset,
    ];
    let server = Server::start(move |request| match faults.get(request.number) {
        Some(fault) => fault(),
        None => good(request),
    });
    let folder = data_set(2);
    let started = Instant::now();
    let mut config = config(&server);
    config.llm.max_retries = 8;
    let manifest = run(folder.path(), &config).unwrap();
    assert_eq!(manifest.counts["queries"], 6);
    // A reset of a connection that was kept open may be retried below us, once more.
    assert!(
        (10..=11).contains(&server.count()) && manifest.counts["calls-retried"] >= 7,
        "{:?}",
        manifest.counts
    );
    assert!(started.elapsed() >= Duration::from_secs(1), "Retry-After is honoured");
}

#[test]
fn a_call_that_hangs_or_trickles_is_given_up_its_passage_reported_and_asked_again_next_time() {
    let server = Server::start(|request| {
        match (asked_text(&request.body).split(' ').next().unwrap(), request.number) {
            ("topic1", ..12) => Reply::Hang,
            ("topic2", ..12) => Reply::Slow(completion("[]", "stop"), 100),
            _ => good(request),
        }
    });
    let folder = data_set(4);
    let mut hasty = config(&server);
    (hasty.llm.timeout_s, hasty.llm.max_retries) = (1, 1);
    let manifest = run(folder.path(), &hasty).unwrap();
    assert_eq!((manifest.counts["queries"], manifest.counts["passages-not-answered"]), (6, 2));
    assert!(
        manifest.notes[0].contains("2 passages have no query: `d0.md#0002`"),
        "{:?}",
        manifest.notes
    );
    assert!(
        manifest.notes[1].contains("(`d0.md#0002`: time-out); run the same command"),
        "{:?}",
        manifest.notes
    );

    // The two by themselves and without --force, however often it runs.
    let mut manifest = run(folder.path(), &hasty).unwrap();
    while manifest.counts.contains_key("passages-not-answered") {
        manifest = run(folder.path(), &hasty).unwrap();
        assert!(server.count() < 20);
    }
    assert_eq!(manifest.counts["queries"], 12);
    assert!(run(folder.path(), &hasty).unwrap().up_to_date);
}

#[test]
fn a_wrong_key_model_or_address_stops_the_run_at_once_with_a_hint() {
    for (status, hint) in
        [(401, "WHETSTONE_TEST_KEY_THAT_IS_NOT_SET"), (403, "environment"), (404, "test-llm")]
    {
        let server = Server::start(move |_| {
            Reply::Status(status, "", json!({"error": {"message": "no"}}).to_string())
        });
        let folder = data_set(40);
        let error = run(folder.path(), &config(&server)).unwrap_err();
        assert!(error.to_string().contains(&format!("with status {status}: no")), "{error}");
        assert!(error.hint().unwrap().contains(hint), "{:?}", error.hint());
        assert_eq!(server.count(), 1);
        assert!(!folder.path().join("queries.jsonl").exists());
    }
}

#[test]
fn an_exhausted_quota_stops_the_run_and_keeps_what_was_paid() {
    let spent =
        json!({"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}})
            .to_string();
    for status in [200, 402, 429] {
        let spent = spent.clone();
        let server = Server::start(move |request| match request.number {
            ..8 => good(request),
            _ => Reply::Status(status, "", spent.clone()),
        });
        let folder = data_set(40);
        let error = run(folder.path(), &config(&server)).unwrap_err();
        assert!(error.to_string().contains("You exceeded your quota"), "{error}");
        assert!(server.count() <= 12, "{}", server.count());
        let server = Server::start(good);
        let manifest = run(folder.path(), &config(&server)).unwrap();
        assert_eq!((manifest.counts["answers-from-journal"], manifest.counts["queries"]), (8, 120));
    }
}

#[test]
fn a_server_that_wants_a_long_pause_ends_the_run_with_a_hint() {
    let server = Server::start(|_| Reply::Status(429, "retry-after: 3600\r\n", "{}".into()));
    let error = run(data_set(9).path(), &config(&server)).unwrap_err();
    assert!(error.to_string().ends_with("asks to wait for 3600 s"), "{error}");
    assert!(error.hint().unwrap().contains("llm.max-wait-s"));
    assert_eq!(server.count(), 1);
}

#[test]
fn an_endpoint_that_has_gone_ends_the_run_and_keeps_what_was_answered() {
    let server = Server::start(|request| match request.number < 5 {
        true => good(request),
        false => Reply::Status(503, "", String::new()),
    });
    let folder = data_set(40);
    let mut config = config(&server);
    config.llm.max_retries = 0;
    let error = run(folder.path(), &config).unwrap_err();
    assert!(
        error.to_string().ends_with("does not answer: status 503; 5 answers are kept"),
        "{error}"
    );
    assert!(server.count() < 20);

    let server = Server::start(good);
    config.llm.base_url = server.url.clone();
    let manifest = run(folder.path(), &config).unwrap();
    assert_eq!(
        (server.count(), manifest.counts["answers-from-journal"], manifest.counts["queries"]),
        (35, 5, 120)
    );
}

#[test]
fn a_server_without_json_schema_is_asked_in_simpler_words() {
    let server = Server::start(|request| match request.body.get("response_format") {
        Some(_) => Reply::Status(
            400,
            "",
            json!({"error": {"message": "response_format is not supported"}}).to_string(),
        ),
        None => good(request),
    });
    let folder = data_set(4);
    let manifest = run(folder.path(), &config(&server)).unwrap();
    let formats: Vec<_> =
        server.bodies().iter().map(|body| body["response_format"]["type"].clone()).collect();
    assert_eq!(
        formats[..4],
        [json!("json_schema"), json!("json_schema"), json!("json_object"), json!(null)]
    );
    assert_eq!((server.count(), manifest.counts["queries"]), (7, 12));
    assert!(
        manifest.notes.iter().any(|note| note.contains("no JSON schema")),
        "{:?}",
        manifest.notes
    );
}

#[test]
fn a_passage_that_is_refused_costs_no_other() {
    let server = Server::start(|request| match asked_text(&request.body).starts_with("topic0 ") {
        true => Reply::Status(
            400,
            "",
            json!({"error": {"message": "context length exceeded"}}).to_string(),
        ),
        false => good(request),
    });
    let folder = data_set(4);
    let manifest = run(folder.path(), &config(&server)).unwrap();
    assert_eq!((manifest.counts["queries"], manifest.counts["passages-not-answered"]), (9, 1));
    assert_eq!(server.bodies().last().unwrap()["response_format"]["type"], "json_schema");
    assert!(manifest.notes[1].contains("context length exceeded"), "{:?}", manifest.notes);
}

#[test]
fn bad_answers_are_counted_by_reason_asked_once_more_and_nothing_usable_is_an_error() {
    let folder = data_set(5);
    let server = Server::start(|request| {
        let second = request.body["seed"] == 2;
        let (content, reason) = match asked_text(&request.body).split(' ').next().unwrap() {
            "topic0" => (
                r#"["What is topic0 then?", "What is topic0 then?", "What does the passage say?", "How is topic0 sold?"]"#,
                "stop",
            ),
            "topic1" => (r#"["How much is topic1 in town?", "and then it wa"#, "length"),
            "topic2" => (
                r#"["It costs 2 kr in every shop of the town.", "topic2 is a thing of the world", "costs 2 kr in every shop of town"]"#,
                "stop",
            ),
            "topic3" if second => {
                (r#"["What is topic3?", "Who has topic3?", "Where is the topic3 shop?"]"#, "stop")
            }
            _ => ("I am sorry.", "stop"),
        };
        Reply::Status(200, "", completion(content, reason))
    });
    let manifest = run(folder.path(), &config(&server)).unwrap();
    for (name, count) in [
        ("queries", 6),
        ("dropped-duplicate", 1),
        ("dropped-anaphoric", 1),
        ("dropped-copied", 3),
        ("answers-cut-off", 2),
        ("answers-unreadable", 3),
        ("passages-asked-twice", 3),
        ("passages-without-query", 2),
        ("calls", 8),
    ] {
        assert_eq!(manifest.counts.get(name), Some(&count), "{name} {:?}", manifest.counts);
    }
    assert!(run(folder.path(), &config(&server)).unwrap().up_to_date, "asked twice is enough");

    let server = Server::start(|_| Reply::Status(200, "", completion("I am sorry.", "stop")));
    let error = run(data_set(3).path(), &config(&server)).unwrap_err();
    assert_eq!(error.to_string(), "no usable query came out of 3 passages");
    assert!(error.hint().unwrap().contains("answers-unreadable 6"));
    assert_eq!(server.count(), 6, "no endless loop");
}

#[test]
fn a_key_reaches_the_server_and_nothing_else() {
    const KEY: &str = "sk-very-secret-0123456789";
    let folder = data_set(4);
    let key_file = tempfile::NamedTempFile::new().unwrap();
    fs::write(key_file.path(), format!("{KEY}\n")).unwrap();
    let server = Server::start(|request| match request.number {
        // Some servers repeat the key in their answers.
        0 => Reply::Status(
            500,
            "",
            json!({"error": {"message": format!("bad luck, {KEY}")}}).to_string(),
        ),
        1 => Reply::Status(200, "", completion(&format!("[\"What is topic0 of {KEY}?\"]"), "stop")),
        _ => good(request),
    });
    let mut config = config(&server);
    config.llm.api_key_file = Some(key_file.path().into());
    let manifest = run(folder.path(), &config).unwrap();
    assert!(
        server
            .headers()
            .iter()
            .all(|headers| headers.contains(&format!("authorization: Bearer {KEY}")))
    );
    assert!(!everything(folder.path()).contains("sk-very"));
    assert!(!format!("{manifest:?} {config:?}").contains("sk-very"));

    for status in [401, 500, 400] {
        let message = json!({"error": {"message": format!("key {KEY} is wrong")}}).to_string();
        let server = Server::start(move |_| Reply::Status(status, "", message.clone()));
        config.llm.base_url = server.url.clone();
        let error = run(data_set(9).path(), &config).unwrap_err();
        assert!(!format!("{error} {error:?} {:?}", error.hint()).contains("sk-very"), "{error:?}");
    }
    config.llm.api_key_file = Some(folder.path().join("corpus.jsonl"));
    let error = run(data_set(1).path(), &config).unwrap_err();
    assert!(error.to_string().starts_with("the key in file `"), "{error}");
}

#[test]
fn azure_gets_its_header_and_its_version() {
    let server = Server::start(good);
    let key_file = tempfile::NamedTempFile::new().unwrap();
    fs::write(key_file.path(), "abc").unwrap();
    let mut config = config(&server);
    config.llm.api_key_file = Some(key_file.path().into());
    (config.llm.api_key_header, config.llm.api_version) =
        ("api-key".into(), Some("2024-10-21".into()));
    run(data_set(1).path(), &config).unwrap();
    let headers = server.headers()[0].to_lowercase();
    assert!(headers.starts_with("post /v1/chat/completions?api-version=2024-10-21 "), "{headers}");
    assert!(headers.contains("api-key: abc") && !headers.contains("authorization"), "{headers}");
}

#[test]
fn calls_follow_each_other_no_faster_than_the_limit_a_minute() {
    let server = Server::start(good);
    let mut config = config(&server);
    config.llm.requests_per_minute = 600;
    let started = Instant::now();
    run(data_set(12).path(), &config).unwrap();
    assert!(started.elapsed() >= Duration::from_millis(1100), "{:?}", started.elapsed());
}
