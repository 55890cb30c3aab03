//! `whetstone serve`: a model over HTTP.

use super::PlacementArgs;
use crate::cli::Talk;
use crate::failure::Result;
use crate::{allocator, descriptors, interrupt, output};
use serde::Serialize;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use whetstone_serve::{Event, Handle, Level, Limits, ServeConfig, Server};

/// Answer rerank requests over HTTP, as text-embeddings-inference, Jina and Cohere do
#[derive(clap::Args)]
#[command(after_help = "Examples:
  whetstone serve --model models/mine
  whetstone serve --model models/mine --host 0.0.0.0 --port 8080 --api-keys keys.txt

POST /rerank        as text-embeddings-inference: {\"query\", \"texts\"}
POST /v1/rerank     as Jina and Cohere's first version: {\"query\", \"documents\", \"top_n\"}
POST /v2/rerank     as Cohere's second version
GET  /health, /info, /metrics (Prometheus), /openapi.json

Scores are probabilities: calibrated if the model was (`whetstone calibrate`), else the sigmoid of
the logit. The log is on stderr, one JSON object a line; --quiet leaves warnings and errors. A new
manifest in the model's folder, or SIGHUP, brings a new model without a pause, if it loads and
scores as its golden.json says. On Ctrl-C or SIGTERM the server answers what is in work and ends.")]
pub struct Args {
    /// A cross-encoder: a folder that `whetstone export` wrote, or an id on the Hugging Face hub
    #[arg(long, value_name = "DIR")]
    model: String,
    /// The address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    host: IpAddr,
    /// The port to listen on; 0 takes a free one
    #[arg(long, value_name = "N", default_value_t = 8080)]
    port: u16,
    #[command(flatten)]
    placement: PlacementArgs,
    /// A file with an API key on each line; clients send `Authorization: Bearer KEY`
    #[arg(long, value_name = "FILE")]
    api_keys: Option<PathBuf>,
    /// Let other machines ask without a key
    #[arg(long)]
    allow_anonymous: bool,
    /// Requests in work at once; others are told to come back
    #[arg(long, value_name = "N", default_value_t = Limits::default().max_requests, value_parser = at_least_1)]
    max_requests: usize,
    /// Documents in a request
    #[arg(long, value_name = "N", default_value_t = Limits::default().max_documents, value_parser = at_least_1)]
    max_documents: usize,
    /// Bytes of a request's body
    #[arg(long, value_name = "N", default_value_t = Limits::default().max_body_bytes, value_parser = at_least_1)]
    max_body_bytes: usize,
    /// Seconds from a request's first byte to its answer
    #[arg(long, value_name = "SECONDS", default_value_t = Limits::default().request_timeout.as_secs())]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout_s: u64,
}

fn at_least_1(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("expected a whole number from 1".into()),
        Ok(number) => Ok(number),
    }
}

pub fn run(args: &Args, talk: &Talk) -> Result<()> {
    let model = whetstone_hub::resolve(&args.model, &*talk.progress())?;
    let config = ServeConfig {
        host: args.host,
        port: args.port,
        placement: args.placement.placement(),
        api_keys: args.api_keys.clone(),
        allow_anonymous: args.allow_anonymous,
        limits: Limits {
            max_requests: args.max_requests,
            max_documents: args.max_documents,
            max_body_bytes: args.max_body_bytes,
            request_timeout: Duration::from_secs(args.timeout_s),
            max_held_bytes: Limits::default().max_held_bytes.max(args.max_body_bytes),
            ..Limits::default()
        },
        ..ServeConfig::new(model)
    };
    descriptors::allow_many();
    let quiet = talk.quiet();
    let log = move |event: &Event| {
        if let Event::Ready { .. } | Event::Reloaded { .. } | Event::ReloadFailed { .. } = event {
            // The thread that loaded a model is done: what it freed is about as large as the model.
            allocator::return_freed_pages();
        }
        if !quiet || event.level() != Level::Info {
            output::talk(&line(event));
        }
    };
    let server = Server::bind(config, Arc::new(log))?;
    let stop = server.handle();
    interrupt::instead(move || stop.stop());
    reload_on_hangup(server.handle());
    Ok(server.run()?)
}

/// A line of the log.
fn line(event: &Event) -> String {
    #[derive(Serialize)]
    struct Line<'a> {
        time: String,
        level: Level,
        #[serde(flatten)]
        event: &'a Event,
    }
    let time = format!("{:.3}", jiff::Timestamp::now());
    let line = Line { time, level: event.level(), event };
    serde_json::to_string(&line).expect("events are plain data, which always serialises")
}

#[cfg(unix)]
fn reload_on_hangup(handle: Handle) {
    use signal_hook::consts::SIGHUP;
    use signal_hook::iterator::Signals;
    // Without it, a hangup ends the program, as it ends others.
    let Ok(mut signals) = Signals::new([SIGHUP]) else { return };
    std::thread::spawn(move || signals.forever().for_each(|_| handle.reload()));
}

#[cfg(not(unix))]
fn reload_on_hangup(_handle: Handle) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_log_is_one_json_object_with_time_and_level() {
        let event = Event::ReloadFailed { reason: "a\nb".into(), hint: None };
        let line = line(&event);
        assert!(!line.contains('\n'));
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&value["level"], &value["event"]), (&"error".into(), &"reload-failed".into()));
        assert!(value["time"].as_str().is_some_and(|time| time.ends_with('Z') && time.len() == 24));
    }
}
