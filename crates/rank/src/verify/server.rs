//! A live server that reranks as text-embeddings-inference does.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use ureq::Agent;

/// The longest wait for one query's passages.
const TIMEOUT: Duration = Duration::from_secs(120);
/// The largest answer to read, in bytes.
const MOST_BYTES: u64 = 16 << 20;
/// The longest part of a server's message to pass on, in characters.
const MESSAGE_CHARS: usize = 200;

/// The address of a server, and the key that it may ask for.
pub struct Server {
    url: String,
    key: Option<String>,
    agent: Agent,
}

#[derive(Serialize)]
struct Request<'a> {
    query: &'a str,
    texts: &'a [&'a str],
    /// Without it there is a sigmoid over the logits.
    raw_scores: bool,
    /// Without it a pair that is too long is refused.
    truncate: bool,
}

#[derive(Deserialize)]
struct Rank {
    index: usize,
    score: f32,
}

impl Server {
    /// `url` may name the server or its path `/rerank`.
    pub fn new(url: &str, key: Option<String>) -> Self {
        let url = url.trim_end_matches('/');
        let url = if url.ends_with("/rerank") { url.to_owned() } else { format!("{url}/rerank") };
        // No redirects: the key must go only where the user said.
        let config = Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .max_redirects(0)
            .build();
        Self { url, key, agent: config.into() }
    }

    pub fn address(&self) -> &str {
        &self.url
    }

    /// Returns the raw logit of every pair. The pairs of a query that stand side by side go into
    /// one request.
    pub fn score(&self, pairs: &[(&str, &str)]) -> Result<Vec<f32>> {
        let mut logits = Vec::with_capacity(pairs.len());
        for group in pairs.chunk_by(|one, other| one.0 == other.0) {
            let texts: Vec<&str> = group.iter().map(|(_, passage)| *passage).collect();
            logits.extend(self.rerank(group[0].0, &texts)?);
        }
        Ok(logits)
    }

    fn rerank(&self, query: &str, texts: &[&str]) -> Result<Vec<f32>> {
        let request = Request { query, texts, raw_scores: true, truncate: true };
        let body = serde_json::to_vec(&request).expect("texts always serialise");
        let unreachable =
            |source| Error::Unreachable { url: self.url.clone(), source: Box::new(source) };
        let mut call = self.agent.post(&self.url).header("content-type", "application/json");
        if let Some(key) = &self.key {
            call = call.header("authorization", format!("Bearer {key}"));
        }
        let mut answer = call.send(&body[..]).map_err(unreachable)?;
        let status = answer.status();
        let bytes = answer.body_mut().with_config().limit(MOST_BYTES).read_to_vec();
        let bytes = bytes.map_err(unreachable)?;
        let refused = |message: String| {
            let message = message.chars().take(MESSAGE_CHARS).collect();
            Error::ServerAnswer { url: self.url.clone(), status: status.as_u16(), message }
        };
        if !status.is_success() {
            return Err(refused(String::from_utf8_lossy(&bytes).into_owned()));
        }
        let ranks: Vec<Rank> =
            serde_json::from_slice(&bytes).map_err(|error| refused(error.to_string()))?;
        in_order(&ranks, texts.len())
            .ok_or_else(|| refused("not one score for each passage".to_owned()))
    }
}

/// Returns the scores in the order of the passages; None unless each has exactly one.
fn in_order(ranks: &[Rank], passages: usize) -> Option<Vec<f32>> {
    let mut scores = vec![None; passages];
    for rank in ranks {
        if scores.get_mut(rank.index)?.replace(rank.score).is_some() {
            return None;
        }
    }
    scores.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    /// A server that answers every request alike. Returns its address.
    fn server(status: &'static str, body: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map(Result::unwrap) {
                let mut request = Vec::new();
                let mut buffer = [0; 1024];
                while !request.ends_with(b"}") {
                    let read = stream.read(&mut buffer).unwrap();
                    request.extend(&buffer[..read]);
                }
                let request = String::from_utf8(request).unwrap();
                assert!(request.starts_with("POST /rerank "), "{request}");
                assert!(request.contains(r#""raw_scores":true"#), "{request}");
                let length = body.len();
                write!(
                    stream,
                    "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
                )
                .unwrap();
            }
        });
        address
    }

    fn score(address: &str) -> Result<Vec<f32>> {
        Server::new(address, None).score(&[("q", "a"), ("q", "b")])
    }

    #[test]
    fn scores_come_back_in_the_order_of_the_passages() {
        let address =
            server("200 OK", r#"[{"index":1,"score":2.5},{"index":0,"score":-1.0,"text":"a"}]"#);
        assert_eq!(score(&address).unwrap(), [-1.0, 2.5]);
        assert_eq!(score(&format!("{address}/rerank/")).unwrap(), [-1.0, 2.5]);
    }

    #[test]
    fn an_answer_that_leaves_a_passage_out_is_refused() {
        for body in [
            r#"[{"index":1,"score":2.5}]"#,
            r#"[{"index":1,"score":2.5},{"index":1,"score":2.5}]"#,
            r#"[{"index":0,"score":2.5},{"index":2,"score":2.5}]"#,
            r#"{"results":[]}"#,
        ] {
            let error = score(&server("200 OK", body)).unwrap_err();
            assert!(matches!(error, Error::ServerAnswer { status: 200, .. }), "{error:?}");
        }
    }

    #[test]
    fn a_refusal_is_told_in_the_servers_words() {
        let error = score(&server("422 Unprocessable Entity", r#"{"error":"too long"}"#));
        let message = error.unwrap_err().to_string();
        assert!(message.contains("422") && message.contains("too long"), "{message}");
    }

    #[test]
    fn a_server_that_is_not_there_is_named() {
        let error = score("http://127.0.0.1:9").unwrap_err();
        assert!(error.to_string().contains("http://127.0.0.1:9/rerank"), "{error}");
    }
}
