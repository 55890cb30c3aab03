//! What the client of `ask` can do: calls a second against a loopback server that answers at once,
//! and the memory held along the way. `just bench-ask [PASSAGES]`

use serde_json::json;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;
use std::time::Instant;
use whetstone_records::{Passage, PassageMetadata, Progress, write_jsonl};
use whetstone_synth::{AskJob, GeneratorName, SynthConfig, ask};

fn main() {
    let passages = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(20_000);
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let passage = |index: usize| Passage {
        id: format!("p{index}").as_str().into(),
        title: "Handbook > Things".into(),
        text: format!(
            "topic{index} {}",
            "is a thing of the world that costs a crown in every shop of the town. ".repeat(8)
        ),
        metadata: PassageMetadata::default(),
    };
    write_jsonl(&folder.path().join("corpus.jsonl"), (0..passages).map(passage))
        .expect("the corpus is written");
    let mut config = SynthConfig::default();
    config.ask.generator = GeneratorName::Openai;
    (config.llm.base_url, config.llm.concurrency) = (serve(), 16);
    let watch = Watch::default();
    let job =
        AskJob { out: folder.path(), config: &config, model: None, placement: Default::default() };
    let started = Instant::now();
    let manifest = ask(&job, &watch).expect("the stub answers everything");
    let marks = watch.0.into_inner().expect("no thread has panicked").marks;
    let (first, last) = (marks[0], marks[marks.len() - 1]);
    println!(
        "{passages} passages, {} queries, {:.1} s in all",
        manifest.counts["queries"],
        started.elapsed().as_secs_f64()
    );
    println!("calls: {:.0} a second", (last.0 - first.0) as f64 / (last.1 - first.1));
    for (done, _, mib) in marks {
        println!("{done:>8} done: {mib:.1} MiB resident");
    }
}

#[derive(Default)]
struct Seen {
    asking: bool,
    started: Option<Instant>,
    done: u64,
    total: u64,
    /// Passages done, seconds since the first call, MiB resident.
    marks: Vec<(u64, f64, f64)>,
}

/// Takes the time and the memory at every tenth of the calls.
#[derive(Default)]
struct Watch(Mutex<Seen>);

impl Progress for Watch {
    fn start(&self, part: &str, total: Option<u64>, _unit: &str) {
        let mut seen = self.0.lock().expect("no thread has panicked");
        (seen.asking, seen.total) = (part == "ask", total.unwrap_or(0));
    }

    fn advance(&self, count: u64) {
        let mut seen = self.0.lock().expect("no thread has panicked");
        if !seen.asking {
            return;
        }
        seen.done += count;
        let started = *seen.started.get_or_insert_with(Instant::now);
        if seen.done >= seen.marks.len() as u64 * seen.total / 10 {
            let mark = (seen.done, started.elapsed().as_secs_f64(), resident_mib());
            seen.marks.push(mark);
        }
    }

    fn warn(&self, text: &str) {
        eprintln!("{text}");
    }
}

fn resident_mib() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<f64>().ok()).unwrap_or(0.0) * 4096.0
        / (1 << 20) as f64
}

/// Starts the server; returns its base URL.
fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url =
        format!("http://{}/v1", listener.local_addr().expect("a bound socket has an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer_all(stream));
        }
    });
    url
}

/// Answers the requests of one connection with three questions on the passage's first word.
fn answer_all(mut stream: TcpStream) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let (mut line, mut body) = (String::new(), Vec::new());
    loop {
        let mut length = 0;
        loop {
            line.clear();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.trim().parse().ok()?;
            }
            if line == "\r\n" {
                break;
            }
        }
        body.resize(length, 0);
        reader.read_exact(&mut body).ok()?;
        let text = String::from_utf8_lossy(&body);
        let topic = text.rsplit_once("Passage: ")?.1.split(' ').next()?;
        let questions = ["What is known about", "How much is paid for", "Where can one buy"];
        let content =
            json!({"questions": questions.map(|question| format!("{question} {topic}?"))})
                .to_string();
        let reply = json!({
            "choices": [{"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 400, "completion_tokens": 40},
        })
        .to_string();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", reply.len());
        stream.write_all((head + &reply).as_bytes()).ok()?;
    }
}
