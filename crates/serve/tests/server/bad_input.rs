//! What the server says to requests that it cannot answer, and that others do not notice.

use crate::client::{connect, get, post, raw, reply, request};
use crate::running::Running;
use serde_json::{Value, json};
use std::io::Write;
use std::time::Duration;
use whetstone_serve::Event;

/// The server still answers others.
fn assert_unharmed(server: &Running) {
    let body = json!({"query": "pump", "texts": ["water", "fire"]});
    assert_eq!(post(server.address, "/rerank", &body).status, 200);
}

#[test]
fn each_api_has_its_status_and_shape_and_names_the_field() {
    let server = Running::start(|_| ());
    let cases = [
        (json!({"query": "", "LIST": ["a"]}), [400, 422, 400], "`query` is empty"),
        (json!({"query": "q", "LIST": []}), [400, 422, 400], "`LIST` is empty"),
        (json!({"query": "q"}), [422, 422, 400], "`LIST` is missing"),
        (json!({"query": 1, "LIST": ["a"]}), [422, 422, 400], "`query`: invalid type: integer"),
        (json!({"query": "q", "LIST": ["a", null]}), [422, 422, 400], "`LIST[1]`: invalid type"),
        (json!({"query": "q", "LIST": "a"}), [422, 422, 400], "`LIST`: invalid type: string"),
        (json!([1]), [422, 422, 400], "expected a JSON object"),
        (
            json!({"query": "q", "LIST": vec!["a"; 10_000]}),
            [413, 413, 413],
            "`LIST` has 10000 documents, at most 1000 are taken",
        ),
        (
            json!({"query": "q", "LIST": ["a", "b".repeat(10 << 20)]}),
            [413, 413, 413],
            "`LIST[1]` has 10485760 bytes, at most 1048576 are taken",
        ),
        (
            json!({"query": "q", "LIST": ["a"], "first_stage_scores": {"bm25": [1.0]}}),
            [422, 422, 400],
            "`first_stage_scores` cannot be used: the model has no fusion",
        ),
    ];
    let paths = [("/rerank", "texts"), ("/v1/rerank", "documents"), ("/v2/rerank", "documents")];
    for (body, statuses, message) in cases {
        for ((path, list), status) in paths.into_iter().zip(statuses) {
            let body = body.to_string().replace("LIST", list);
            let reply = raw(server.address, &request(path, "", body.as_bytes())).unwrap();
            assert_refused(&reply, path, status, &message.replace("LIST", list));
        }
    }
    assert_unharmed(&server);
}

fn assert_refused(reply: &crate::client::Reply, path: &str, status: u16, message: &str) {
    let answer = reply.json();
    let texts: Vec<&Value> = match path {
        "/rerank" => {
            assert!(answer["error_type"].is_string(), "{answer}");
            vec![&answer["error"]]
        }
        "/v1/rerank" => vec![&answer["message"], &answer["detail"]],
        _ => vec![&answer["message"]],
    };
    for text in texts {
        let text = text.as_str().unwrap_or_else(|| panic!("{path}: {answer}"));
        assert!(text.contains(message), "{path}: {text}");
    }
    assert_eq!(reply.status, status, "{path}: {answer}");
}

#[test]
fn numbers_out_of_range_are_refused_and_unknown_fields_are_not() {
    let server = Running::start(|_| ());
    for (field, value, message) in [
        ("top_n", json!(-1), "`top_n` must be at least 1, got -1"),
        ("top_n", json!(0), "`top_n` must be at least 1, got 0"),
        ("top_n", json!(1.5), "`top_n`: invalid type: floating point"),
        ("top_n", json!("3"), "`top_n`: invalid type: string"),
        ("max_tokens_per_doc", json!(-5), "`max_tokens_per_doc` must be at least 1, got -5"),
        ("return_documents", json!("yes"), "`return_documents`: invalid type"),
    ] {
        let body = json!({"query": "q", "documents": ["a"], field: value});
        assert_refused(&post(server.address, "/v2/rerank", &body), "/v2/rerank", 400, message);
        assert_refused(&post(server.address, "/v1/rerank", &body), "/v1/rerank", 422, message);
    }
    let body = json!({"query": "q", "documents": ["a"], "top_n": 99, "no_such_field": [{}]});
    assert_eq!(post(server.address, "/v2/rerank", &body).status, 200);
}

