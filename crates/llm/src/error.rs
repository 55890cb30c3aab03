//! What can go wrong between a question and its answer.

use crate::work::{CUT_OFF, CUT_OFF_IN_THOUGHT, Flaw};
use std::path::PathBuf;
use whetstone_records::Hint;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong between a question and its answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Records(#[from] whetstone_records::Error),

    #[error("`{key}` must be {expected}, got {value}")]
    ConfigValue { key: &'static str, expected: &'static str, value: String },
    #[error("`llm.extra-body.{key}` is set by Whetstone itself")]
    ReservedBodyField { key: String },
    #[error("`llm.max-cost` is set, but `[llm.prices]` has no price for `{llm}`")]
    NoPrice { llm: String },
    #[error("the key in {place} holds characters that no key has")]
    BadKey { place: String },
    #[error("there is no key in {place}")]
    EmptyKey { place: String },

    #[error(
        "prompt `{}`{}: {what}",
        path.display(),
        if *line == 0 { String::new() } else { format!(" line {line}") }
    )]
    BadPrompt { path: PathBuf, line: usize, what: String },

    #[error("`{}` is in use by another run", path.display())]
    JournalInUse { path: PathBuf },
    #[error("the journal `{}` was changed while it was in use", path.display())]
    JournalChanged { path: PathBuf },
    #[error("`{}` line {line}: `{custom_id}` is no `custom_id` of Whetstone's requests", path.display())]
    BadBatchLine { path: PathBuf, line: usize, custom_id: String },

    #[error("`{url}` refused the call with status {status}: {message}")]
    CallRefused {
        url: String,
        status: u16,
        message: String,
        key_place: String,
        key_set: bool,
        llm: String,
    },
    #[error("`{url}` asks to wait for {wait_s} s")]
    AskedToWait { url: String, wait_s: u64 },
    #[error("`{url}` does not answer: {reason}; {answered} answers are kept")]
    EndpointDown { url: String, reason: String, answered: usize },
    #[error("no answer of `{llm}` can be read: {}", counted(flaws))]
    NothingReadable {
        llm: String,
        /// What is wrong with the answers, and with how many of them.
        flaws: Vec<(Flaw, u64)>,
        /// The config key that limits their length.
        limit_key: &'static str,
        limit: u32,
    },
    #[error("the HTTP client cannot be made")]
    Http(#[source] reqwest::Error),
    #[error("no thread for network calls can be had")]
    Runtime {
        #[source]
        source: std::io::Error,
    },
    #[error("the tokens of a text cannot be counted")]
    Count(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Error::Records(error) => return error.hint(),
            Error::Runtime { .. } | Error::Count(_) => return None,
            Error::ConfigValue { .. } => "configs/synth.toml explains every key".into(),
            Error::ReservedBodyField { .. } => {
                "remove it; Whetstone's own keys in [ask], [judge] and [grade] set it".into()
            }
            Error::NoPrice { llm } => format!(
                "add `[llm.prices]` with `\"{llm}\" = {{ input = …, output = … }}` per million \
                 tokens, or use `llm.max-tokens`"
            ),
            Error::BadKey { .. } => {
                "set it to the key alone, without quotes or a line break".into()
            }
            Error::EmptyKey { .. } => {
                "put the key into that file, alone, or remove `llm.api-key-file`".into()
            }
            Error::BadPrompt { .. } => {
                "configs/prompts/README.md says how to write a prompt".into()
            }
            Error::JournalInUse { .. } => {
                "wait until that run ends, or choose another --out folder".into()
            }
            Error::JournalChanged { .. } => {
                "run the same command again; nothing else may write to it".into()
            }
            Error::BadBatchLine { .. } => {
                "import the results of a file that --batch-out wrote".into()
            }
            Error::CallRefused { message, .. } if message.to_lowercase().contains("context") => {
                "question and answer together do not fit the model's context: lower \
                 `max-answer-tokens` or `chunk.passage-tokens`, or start the server with more"
                    .into()
            }
            Error::CallRefused { status, key_place, key_set, llm, .. } => {
                refusal_hint(*status, key_place, *key_set, llm)
            }
            Error::AskedToWait { .. } => {
                "run the same command again later, or raise `llm.max-wait-s`; no answer is paid \
                 twice"
                    .into()
            }
            Error::EndpointDown { reason, .. } if reason == "time-out" => {
                "raise `llm.timeout-s` or lower `llm.concurrency`, then run the same command \
                 again; no answer is paid twice"
                    .into()
            }
            Error::EndpointDown { .. } => {
                "check `llm.base-url` and the server, then run the same command again; no answer \
                 is paid twice"
                    .into()
            }
            Error::NothingReadable { flaws, limit_key, limit, .. } => {
                readable_hint(flaws, limit_key, *limit)
            }
            Error::Http(_) => {
                "install the package ca-certificates: TLS needs the system's certificates".into()
            }
        })
    }
}

/// `answers-cut-off 2, answers-empty 1`.
fn counted(flaws: &[(Flaw, u64)]) -> String {
    let counts: Vec<String> = flaws.iter().map(|(flaw, count)| format!("{flaw} {count}")).collect();
    counts.join(", ")
}

fn readable_hint(flaws: &[(Flaw, u64)], limit_key: &str, limit: u32) -> String {
    let has = |wanted| flaws.iter().any(|(flaw, _)| *flaw == wanted);
    if has(CUT_OFF_IN_THOUGHT) {
        return format!(
            "the model thinks before it answers, and its thought does not fit: raise \
             `{limit_key}` ({limit}); all answers are kept"
        );
    }
    if has(CUT_OFF) {
        return format!("raise `{limit_key}` ({limit}); all answers are kept");
    }
    "try another model or prompt; all answers are kept in the journal".into()
}

fn refusal_hint(status: u16, key_place: &str, key_set: bool, llm: &str) -> String {
    match (status, key_set) {
        (401 | 403, false) => {
            format!("put the key into the {key_place} (`llm.api-key-env`, `llm.api-key-file`)")
        }
        (401 | 403, true) => format!("check the key in the {key_place} and what it may use"),
        (404, _) => {
            format!(
                "check `llm.base-url` (it ends with /v1 on most servers) and the model `{llm}` \
                 (`llm.name`)"
            )
        }
        (402 | 429, _) => {
            "the quota is used up; raise it and run again, no answer is paid twice".into()
        }
        (301..=308, _) => "`llm.base-url` redirects; name the address that it leads to".into(),
        _ => "check `llm.base-url`, `llm.name` and `llm.extra-body`".into(),
    }
}
