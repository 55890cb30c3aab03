//! What is announced, what is spent, and where spending stops.

use super::server::{Reply, Server, completion, good, questions};
use super::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use whetstone_llm::{Entry, Price};
use whetstone_records::Hint;

fn priced(server: &Server) -> SynthConfig {
    let mut config = config(server);
    config.llm.prices =
        BTreeMap::from([("test-llm".to_owned(), Price { input: 1000.0, output: 10_000.0 })]);
    config
}

#[test]
fn the_estimate_takes_off_what_the_journal_holds_and_learns_from_it() {
    let (folder, server) = (data_set(60), Server::start(good));
    let mut config = priced(&server);
    let out = folder.path();
    let first = estimate(&job(out, &config)).unwrap();
    assert_eq!((first.asked, first.from_journal, first.requests, server.count()), (60, 0, 60, 0));
    assert!(first.tokens_in > 60 * 100 && first.token_error_fraction > 0.0, "{first:?}");
    let cost = (first.tokens_in as f64 + 10.0 * first.tokens_out as f64) / 1000.0;
    assert!((first.cost.unwrap() - cost).abs() < 1e-9 && first.cost_most > first.cost);
    assert_eq!(first.wall_s, None);
    config.llm.requests_per_minute = 30;
    assert_eq!(estimate(&job(out, &config)).unwrap().wall_s, Some(120.0));
    config.llm.requests_per_minute = 0;

    config.ask.max_passages = Some(25);
    run(out, &config).unwrap();
    config.ask.max_passages = None;
    let second = estimate(&job(out, &config)).unwrap();
    assert_eq!((second.from_journal, second.requests), (25, 35));
    // The server says 100 and 20 for every answer; the passages differ by a digit.
    assert!((second.tokens_in as f64 / 3500.0 - 1.0).abs() < 0.02, "{second:?}");
    assert_eq!(second.tokens_out, 700);
    assert!(second.token_error_fraction < 0.05, "{second:?}");
    assert_eq!(server.count(), 25);
    let manifest = run(out, &config).unwrap();
    let told =
        manifest.notes.iter().find(|note| note.starts_with("estimated → real: 35 → 35 requests"));
    assert!(told.is_some_and(|note| note.ends_with("USD")), "{:?}", manifest.notes);
}

#[test]
fn the_estimate_says_what_the_judge_will_take_at_its_own_price() {
    let (folder, server) = (data_set(20), Server::start(good));
    let mut config = priced(&server);
    config.filter.judge = true;
    config.judge.llm = Some("dear-llm".to_owned());
    let of = |config: &SynthConfig| estimate(&job(folder.path(), config)).unwrap();
    let judge = of(&config).judge.unwrap();
    assert_eq!(
        (judge.asked, judge.requests, judge.cost),
        (80, 80, None),
        "3 to 5 queries a passage"
    );
    config.llm.prices.insert("dear-llm".to_owned(), Price { input: 5000.0, output: 5000.0 });
    let priced = of(&config);
    let judge = priced.judge.clone().unwrap();
    assert!(judge.tokens_out < 80 * 20, "a verdict is short whatever its limit: {judge:?}");
    assert_eq!(judge.cost.unwrap(), (judge.tokens_in + judge.tokens_out) as f64 * 0.005);
    assert_eq!(priced.in_all().requests, 100);
    config.llm.max_requests = 50;
    assert_eq!(of(&config).caps, ["llm.max-requests = 50"]);
    config.ask.generator = GeneratorName::BuiltIn;
    let built_in = of(&config);
    assert_eq!((built_in.requests, built_in.in_all().requests, server.count()), (0, 80, 0));
}

#[test]
fn a_cap_stops_cleanly_keeps_everything_and_the_next_run_goes_on() {
    let caps: [fn(&mut SynthConfig); 3] = [
        |config| config.llm.max_requests = 10,
        |config| config.llm.max_tokens = 10 * 120 + 600,
        // 0.3 per call; the most that a call may cost is reserved first.
        |config| config.llm.max_cost = 0.3 * 10.0 + 4.2,
    ];
    for cap in caps {
        let (folder, server) = (data_set(30), Server::start(good));
        let mut config = priced(&server);
        config.llm.concurrency = 2;
        cap(&mut config);
        let manifest = run(folder.path(), &config).unwrap();
        let (asked, open) = (server.count() as u64, manifest.counts["passages-not-asked"]);
        assert!((8..=11).contains(&asked) && asked + open == 30, "{asked} {open}");
        assert_eq!(manifest.counts["queries"], 3 * asked);
        assert!(
            manifest.notes.iter().any(|note| note.starts_with("stopped at `llm.max-")),
            "{:?}",
            manifest.notes
        );

        let manifest = run(folder.path(), &config).unwrap();
        assert_eq!(
            (server.count() as u64, manifest.counts["passages-not-asked"]),
            (asked, open),
            "the cap is over all runs"
        );
        assert!(!manifest.up_to_date);
        let estimate = estimate(&job(folder.path(), &config)).unwrap();
        assert_eq!(estimate.caps.len(), 1, "{estimate:?}");
        (config.llm.max_requests, config.llm.max_tokens, config.llm.max_cost) = (0, 0, 0.0);
        let manifest = run(folder.path(), &config).unwrap();
        assert_eq!((server.count(), manifest.counts["queries"]), (30, 90));
    }
}

