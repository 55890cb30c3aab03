use crate::whetstone::{assert_fails, quickstart_folder, run, synth_config, text};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A chat endpoint on loopback; `judge` is given both answers.
fn serve(judge: fn(&str, &str) -> &'static str) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let counted = counted.clone();
            std::thread::spawn(move || talk(stream, &counted, judge));
        }
    });
    (url, calls)
}

fn talk(stream: TcpStream, calls: &AtomicUsize, judge: fn(&str, &str) -> &'static str) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let mut headers = String::new();
        while !headers.ends_with("\r\n\r\n") {
            if reader.read_line(&mut headers).unwrap_or(0) == 0 {
                return;
            }
        }
        let length = headers.to_lowercase().split_once("content-length: ").unwrap().1.to_owned();
        let mut body = vec![0; length.lines().next().unwrap().trim().parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        let asked = body["messages"][1]["content"].as_str().unwrap();
        let content = match asked.split_once("\n\nAnswer A: ") {
            Some((_, answers)) => {
                let (a, b) = answers.split_once("\n\nAnswer B: ").unwrap();
                json!({"better": judge(a, b)})
            }
            None => json!({"answer": asked.lines().next().unwrap()}),
        };
        calls.fetch_add(1, Ordering::SeqCst);
        let message = json!({"choices": [{"message": {"role": "assistant", "content": content.to_string()},
            "finish_reason": "stop"}], "usage": {"prompt_tokens": 10, "completion_tokens": 5}});
        let message = message.to_string();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            message.len()
        );
        (&stream).write_all((head + &message).as_bytes()).unwrap();
    }
}

fn config(folder: &Path, url: &str) -> String {
    let path = synth_config(folder);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        format!("{text}\n[llm]\nbase-url = \"{url}\"\nname = \"stand-in\"\nmax-retries = 0\n"),
    )
    .unwrap();
    path
}

/// Two runs over the three queries, of which the last has the same first passage in both.
fn runs(folder: &Path) -> [String; 2] {
    let candidates = fs::read_to_string(quickstart_folder().join("data/candidates.run")).unwrap();
    let rows: Vec<Vec<&str>> = candidates.lines().map(|line| line.split(' ').collect()).collect();
    let queries: std::collections::BTreeSet<&str> = rows.iter().map(|row| row[0]).collect();
    let last = queries.iter().next_back().unwrap();
    ["before", "after"].map(|name| {
        let mut lines = String::new();
        for query in &queries {
            let of_query: Vec<_> = rows.iter().filter(|row| row[0] == *query).collect();
            let first = usize::from(name == "after" && query != last);
            lines += &format!("{query} Q0 {} 1 1.0 {name}\n", of_query[first][2]);
        }
        let path = folder.join(format!("{name}.run"));
        fs::write(&path, lines).unwrap();
        text(&path)
    })
}

#[test]
fn answers_are_judged_in_both_orders_and_paid_for_once() {
    let folder = tempfile::tempdir().unwrap();
    let data = text(&quickstart_folder().join("data"));
    let [before, after] = runs(folder.path());
    for (name, judge, consistent) in [
        ("biased", (|_, _| "A") as fn(&str, &str) -> &'static str, 0.0),
        ("fair", |a, b| if a.len() > b.len() { "A" } else { "B" }, 1.0),
    ] {
        let place = folder.path().join(name);
        fs::create_dir(&place).unwrap();
        let (url, calls) = serve(judge);
        let (config, out) = (config(&place, &url), text(&place.join("out")));
        let args = [
            "answers", "--config", &config, "--data", &data, "--before", &before, "--after", &after,
        ];
        let args = [&args[..], &["--out", &out, "--top", "1", "--json"]].concat();
        let result = run(&args).json();
        assert_eq!((&result["queries"], &result["open"]), (&json!(3), &json!(0)), "{result:#}");
        assert_eq!(result["consistent_fraction"], consistent, "{result:#}");
        let decided =
            result["after_better"].as_u64().unwrap() + result["before_better"].as_u64().unwrap();
        assert_eq!(decided, if name == "fair" { 2 } else { 0 }, "{result:#}");
        // Two answers and two verdicts for each of two queries; the third has the same passage
        // twice.
        assert_eq!(calls.load(Ordering::SeqCst), 8);
        assert_eq!(run(&args).json(), result);
        assert_eq!(run(&[&args[..], &["--force"]].concat()).json(), result);
        assert_eq!(calls.load(Ordering::SeqCst), 8, "the journal holds every answer");
        let lines = fs::read_to_string(place.join("out/answers.jsonl")).unwrap();
        assert_eq!(lines.lines().count(), 3);
        let table = run(&args[..args.len() - 1]);
        assert!(
            table.stdout.starts_with("of 3 queries, the answer after reranking is better for "),
            "{}",
            table.stdout
        );
    }
}

#[test]
fn runs_of_other_queries_and_an_endpoint_that_is_gone_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let data = text(&quickstart_folder().join("data"));
    let [before, after] = runs(folder.path());
    let (config, out) =
        (config(folder.path(), "http://127.0.0.1:9/v1"), text(&folder.path().join("out")));
    let ask = |after: &str| {
        let args = [
            "answers", "--config", &config, "--data", &data, "--before", &before, "--after", after,
            "--out", &out,
        ];
        args.map(str::to_owned)
    };
    let stray = text(&folder.path().join("stray.run"));
    fs::write(&stray, "nobody Q0 p 1 1.0 x\n").unwrap();
    let args = ask(&stray);
    assert_fails(
        &args.each_ref().map(String::as_str),
        folder.path(),
        "error: `DIR/before.run` and `DIR/stray.run` have no query in common\n\
         hint: both must rank the queries of one data set",
    );
    let args = ask(&after);
    let outcome = run(&[&args.each_ref().map(String::as_str)[..], &["--top", "1"]].concat());
    assert!(!folder.path().join("out/manifests/answers.json").exists(), "{}", outcome.stderr);
    assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
}
