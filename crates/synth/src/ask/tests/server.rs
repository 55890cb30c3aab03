//! A real HTTP server on loopback that answers as a test wants it to.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the server does with one request.
pub enum Reply {
    /// Status, further header lines, body.
    Status(u16, &'static str, String),
    /// Half of the announced body, then a closed connection.
    Torn(String),
    /// No answer at all.
    Hang,
    /// The connection is reset before a byte is sent.
    Reset,
    /// The body byte by byte, with this many milliseconds in between.
    Slow(String, u64),
    /// A body without end.
    Endless,
}

/// A request as it came.
pub struct Request {
    pub body: Value,
    /// How many came before.
    pub number: usize,
}

type Log = Arc<Mutex<Vec<(String, Value)>>>;

/// A server that lives as long as the test process; every request is kept.
pub struct Server {
    pub url: String,
    requests: Log,
}

impl Server {
    pub fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let requests = Log::default();
        let (log, answer) = (requests.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, answer) = (log.clone(), answer.clone());
                std::thread::spawn(move || serve(stream, &log, &*answer));
            }
        });
        Self { url, requests }
    }

    pub fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    pub fn bodies(&self) -> Vec<Value> {
        self.requests.lock().unwrap().iter().map(|(_, body)| body.clone()).collect()
    }

    pub fn headers(&self) -> Vec<String> {
        self.requests.lock().unwrap().iter().map(|(headers, _)| headers.clone()).collect()
    }
}

/// One connection, with as many requests as succeed.
fn serve(stream: TcpStream, log: &Log, answer: &dyn Fn(&Request) -> Reply) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let _ = stream.set_nodelay(true);
    while let Some((headers, body)) = read(&mut reader) {
        let number = {
            let mut log = log.lock().unwrap();
            log.push((headers, body.clone()));
            log.len() - 1
        };
        if send(&stream, answer(&Request { body, number })).is_none() {
            return;
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<(String, Value)> {
    let mut headers = String::new();
    while !headers.ends_with("\r\n\r\n") {
        if reader.read_line(&mut headers).unwrap_or(0) == 0 {
            return None;
        }
    }
    let length = headers
        .lines()
        .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    Some((headers, serde_json::from_slice(&body).unwrap_or_default()))
}

/// None where the connection cannot go on.
fn send(mut stream: &TcpStream, reply: Reply) -> Option<()> {
    let head = |status: u16, more: &str, length: usize| {
        format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n{more}\r\n")
    };
    match reply {
        Reply::Status(status, more, body) => {
            stream.write_all((head(status, more, body.len()) + &body).as_bytes()).ok()
        }
        Reply::Torn(body) => {
            let _ = stream.write_all((head(200, "", body.len() * 2) + &body).as_bytes());
            None
        }
        Reply::Hang => {
            std::thread::sleep(Duration::from_secs(30));
            None
        }
        Reply::Reset => None,
        Reply::Slow(body, ms) => {
            stream.write_all(head(200, "", body.len()).as_bytes()).ok()?;
            for byte in body.bytes() {
                std::thread::sleep(Duration::from_millis(ms));
                stream.write_all(&[byte]).ok()?;
            }
            Some(())
        }
        Reply::Endless => {
            stream.write_all(b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n").ok()?;
            let piece = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
            while stream.write_all(piece.as_bytes()).is_ok() {}
            None
        }
    }
}

/// The passage's text in a request.
pub fn asked_text(body: &Value) -> String {
    let content = body["messages"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap();
    content.split("Passage: ").nth(1).unwrap().split("\n\n").next().unwrap().to_owned()
}

/// A body with this content as the LLM's words.
pub fn completion(content: &str, finish_reason: &str) -> String {
    json!({
        "id": "x", "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": finish_reason}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
    })
    .to_string()
}

/// Three good questions about the passage of the request.
pub fn good(request: &Request) -> Reply {
    Reply::Status(200, "", completion(&questions(request), "stop"))
}

/// Three good questions as an LLM would write them.
pub fn questions(request: &Request) -> String {
    let text = asked_text(&request.body);
    let topic = text.split(' ').next().unwrap();
    let questions = [
        format!("What is known about {topic} today?"),
        format!("How does {topic} come to be so?"),
        format!("Why would anyone ask for {topic}?"),
    ];
    json!({"questions": questions}).to_string()
}