#[test]
fn a_limit_on_money_needs_a_price() {
    let server = Server::start(good);
    let mut config = config(&server);
    config.llm.max_cost = 1.0;
    let error = run(data_set(3).path(), &config).unwrap_err();
    assert!(error.hint().unwrap().contains("\"test-llm\" = { input"), "{:?}", error.hint());
    assert_eq!(server.count(), 0);
}

#[test]
fn a_preview_is_paid_once() {
    let (folder, server) = (data_set(20), Server::start(good));
    let config = config(&server);
    let previews = preview(&job(folder.path(), &config), 5, &Silent).unwrap();
    assert_eq!((previews.len(), server.count()), (5, 5));
    assert_eq!((previews[0].kept.len(), previews[0].kept[0].1.as_str()), (3, "mixed"));
    assert!(!folder.path().join("queries.jsonl").exists());
    run(folder.path(), &config).unwrap();
    assert_eq!(server.count(), 20);
}

#[test]
fn a_batch_goes_out_and_its_results_come_into_the_journal() {
    let (folder, server) = (data_set(8), Server::start(good));
    let mut config = priced(&server);
    let [requests, results] =
        ["requests.jsonl", "results.jsonl"].map(|name| folder.path().join(name));
    let files = batch_out(&job(folder.path(), &config), &requests).unwrap();
    assert_eq!((files.requests, files.from_journal), (8, 0));
    let lines: Vec<Value> = read_jsonl(&requests).unwrap();
    assert_eq!(
        (&lines[0]["method"], &lines[0]["url"]),
        (&json!("POST"), &json!("/v1/chat/completions"))
    );
    assert_eq!(lines[0]["body"]["response_format"]["type"], "json_schema");
    // The other side of the batch: the endpoint's answer to each request, in another order, with
    // one failure.
    let answered = lines.iter().rev().enumerate().map(|(place, line)| {
        let request = server::Request { body: line["body"].clone(), number: 0 };
        let body: Value = serde_json::from_str(&completion(&questions(&request), "stop")).unwrap();
        let response = json!({"status_code": 200, "request_id": "r", "body": body});
        let failed = json!({"status_code": 500, "request_id": "r", "body": {}});
        json!({"id": "b", "custom_id": line["custom_id"], "response": if place == 3 { failed } else { response }, "error": null})
    });
    write_jsonl(&results, answered).unwrap();
    let came = batch_in(&job(folder.path(), &config), &results).unwrap();
    assert_eq!((came.answers, came.failed, came.known, came.of_other_requests), (7, 1, 0, 0));
    let again = batch_in(&job(folder.path(), &config), &results).unwrap();
    assert_eq!((again.answers, again.known), (0, 7));
    let rest = batch_out(&job(folder.path(), &config), &requests).unwrap();
    assert_eq!((rest.requests, rest.from_journal), (1, 7));
    let manifest = run(folder.path(), &config).unwrap();
    assert_eq!((server.count(), manifest.counts["queries"]), (1, 24));
    let entries: Vec<Entry> = read_jsonl(&folder.path().join(DataSet::ASK_JOURNAL)).unwrap();
    assert_eq!(entries.iter().filter(|entry| entry.batch).count(), 7);
    // 7 at half the price of 0.3, one at the whole.
    config.llm.max_cost = 1.35 + 5.0;
    config.ask.temperature = 0.1;
    let cap = estimate(&job(folder.path(), &config)).unwrap();
    assert_eq!(cap.requests, 8);
    fs::write(&results, "{\"custom_id\": \"mine\", \"response\": null}\n").unwrap();
    let error = batch_in(&job(folder.path(), &config), &results).unwrap_err();
    assert!(error.to_string().contains("results.jsonl` line 1: `mine`"), "{error}");
}

#[test]
fn tokens_that_a_server_does_not_tell_are_estimated_and_said_to_be() {
    let server = Server::start(|request| {
        let mut body: Value =
            serde_json::from_str(&completion(&questions(request), "stop")).unwrap();
        body.as_object_mut().unwrap().remove("usage");
        Reply::Status(200, "", body.to_string())
    });
    let manifest = run(data_set(3).path(), &priced(&server)).unwrap();
    assert!(manifest.counts["tokens-in"] > 500 && manifest.counts["answers-without-usage"] == 3);
    assert!(
        manifest.notes.iter().any(|note| note.contains("did not say how many tokens")),
        "{:?}",
        manifest.notes
    );
}
