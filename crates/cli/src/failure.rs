//! What a user reads when something failed, and the exit code.

use crate::output;
use std::io;
use std::process::ExitCode;
use whetstone_records::{Hint, one_line};

pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// Why a command ends early.
pub enum Failure {
    /// The reader of stdout went away, as `head` does.
    StdoutClosed,
    Error(Box<dyn Hint + Send + Sync>),
}

impl<E: Hint + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Error(Box::new(error))
    }
}

/// An error of the program itself: what failed, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    message: String,
    hint: String,
}

impl Problem {
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into() }
    }
}

impl Hint for Problem {
    fn hint(&self) -> Option<String> {
        Some(self.hint.clone())
    }
}

/// Everything worked, but the result is not the one that was asked for.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CheckFailed(pub String);

impl Hint for CheckFailed {
    fn hint(&self) -> Option<String> {
        None
    }

    fn is_failed_check(&self) -> bool {
        true
    }
}

/// A system error, with what the program was doing.
#[derive(Debug, thiserror::Error)]
#[error("{doing}")]
pub struct During {
    doing: &'static str,
    source: io::Error,
}

impl Hint for During {
    fn hint(&self) -> Option<String> {
        self.source.hint()
    }
}

/// Names what failed: `.map_err(during("cannot read keys"))`.
pub fn during(doing: &'static str) -> impl FnOnce(io::Error) -> During {
    move |source| During { doing, source }
}

/// Prints the error and its hint. Returns 2, or 1 where a check did not pass, or 0 where only the
/// reader of stdout went away.
pub fn report(failure: &Failure) -> ExitCode {
    let Failure::Error(error) = failure else { return ExitCode::SUCCESS };
    output::error(&one_line(&**error));
    if let Some(hint) = hint(&**error) {
        output::hint(&hint);
    }
    ExitCode::from(if error.is_failed_check() { 1 } else { 2 })
}

/// The error's own hint, else one for the system error behind it.
fn hint(error: &(dyn Hint + Send + Sync)) -> Option<String> {
    error.hint().or_else(|| {
        let causes = std::iter::successors(error.source(), |cause| (*cause).source());
        causes.filter_map(|cause| cause.downcast_ref::<io::Error>()).find_map(Hint::hint)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The error, its hint, and whether it is a check that did not pass.
    fn told(failure: Failure) -> (String, Option<String>, bool) {
        let Failure::Error(error) = failure else { panic!("it is an error") };
        (one_line(&*error), hint(&*error), error.is_failed_check())
    }

    #[test]
    fn an_error_of_a_library_keeps_its_hint() {
        let path = std::path::Path::new("/nowhere/at/all.jsonl");
        let error = whetstone_records::read_jsonl::<serde_json::Value>(path).unwrap_err();
        let (text, hint, is_failed_check) = told(error.into());
        assert!(text.starts_with("cannot read `/nowhere/at/all.jsonl`: "), "{text}");
        assert_eq!(hint.as_deref(), Some("check the path; nothing was written"));
        assert!(!is_failed_check);
    }

    #[test]
    fn a_full_disk_is_named_whatever_stands_before_it() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot save")]
        struct Mute(#[source] io::Error);

        impl Hint for Mute {
            fn hint(&self) -> Option<String> {
                None
            }
        }

        let full = || io::Error::from(io::ErrorKind::StorageFull);
        for failure in [Failure::from(Mute(full())), during("cannot write")(full()).into()] {
            let (_, hint, _) = told(failure);
            assert!(hint.is_some_and(|hint| hint.starts_with("free some disk space")));
        }
    }

    #[test]
    fn a_shared_document_and_a_closed_gate_are_checks_that_did_not_pass() {
        let shared = whetstone_synth::Error::SharedDocument {
            document: "a.md".into(),
            one: "train",
            other: "test",
            passage: "a-1".into(),
            query: "q1".into(),
        };
        assert!(told(shared.into()).2);
        assert!(told(CheckFailed("the gate stays closed".into()).into()).2);
    }
}
