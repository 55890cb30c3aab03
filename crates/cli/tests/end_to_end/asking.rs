//! `whetstone ask` against a real HTTP server on loopback.

use crate::whetstone::{command, repository, run, text, tiny_model};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Of the data set that is asked about under fire.
const PASSAGES: usize = 80;

/// How often each request's text was answered.
type Answered = Arc<Mutex<HashMap<String, u32>>>;

/// Answers three questions on the passage's first words after `wait`; returns the base URL and what
/// it answered.
fn server(wait: Duration) -> (String, Answered) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let answered = Answered::default();
    let log = answered.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let log = log.clone();
            std::thread::spawn(move || serve(stream, wait, &log));
        }
    });
    (url, answered)
}

fn serve(mut stream: TcpStream, wait: Duration, log: &Answered) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let mut headers = String::new();
        while !headers.ends_with("\r\n\r\n") {
            if reader.read_line(&mut headers).ok()? == 0 {
                return None;
            }
        }
        let length =
            headers.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())?;
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        std::thread::sleep(wait);
        let body: Value = serde_json::from_slice(&body).unwrap();
        let asked = body["messages"].as_array()?.last()?["content"].as_str()?.to_owned();
        let content =
            if asked.starts_with("Query: ") { grade(&asked)? } else { questions(&asked)? };
        let reply = json!({
            "choices": [{"message": {"content": content.to_string()}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 200, "completion_tokens": 30},
        })
        .to_string();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", reply.len());
        stream.write_all((head + &reply).as_bytes()).ok()?;
        *log.lock().unwrap().entry(asked).or_default() += 1;
    }
}

/// Three questions with the first words of the passage.
fn questions(asked: &str) -> Option<Value> {
    let passage = asked.split("Passage: ").nth(1)?;
    let words: Vec<&str> =
        passage.split_whitespace().filter(|word| word.len() > 4).take(3).collect();
    let words = words.join(" ");
    let begins = ["What is known about", "Who wants to know of", "Where are"];
    Some(json!({"questions": begins.map(|begin| format!("{begin} {words}?"))}))
}

/// Any grade, the same for the same pair.
fn grade(asked: &str) -> Option<Value> {
    let (query, passage) = asked.strip_prefix("Query: ")?.split_once("Passage: ")?;
    Some(json!({"grade": (query.len() + passage.len()) % 4}))
}

/// A folder with passages, and a config that asks the server.
fn prepared(folder: &Path, url: &str) -> (String, String) {
    let config = fs::read_to_string(repository().join("tests/e2e/quickstart.toml")).unwrap();
    let llm = format!(
        "\n[llm]\nbase-url = \"{url}\"\nname = \"stub\"\n[llm.prices]\nstub = {{ input = 1.0, output = 2.0 }}\n"
    );
    let config = config.replace("[ask]", "[ask]\ngenerator = \"openai\"") + &llm;
    let path = folder.join("synth.toml");
    fs::write(&path, format!("model = \"{}\"\n{config}", tiny_model())).unwrap();
    let (config, out) = (text(&path), text(&folder.join("data")));
    assert_eq!(run(&["chunk", "--config", &config, "--out", &out]).code, Some(0));
    (config, out)
}

#[test]
fn a_dry_run_sends_nothing_a_preview_is_kept_and_the_end_compares_both() {
    let folder = tempfile::tempdir().unwrap();
    let (url, answered) = server(Duration::ZERO);
    let (config, out) = prepared(folder.path(), &url);
    let ask = ["ask", "--config", &config, "--out", &out];
    let outcome = run(&[&ask[..], &["--dry-run"]].concat());
    for part in
        ["requests ", "tokens in ", "by the tokenizer of `tiny-model`", "USD, at most ", "time "]
    {
        assert!(outcome.stdout.contains(part), "{}", outcome.stdout);
    }
    assert!(answered.lock().unwrap().is_empty());
    let requests =
        run(&[&ask[..], &["--dry-run", "--json"]].concat()).json()["requests"].as_u64().unwrap();

    let preview = run(&[&ask[..], &["--preview", "3"]].concat());
    assert!(preview.stdout.contains("+ What is known about"), "{}", preview.stdout);
    assert_eq!(
        run(&[&ask[..], &["--dry-run", "--json"]].concat()).json()["requests"],
        requests - 3
    );
    let outcome = run(&ask);
    assert!(outcome.stderr.contains("estimated → real: "), "{}", outcome.stderr);
    assert_eq!(answered.lock().unwrap().values().sum::<u32>() as u64, requests);
    assert!(
        fs::read_to_string(Path::new(&out).join("synth.html")).unwrap().contains("Queries by stub")
    );
}

