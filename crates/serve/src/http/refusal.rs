//! Why a request is not answered.

use std::fmt;

/// Why a request is not answered. Each API has a status for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The body is not JSON.
    Syntax,
    /// A field has the wrong type or value.
    Field,
    /// The query or the list of documents is empty.
    Empty,
    /// The body, the list or a text is too long.
    TooLarge,
    /// The body is said to be something else than JSON.
    MediaType,
    /// The API key is missing or unknown.
    Key,
    NoSuchPath,
    WrongMethod,
    /// The body did not come in time.
    SlowBody,
    /// The client ended the body early.
    CutOff,
    /// The model is loading.
    Loading,
    /// Too much is in work.
    Overloaded,
    /// The scores did not come in time.
    TimedOut,
    /// The server's own failure.
    Internal,
}

/// A request that is not answered: why, and what is wrong with it.
#[derive(Debug)]
pub struct Refusal {
    pub kind: Kind,
    pub message: String,
    /// After how many seconds the client may ask again.
    pub retry_after_s: Option<u64>,
}

impl Refusal {
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), retry_after_s: None }
    }

    /// Names the field at fault.
    pub fn field(kind: Kind, field: impl fmt::Display, problem: impl fmt::Display) -> Self {
        Self::new(kind, format!("`{field}` {problem}"))
    }

    pub fn retry_after(self, seconds: u64) -> Self {
        Self { retry_after_s: Some(seconds), ..self }
    }
}
