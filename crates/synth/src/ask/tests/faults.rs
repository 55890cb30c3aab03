//! A server with every fault at once.

use super::server::{Reply, Request, Server, completion, good, questions};
use super::*;
use serde_json::json;
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use whetstone_records::sha256_bytes;

/// Faults of transport and of answers. A request's text and the number of its tries decide which
/// one it meets. In bursts of 300 ms every two seconds, every answer is a 500.
fn faulty() -> impl Fn(&Request) -> Reply + Send + Sync + 'static {
    let seen: Mutex<HashMap<String, u32>> = Mutex::default();
    let started = Instant::now();
    move |request| {
        let text = request.body.to_string();
        let times = {
            let mut seen = seen.lock().unwrap();
            let times = seen.entry(sha256_bytes(text.as_bytes())).or_default();
            *times += 1;
            *times
        };
        if started.elapsed().as_millis() % 2000 > 1700 {
            return Reply::Status(500, "", "burst".into());
        }
        let draw =
            u32::from_str_radix(&sha256_bytes(format!("{times} {text}").as_bytes())[..6], 16)
                .unwrap()
                % 1000;
        match draw {
            0..20 => Reply::Reset,
            20..22 => Reply::Slow(completion(&questions(request), "stop"), 20),
            22..42 => Reply::Status(429, "retry-after-ms: 20\r\n", "{}".into()),
            42..52 => {
                Reply::Status(429, "", json!({"error": {"message": "slow down"}}).to_string())
            }
            52..72 => Reply::Status(503, "", "<html>down</html>".into()),
            72..92 => Reply::Torn("{\"choices\": [{\"message\"".into()),
            92..112 => Reply::Status(200, "", "{\"choices\": [{\"message\": {\"cont".into()),
            112..132 => {
                Reply::Status(200, "", json!({"choices": [{"text": "old API"}]}).to_string())
            }
            132..134 => Reply::Endless,
            134..154 => Reply::Status(
                200,
                "",
                json!({"error": {"message": "overloaded", "code": 529}}).to_string(),
            ),
            154..174 => Reply::Status(200, "", completion("{\"questions\": [\"What is", "length")),
            174..194 => Reply::Status(200, "", completion("", "stop")),
            194..214 => Reply::Status(200, "", completion("Sorry, I cannot do that.", "stop")),
            214..224 => Reply::Status(
                400,
                "",
                json!({"error": {"message": "content rejected"}}).to_string(),
            ),
            _ => good(request),
        }
    }
}

/// Returns the manifest and how long it took, after checking that every passage is accounted for.
fn survive(passages: usize) -> (Manifest, Duration) {
    let (folder, server) = (data_set(passages), Server::start(faulty()));
    let mut config = config(&server);
    (config.llm.concurrency, config.llm.timeout_s, config.llm.max_retries) = (16, 3, 3);
    let started = Instant::now();
    let manifest = run(folder.path(), &config).unwrap();
    let wall = started.elapsed();
    let count = |name: &str| manifest.counts.get(name).copied().unwrap_or(0);
    assert_eq!(count("passages-asked"), passages as u64);
    let with: std::collections::HashSet<_> =
        queries(folder.path()).into_iter().filter_map(|query| query.metadata.passage).collect();
    // Every passage has queries or a named reason: nothing is silent.
    assert_eq!(with.len() as u64 + count("passages-without-query"), passages as u64);
    let open = count("passages-not-answered");
    let twice_faulty = count("passages-without-query") - open;
    assert!(
        twice_faulty
            <= count("answers-unreadable") + count("answers-empty") + count("answers-cut-off")
    );
    assert!(with.len() > passages * 9 / 10, "{:?}", manifest.counts);
    // A second run asks only for those, and the counts agree with the journal.
    let before = server.count();
    let second = run(folder.path(), &config).unwrap();
    if open > 0 {
        assert!(
            !second.up_to_date
                && second.counts.get("passages-not-answered").copied().unwrap_or(0)
                    < open.max(1) + 1
        );
        assert!(
            server.count() - before <= open as usize * 9 + 16,
            "{} {open}",
            server.count() - before
        );
    }
    (manifest, wall)
}

#[test]
fn every_passage_is_answered_or_reported_whatever_the_server_does() {
    survive(300);
}

/// `just faults`
#[test]
#[ignore = "takes minutes"]
fn ten_thousand_passages_are_answered_or_reported() {
    let (manifest, wall) = survive(10_000);
    println!("10,000 passages in {:.0} s: {:#?}", wall.as_secs_f64(), manifest.counts);
}
