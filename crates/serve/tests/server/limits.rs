//! Who is let in, and what happens when too much is asked for.

use crate::client::{get, post, raw, request};
use crate::running::{Running, copy_of_tiny_model, tiny_model};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use whetstone_serve::{Error, Event, ServeConfig, Server};

/// A request that takes seconds to tokenize.
fn heavy() -> Value {
    let text = "pumps, valves & filters: once a week (or a month) ".repeat(200);
    let texts: Vec<String> = (0..1000).map(|at| format!("{at} {text}")).collect();
    // The beginning is cut off, so that the whole text has to be read.
    json!({"query": "pump", "texts": texts, "truncation_direction": "left"})
}

/// Waits until a request has its place in the queue.
fn wait_until_in_work(server: &Running) {
    let started = Instant::now();
    while !get(server.address, "/metrics").body.contains("whetstone_requests_in_work 1\n") {
        assert!(started.elapsed() < Duration::from_secs(30), "no request came");
    }
}

#[test]
fn a_full_queue_refuses_politely_and_what_is_in_work_is_answered() {
    let server = Running::start(|config| config.limits.max_requests = 1);
    std::thread::scope(|scope| {
        let heavy = scope.spawn(|| post(server.address, "/rerank", &heavy()));
        wait_until_in_work(&server);
        let light = json!({"query": "q", "documents": ["a"]});
        let refused = post(server.address, "/v2/rerank", &light);
        assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
        assert_eq!(refused.json()["message"], "too many requests are in work");
        let answer = heavy.join().unwrap();
        assert_eq!((answer.status, answer.json().as_array().unwrap().len()), (200, 1000));
    });
}

#[test]
fn a_request_that_takes_too_long_is_given_up() {
    let server =
        Running::start(|config| config.limits.request_timeout = Duration::from_millis(1500));
    let reply = post(server.address, "/rerank", &heavy());
    // Reading the body counts too.
    assert!([408, 504].contains(&reply.status), "{} {}", reply.status, reply.body);
    assert_eq!(post(server.address, "/rerank", &json!({"query": "q", "texts": ["a"]})).status, 200);
}

#[test]
fn only_keys_of_the_file_are_let_in() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    std::fs::write(&path, "first\n# none\nsecond\n").unwrap();
    let server = Running::start(|config| config.api_keys = Some(path.clone()));
    let body = br#"{"query": "q", "documents": ["a"]}"#;
    let ask = |headers: &str| raw(server.address, &request("/v1/rerank", headers, body)).unwrap();
    for headers in ["authorization: Bearer first\r\n", "Authorization: bearer second\r\n"] {
        assert_eq!(ask(headers).status, 200, "{headers}");
    }
    for headers in ["", "authorization: Bearer third\r\n", "authorization: first\r\n"] {
        let refused = ask(headers);
        assert_eq!(refused.status, 401, "{headers}");
        assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
        assert_eq!(refused.json()["message"], refused.json()["detail"]);
    }
    // A client that sends much still reads why it was refused.
    let long = request("/v1/rerank", "", &b" ".repeat(8 << 20));
    assert_eq!(raw(server.address, &long).unwrap().status, 401);
    assert_eq!(get(server.address, "/metrics").status, 401);
    assert_eq!(get(server.address, "/health").status, 200);

    std::fs::write(&path, "third\n").unwrap();
    server.handle.reload();
    server.wait_for(|event| matches!(event, Event::Reloaded { .. }));
    assert_eq!(ask("authorization: Bearer third\r\n").status, 200);
    assert_eq!(ask("authorization: Bearer first\r\n").status, 401);
}

#[test]
fn other_machines_need_keys_or_leave() {
    let bind = |change: fn(&mut ServeConfig)| {
        let mut config = ServeConfig::new(tiny_model());
        (config.host, config.port) = ([0, 0, 0, 0].into(), 0);
        change(&mut config);
        Server::bind(config, std::sync::Arc::new(|_| ())).map(drop)
    };
    assert!(matches!(bind(|_| ()), Err(Error::Anonymous { .. })));
    assert!(bind(|config| config.allow_anonymous = true).is_ok());
}

#[test]
fn a_model_that_cannot_be_loaded_ends_the_server_with_its_error() {
    let folder = copy_of_tiny_model();
    std::fs::write(folder.path().join("model.safetensors"), "broken").unwrap();
    let mut config = ServeConfig::new(folder.path());
    config.port = 0;
    let server = Server::bind(config, std::sync::Arc::new(|_| ())).unwrap();
    assert!(matches!(server.run(), Err(Error::Model(_))));
}

#[test]
fn a_server_that_stops_answers_what_is_in_work_and_takes_nothing_more() {
    let server = Running::start(|_| ());
    let address = server.address;
    let heavy = std::thread::spawn(move || post(address, "/rerank", &heavy()));
    wait_until_in_work(&server);
    let (outcome, events) = server.stop();
    assert!(outcome.is_ok());
    assert_eq!(heavy.join().unwrap().status, 200);
    assert!(std::net::TcpStream::connect(address).is_err());
    assert!(events.contains(&Event::Stopping { in_work: 1 }), "{events:?}");
    assert!(events.contains(&Event::Stopped { unanswered: 0 }), "{events:?}");
}