#[test]
fn killed_three_times_no_call_is_paid_twice_but_those_in_flight() {
    let folder = tempfile::tempdir().unwrap();
    let (url, answered) = server(Duration::from_millis(40));
    let (config, out) = (text(&folder.path().join("synth.toml")), text(folder.path()));
    let llm =
        format!("[ask]\ngenerator = \"openai\"\n[llm]\nbase-url = \"{url}\"\nname = \"stub\"\n");
    fs::write(&config, format!("model = \"{}\"\n{llm}", tiny_model())).unwrap();
    let passage = |number: usize| {
        let text = format!(
            "machine{number} stands beside building{number} and is oiled by the night shift."
        );
        json!({"_id": format!("p{number}"), "title": "", "text": text}).to_string() + "\n"
    };
    fs::write(folder.path().join("corpus.jsonl"), (0..PASSAGES).map(passage).collect::<String>())
        .unwrap();
    let ask = ["ask", "--config", &config, "--out", &out, "--quiet"];
    let total = || answered.lock().unwrap().values().sum::<u32>() as usize;
    for kill in 1..=3 {
        let mut child = command(&ask).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let waited = std::time::Instant::now();
        while total() < kill * PASSAGES / 5 && waited.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(5));
        }
        // SIGKILL on Unix: nothing can be tidied up.
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let killed_at = total();
    assert_eq!(run(&ask).code, Some(0));
    let answered = answered.lock().unwrap().clone();
    let twice = answered.values().map(|times| *times as usize - 1).sum::<usize>();
    // Four calls in flight at each of three kills.
    assert!(twice <= 12 && killed_at < PASSAGES, "{twice} twice, killed at {killed_at}");
    let journal = fs::read_to_string(Path::new(&out).join("ask.journal.jsonl")).unwrap();
    let keys: Vec<Value> = journal
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["key"].clone())
        .collect();
    let different: HashSet<&str> = keys.iter().filter_map(Value::as_str).collect();
    assert_eq!(different.len(), keys.len(), "what is in the journal was never asked again");
    assert_eq!((different.len(), answered.len()), (PASSAGES, PASSAGES));
}

#[test]
fn a_batch_file_is_written_and_a_key_in_the_config_is_refused_unseen() {
    let folder = tempfile::tempdir().unwrap();
    let (config, out) = prepared(folder.path(), "http://127.0.0.1:9/v1");
    let file = text(&folder.path().join("requests.jsonl"));
    let result =
        run(&["ask", "--config", &config, "--out", &out, "--batch-out", &file, "--json"]).json();
    assert_eq!(
        fs::read_to_string(&file).unwrap().lines().count() as u64,
        result["requests"].as_u64().unwrap()
    );
    fs::write(&config, "[llm]\napi-key = \"sk-not-to-be-seen\"\n").unwrap();
    let outcome = run(&["ask", "--config", &config, "--out", &out]);
    assert_eq!(outcome.code, Some(2));
    assert!(
        outcome.stderr.contains("line 2: a key does not belong into a config"),
        "{}",
        outcome.stderr
    );
    assert!(!outcome.stderr.contains("sk-not"), "{}", outcome.stderr);
}

#[test]
fn grades_become_labels_and_teachers_and_take_out_negatives_that_answer() {
    let folder = tempfile::tempdir().unwrap();
    let (url, answered) = server(Duration::ZERO);
    let (config, out) = prepared(folder.path(), &url);
    let step = |name: &str| run(&[name, "--config", &config, "--out", &out, "--json"]).json();
    step("ask");
    step("mine");
    let asked = answered.lock().unwrap().len();
    let manifest = step("grade");
    let count = |name: &str| manifest["counts"].get(name).and_then(Value::as_u64).unwrap_or(0);
    let graded =
        |kind: &str| (0..=3).map(|grade| count(&format!("{kind}-of-grade-{grade}"))).sum::<u64>();
    assert_eq!(graded("positives") + graded("negatives"), count("pairs"));
    assert!(count("negatives-of-grade-2") + count("negatives-of-grade-3") > 0, "{manifest:#}");
    assert!(answered.lock().unwrap().len() > asked);
    assert_eq!(step("grade")["up_to_date"], true);
    step("pair");
    let train = fs::read_to_string(Path::new(&out).join("train.jsonl")).unwrap();
    for line in train.lines() {
        let pair: Value = serde_json::from_str(line).unwrap();
        let (teacher, label) = (pair["teacher"].as_f64().unwrap(), pair["label"].as_f64().unwrap());
        assert!((label - teacher / 3.0).abs() < 1e-6, "{line}");
        let is_positive = pair["provenance"]["miner"] == "positive";
        assert!(if is_positive { teacher > 0.0 } else { teacher < 2.0 }, "{line}");
        assert!(pair["query_metadata"]["quality"]["overlap_fraction"].as_f64().is_some(), "{line}");
    }
    let prompt = folder.path().join("grade.md");
    fs::write(&prompt, "Grade.\n---\nQuery: {{query}}\nPassage: {{text}}\n").unwrap();
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text + "\n[grade]\nprompt = \"grade.md\"\n").unwrap();
    let before = answered.lock().unwrap().len();
    assert_eq!(step("grade")["up_to_date"], false);
    assert!(answered.lock().unwrap().len() > before, "another prompt is another question");
}
