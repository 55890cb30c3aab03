//! What the server tells about itself: one event, one line of the log.

use serde::Serialize;
use std::sync::Arc;

/// Whoever listens, such as the program's log.
pub type Listener = Arc<dyn Fn(&Event) + Send + Sync>;

/// How much an event matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    Info,
    Warn,
    Error,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The port is open, and the model is being loaded.
    Listening { address: String, model: String },
    /// The model scores.
    Ready { model: String, seconds: f64 },
    /// A request was answered.
    Request {
        id: String,
        method: String,
        path: String,
        status: u16,
        ms: f64,
        /// Documents and tokens that were scored.
        #[serde(skip_serializing_if = "Option::is_none")]
        documents: Option<usize>,
        #[serde(skip_serializing_if = "Option::is_none")]
        tokens: Option<usize>,
    },
    /// The client went away before its answer.
    Abandoned { id: String, method: String, path: String, ms: f64 },
    /// The server failed at a request.
    Failed { id: String, reason: String },
    /// Another model answers from now on.
    Reloaded { model: String, seconds: f64 },
    /// The new model does not work; the old one stays.
    ReloadFailed { reason: String, hint: Option<String> },
    /// No connection could be accepted.
    AcceptFailed { reason: String },
    /// No new requests are taken.
    Stopping { in_work: usize },
    /// Every answer is out, or its time is over.
    Stopped { unanswered: usize },
}

impl Event {
    pub fn level(&self) -> Level {
        match self {
            Event::Failed { .. } | Event::ReloadFailed { .. } => Level::Error,
            Event::AcceptFailed { .. } => Level::Warn,
            Event::Request { status, .. } if *status >= 500 => Level::Warn,
            Event::Stopped { unanswered } if *unanswered > 0 => Level::Warn,
            _ => Level::Info,
        }
    }
}
