//! What each API answers.

use crate::client::{connect, get, post, raw, reply, request};
use crate::running::{Running, tiny_model};
use serde_json::{Value, json};
use std::io::Write;
use whetstone_model::Reranker;

const QUERY: &str = "How often must the filter be cleaned?";
/// A pair in a batch with the pairs of other clients: sums round differently.
const OTHER_BATCH: f32 = 1e-5;
const PASSAGES: [&str; 4] = [
    "Above four bar the relief valve opens and the water returns to the tank.",
    "Once a month in normal use, and once a week when the water is hard.",
    "A dry pump wears out its bearing within a week.",
    "Once a month in normal use, and once a week when the water is hard.",
];

fn sigmoid(logit: f32) -> f32 {
    (1.0 / (1.0 + (-f64::from(logit)).exp())) as f32
}

/// (index, score) of each result.
fn scores(results: &Value, name: &str) -> Vec<(usize, f32)> {
    let results = results.as_array().unwrap_or_else(|| panic!("{results}")).iter();
    let score = |result: &Value| {
        (result["index"].as_u64().unwrap() as usize, result[name].as_f64().unwrap() as f32)
    };
    results.map(score).collect()
}

fn expected(query: &str, passages: &[impl AsRef<str>]) -> Vec<(usize, f32)> {
    let ranking = Reranker::open(tiny_model()).unwrap().rank(query, passages).unwrap();
    ranking.into_iter().map(|hit| (hit.index, hit.score)).collect()
}

#[test]
fn a_late_interaction_is_served_with_the_scores_of_the_reranker() {
    for model in ["tiny-colbert", "tiny-pylate"] {
        let model = tiny_model().parent().unwrap().join(model);
        let server = Running::start(|config| config.model.clone_from(&model));
        let long = PASSAGES.join(" ").repeat(4);
        let passages = [&PASSAGES[..], &[long.as_str(), ""]].concat();
        let ranking = Reranker::open(&model).unwrap().rank(QUERY, &passages).unwrap();
        let body = json!({"query": QUERY, "texts": passages, "raw_scores": true});
        let answer = scores(&post(server.address, "/rerank", &body).json(), "score");
        for (hit, (index, score)) in ranking.iter().zip(answer) {
            assert!((hit.score - score).abs() < OTHER_BATCH, "{} {score}", hit.score);
            assert_eq!(hit.index, index, "{model:?}");
        }
    }
}

#[test]
fn every_api_gives_the_order_and_the_scores_of_the_reranker() {
    let server = Running::start(|_| ());
    let logits = expected(QUERY, &PASSAGES);
    let probabilities: Vec<_> =
        logits.iter().map(|&(index, logit)| (index, sigmoid(logit))).collect();

    let body = json!({"query": QUERY, "texts": PASSAGES, "raw_scores": true, "return_text": true});
    let answer = post(server.address, "/rerank", &body).json();
    assert_eq!(scores(&answer, "score"), logits);
    for (rank, (index, _)) in logits.iter().enumerate() {
        assert_eq!(answer[rank]["text"], PASSAGES[*index]);
    }
    let answer = post(server.address, "/rerank", &json!({"query": QUERY, "texts": PASSAGES}));
    assert_eq!(scores(&answer.json(), "score"), probabilities);
    assert!(answer.json()[0].get("text").is_none());

    let body = json!({"model": "any", "query": QUERY, "documents": PASSAGES, "top_n": 2});
    for (path, version, echoes) in [("/v1/rerank", "1", true), ("/v2/rerank", "2", false)] {
        let reply = post(server.address, path, &body);
        let answer = reply.json();
        assert_eq!(scores(&answer["results"], "relevance_score"), probabilities[..2]);
        assert_eq!(answer["meta"]["api_version"]["version"], version);
        assert_eq!(answer["id"], reply.header("x-request-id").unwrap());
        assert_eq!(answer["results"][0]["document"]["text"].is_string(), echoes);
    }
}

#[test]
fn documents_may_be_objects_and_are_sent_back_if_wanted() {
    let server = Running::start(|_| ());
    let documents = json!([{"text": PASSAGES[0], "id": 7}, PASSAGES[1]]);
    let body = json!({"query": QUERY, "documents": documents, "return_documents": true});
    let answer = post(server.address, "/v2/rerank", &body).json();
    assert_eq!(scores(&answer["results"], "index").len(), 2);
    for result in answer["results"].as_array().unwrap() {
        let index = result["index"].as_u64().unwrap() as usize;
        assert_eq!(result["document"]["text"], PASSAGES[index]);
    }
}