#[test]
fn a_body_that_is_no_json_is_refused() {
    let server = Running::start(|_| ());
    let refused = |body: &[u8], message: &str| {
        let reply = raw(server.address, &request("/rerank", "", body)).unwrap();
        assert_refused(&reply, "/rerank", 400, message);
    };
    refused(b"", "the body is not JSON: EOF");
    refused(b"{\"query\": \"\xff\"}", "the body is not UTF-8 at byte 11");
    refused(
        b"{\"query\": \"q\", \"texts\": [\"a\"",
        "the body is not JSON: EOF while parsing a list",
    );
    refused(
        b"{\"query\": \"q\", \"texts\": [\"a\"]} x",
        "the body is not JSON: trailing characters",
    );
    refused("[".repeat(100_000).as_bytes(), "the body is not JSON: EOF while parsing a list");
    let text = "POST /v1/rerank HTTP/1.1\r\nhost: here\r\ncontent-type: text/plain\r\n\
                content-length: 2\r\n\r\n{}";
    let reply = raw(server.address, text.as_bytes()).unwrap();
    assert_refused(&reply, "/v1/rerank", 415, "`content-type` must be application/json");
    assert_unharmed(&server);
}

#[test]
fn a_wrong_path_and_a_wrong_method_are_named() {
    let server = Running::start(|_| ());
    assert_refused(&get(server.address, "/v1/other"), "/v1/rerank", 404, "there is no `/v1/other`");
    let reply = get(server.address, "/v2/rerank");
    assert_eq!(reply.header("allow"), Some("POST"));
    assert_refused(&reply, "/v2/rerank", 405, "`/v2/rerank` takes POST, not GET");
    assert_eq!(raw(server.address, b"no http at all\r\n\r\n").unwrap().status, 400);
    assert_unharmed(&server);
}

#[test]
fn a_body_beyond_the_limit_is_refused_whether_its_length_is_said_or_not() {
    let server = Running::start(|config| config.limits.max_body_bytes = 10_000);
    let long = request("/v2/rerank", "", &b" ".repeat(1 << 20));
    let message = "the body is longer than 10000 bytes";
    assert_refused(&raw(server.address, &long).unwrap(), "/v2/rerank", 413, message);

    let mut endless = b"POST /rerank HTTP/1.1\r\nhost: here\r\ncontent-type: application/json\r\n\
        transfer-encoding: chunked\r\n\r\n"
        .to_vec();
    for _ in 0..100 {
        endless.extend(format!("400\r\n{}\r\n", " ".repeat(0x400)).bytes());
    }
    let mut stream = connect(server.address);
    stream.write_all(&endless).unwrap();
    stream.write_all(b"0\r\n\r\n").unwrap();
    assert_refused(&reply(&stream).unwrap(), "/rerank", 413, message);
    assert_unharmed(&server);
}

#[test]
fn a_client_that_is_slow_or_gone_harms_nobody() {
    let server = Running::start(|config| {
        config.limits.request_timeout = Duration::from_secs(2);
        config.limits.head_timeout = Duration::from_secs(2);
    });
    let whole = request("/v1/rerank", "", br#"{"query": "q", "documents": ["a"]}"#);
    // The body stops in the middle.
    let mut slow = connect(server.address);
    slow.write_all(&whole[..whole.len() - 5]).unwrap();
    assert_unharmed(&server);
    assert_refused(&reply(&slow).unwrap(), "/v1/rerank", 408, "the body did not come in time");
    // The head stops in the middle: there is nothing yet to answer to.
    let mut silent = connect(server.address);
    silent.write_all(&whole[..20]).unwrap();
    assert!(reply(&silent).is_none_or(|reply| reply.status == 408));
    // The client leaves in the middle.
    let mut gone = connect(server.address);
    gone.write_all(&whole[..whole.len() - 5]).unwrap();
    drop(gone);
    server.wait_for(|event| {
        matches!(event, Event::Abandoned { .. } | Event::Request { status: 400, .. })
    });
    assert_unharmed(&server);
}
