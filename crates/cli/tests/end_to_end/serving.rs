use crate::calibrating::{data_that_agrees, model};
use crate::whetstone::{command, run, run_with_stdin, text, tiny_model};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStderr, Stdio};

/// A server as a child, and its log so far.
struct Serving {
    child: Child,
    log: BufReader<ChildStderr>,
    address: String,
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Serving {
    fn start(args: &[&str]) -> Self {
        let args = [&["serve", "--port", "0"], args].concat();
        let mut child = command(&args).stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let listening = event(&mut log, "listening");
        event(&mut log, "ready");
        let address = listening["address"].as_str().unwrap().to_owned();
        Self { child, log, address }
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let (status, answer) = self.send(path, body);
        assert_eq!(status, 200, "{answer}");
        answer
    }

    fn get(&self, path: &str) -> Value {
        self.exchange("GET", path, "").1
    }

    fn send(&self, path: &str, body: &Value) -> (u16, Value) {
        self.exchange("POST", path, &body.to_string())
    }

    /// Returns the status and the body of an answer.
    fn exchange(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: here\r\ncontent-type: application/json\r\n\
             connection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap())
    }
}

/// Reads the log up to an event.
fn event(log: &mut BufReader<ChildStderr>, name: &str) -> Value {
    loop {
        let mut line = String::new();
        assert!(log.read_line(&mut line).unwrap() > 0, "the log ended before `{name}`");
        let event: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"));
        if event["event"] == name {
            return event;
        }
    }
}

/// (index, score rounded to f32) of each result.
fn scores(results: &Value, name: &str) -> Vec<(u64, f32)> {
    let score =
        |result: &Value| (result["index"].as_u64().unwrap(), result[name].as_f64().unwrap() as f32);
    results.as_array().unwrap().iter().map(score).collect()
}

#[cfg(unix)]
#[test]
fn a_hangup_reloads_and_a_termination_ends_the_server_with_success() {
    let mut serving = Serving::start(&["--model", &tiny_model()]);
    let answer = serving.post("/rerank", &json!({"query": "q", "texts": ["a", "b"]}));
    assert_eq!(answer.as_array().unwrap().len(), 2);
    let request = event(&mut serving.log, "request");
    assert_eq!((&request["status"], &request["documents"]), (&json!(200), &json!(2)));
    let pid = serving.child.id().to_string();
    let signal = |name: &str| {
        assert!(std::process::Command::new("kill").args([name, &pid]).status().unwrap().success());
    };
    signal("-HUP");
    event(&mut serving.log, "reloaded");
    signal("-TERM");
    event(&mut serving.log, "stopped");
    assert_eq!(serving.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_calibrated_model_serves_its_probabilities_and_joins_a_first_stages_scores() {
    const PASSAGES: [&str; 3] = ["oil the chain", "the light is dark", "spokes of a wheel"];
    const QUERY: &str = "how to oil a chain";
    let folder = tempfile::tempdir().unwrap();
    let model = model(folder.path());
    let data = data_that_agrees(&model, &folder.path().join("data"), true);
    run(&["calibrate", "--model", &model, "--data", &data, "--json"]).json();

    let args = ["rerank", "--model", &model, "--query", QUERY, "--probability", "--json"];
    let ranked = run_with_stdin(&args, &PASSAGES.join("\n")).json();
    let serving = Serving::start(&["--model", &model]);
    let mut body = json!({"query": QUERY, "documents": PASSAGES});
    let answer = serving.post("/v2/rerank", &body);
    assert_eq!(scores(&answer["results"], "relevance_score"), scores(&ranked, "probability"));

    // The same fusion as over a run with these candidates.
    let file = |name: &str, content: String| {
        fs::write(folder.path().join(name), content).unwrap();
        text(&folder.path().join(name))
    };
    let lines = |line: &dyn Fn(usize) -> String| (0..3).map(line).collect::<String>();
    let first_stage = [1.0, 5.0, 2.5];
    let corpus =
        lines(&|at| json!({"_id": format!("p{at}"), "text": PASSAGES[at]}).to_string() + "\n");
    let (corpus, queries) = (
        file("corpus.jsonl", corpus),
        file("queries.jsonl", json!({"_id": "q", "text": QUERY}).to_string() + "\n"),
    );
    let candidates =
        file("candidates.run", lines(&|at| format!("q Q0 p{at} 1 {} bm25\n", first_stage[at])));
    let out = text(&folder.path().join("fused.run"));
    let args = ["rerank", "--model", &model, "--corpus", &corpus, "--queries", &queries];
    let notes: Value =
        serde_json::from_slice(&fs::read(Path::new(&model).join("whetstone.json")).unwrap())
            .unwrap();
    let name = notes["fusion"]["weights"].as_object().unwrap().keys().next().unwrap().clone();
    let named = format!("{name}={candidates}");
    let more = ["--candidates", &candidates, "--out", &out, "--fuse", "--json"];
    let more = [&more[..], &["--first-stage", &named]].concat();
    run(&[&args[..], &more].concat()).json();
    let fused: Vec<(u64, f32)> = fs::read_to_string(&out)
        .unwrap()
        .lines()
        .map(|line| {
            let fields: Vec<&str> = line.split(' ').collect();
            (fields[2][1..].parse().unwrap(), fields[4].parse().unwrap())
        })
        .collect();
    assert_eq!(serving.get("/info")["first_stages"], json!([name]));
    body["first_stage_scores"] = json!({ name: first_stage });
    let answer = serving.post("/v2/rerank", &body);
    assert_eq!(scores(&answer["results"], "relevance_score"), fused);
    body["first_stage_scores"] = json!({});
    let (status, answer) = serving.send("/v2/rerank", &body);
    assert_eq!(status, 400, "{answer}");
    assert!(answer.to_string().contains("is missing, and the model joins it"), "{answer}");
}

#[test]
fn a_server_that_cannot_start_says_why() {
    let outcome = run(&["serve", "--model", &tiny_model(), "--host", "0.0.0.0", "--port", "0"]);
    assert_eq!(outcome.code, Some(2));
    assert_eq!(
        outcome.stderr,
        "error: `0.0.0.0` can be reached from other machines, and there are no API keys\n\
         hint: name a file of keys with --api-keys, or let everybody in with --allow-anonymous\n"
    );
}