#[test]
fn a_long_document_is_cut_at_the_end_that_is_asked_for_or_refused() {
    let server = Running::start(|_| ());
    let long = format!("{} {} {}", PASSAGES[1], "word ".repeat(3000), PASSAGES[0]);
    let score = |more: Value| {
        let mut body = json!({"query": "filter", "texts": [long], "raw_scores": true});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        post(server.address, "/rerank", &body)
    };
    let right = scores(&score(json!({})).json(), "score");
    assert_eq!(right, expected("filter", &[&long]));
    let left = scores(&score(json!({"truncation_direction": "left"})).json(), "score");
    assert_ne!(left, right);
    let refused = score(json!({"truncate": false}));
    assert_eq!((refused.status, &refused.json()["error_type"]), (413, &json!("Validation")));
    assert!(refused.body.contains("`texts[0]` and the query have "), "{}", refused.body);

    let few = json!({"query": "filter", "documents": [long], "max_tokens_per_doc": 5});
    let answer = post(server.address, "/v2/rerank", &few).json();
    assert_ne!(answer["results"][0]["relevance_score"], json!(sigmoid(right[0].1)));
}

#[test]
fn each_of_many_clients_gets_its_own_answer() {
    let server = Running::start(|_| ());
    let texts = |client: usize| -> Vec<String> {
        let text = |at: usize| format!("{} {client} {}", PASSAGES[at % 4], at * client);
        (0..3 + client).map(text).collect()
    };
    let reranker = Reranker::open(tiny_model()).unwrap();
    std::thread::scope(|scope| {
        for client in 0..16 {
            let (server, reranker) = (&server, &reranker);
            scope.spawn(move || {
                let texts = texts(client);
                let logits = reranker.rank(QUERY, &texts).unwrap();
                let body = json!({"query": QUERY, "texts": texts, "raw_scores": true});
                for _ in 0..5 {
                    let answer = post(server.address, "/rerank", &body).json();
                    let found = scores(&answer, "score");
                    let wanted = logits.iter().map(|hit| (hit.index, hit.score));
                    let close = |((at, found), (index, logit)): (&(usize, f32), (usize, f32))| {
                        *at == index && (found - logit).abs() < OTHER_BATCH
                    };
                    assert!(found.iter().zip(wanted).all(close), "client {client}: {found:?}");
                    assert_eq!(found.len(), logits.len());
                }
            });
        }
    });
}

#[test]
fn the_server_tells_what_it_serves_and_counts() {
    let server = Running::start(|_| ());
    assert_eq!(get(server.address, "/health").json(), json!({"status": "ready"}));
    let info = get(server.address, "/info").json();
    assert_eq!(
        (&info["max_input_length"], &info["max_client_batch_size"], &info["scores"]),
        (&json!(128), &json!(1000), &json!("sigmoid"))
    );
    // Typed clients of text-embeddings-inference refuse an answer that lacks one of these.
    for name in ["sha", "docker_label", "model_sha", "max_batch_requests"] {
        assert_eq!(info.get(name), Some(&json!(null)), "{name}");
    }
    assert!(info["max_batch_tokens"].is_u64() && info["tokenization_workers"].is_u64(), "{info}");
    let document = get(server.address, "/openapi.json").json();
    assert_eq!(document["openapi"], "3.1.0");
    post(server.address, "/rerank", &json!({"query": QUERY, "texts": PASSAGES}));
    let metrics = get(server.address, "/metrics");
    assert_eq!(metrics.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    for line in [
        "whetstone_requests_total{path=\"/rerank\",status=\"200\"} 1",
        // Two of the four passages are equal.
        "whetstone_scored_pairs_total 3",
        "whetstone_requests_in_work 0",
    ] {
        assert!(metrics.body.lines().any(|found| found == line), "{line}\n{}", metrics.body);
    }
}

#[test]
fn a_request_has_an_id_of_the_client_or_a_new_one() {
    let server = Running::start(|_| ());
    let body = json!({"query": QUERY, "texts": ["a"]}).to_string();
    let send = |headers: &str| {
        let reply = raw(server.address, &request("/rerank", headers, body.as_bytes())).unwrap();
        reply.header("x-request-id").unwrap().to_owned()
    };
    assert_eq!(send("x-request-id: mine-42\r\n"), "mine-42");
    let (one, other) = (send(""), send(&format!("x-request-id: {}\r\n", "x".repeat(500))));
    assert!(one.len() == 16 && other.len() == 16 && one != other);
}

#[test]
fn a_connection_serves_requests_one_after_the_other_and_http_1_0_closes() {
    let server = Running::start(|_| ());
    let body = json!({"query": QUERY, "texts": PASSAGES}).to_string();
    let bytes = request("/rerank", "", body.as_bytes());
    let mut stream = connect(server.address);
    for _ in 0..3 {
        stream.write_all(&bytes).unwrap();
        assert_eq!(reply(&stream).unwrap().status, 200);
    }
    let old = String::from_utf8(bytes).unwrap().replace("HTTP/1.1", "HTTP/1.0");
    let mut stream = connect(server.address);
    stream.write_all(old.as_bytes()).unwrap();
    assert_eq!(reply(&stream).unwrap().status, 200);
    assert!(reply(&stream).is_none(), "the connection is closed");
}
