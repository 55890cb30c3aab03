//! What a user reads when something failed, and the exit code.

use crate::output::{self, StdoutClosed};
use std::process::ExitCode;
use whetstone_records::Hint;

/// An error of the program itself: what failed, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    pub message: String,
    pub hint: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Problem {
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into(), source: None }
    }

    /// Names the cause. (As anyhow's context a problem would not be found again in the chain.)
    pub fn because(self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self { source: Some(Box::new(source)), ..self }
    }
}

/// That everything worked, and what was found is not what was asked for.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CheckFailed(pub String);

/// Prints the error and its hint; returns 2, 1 where a check did not pass, 0 where only the reader
/// of stdout went away.
pub fn report(error: &anyhow::Error) -> ExitCode {
    if error.is::<StdoutClosed>() {
        return ExitCode::SUCCESS;
    }
    output::error(&one_line(error));
    if let Some(hint) = hint(error) {
        output::hint(&hint);
    }
    ExitCode::from(if is_failed_check(error) { 1 } else { 2 })
}

/// Whether everything worked and what was found is what must not be: the split shares a document, a
/// gate stays closed.
fn is_failed_check(error: &anyhow::Error) -> bool {
    error.is::<CheckFailed>()
        || matches!(error.downcast_ref(), Some(whetstone_synth::Error::SharedDocument { .. }))
}

/// The error and its causes, joined by colons. A cause that its parent's text already holds is not
/// said again.
pub fn one_line(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// The first hint along the chain, from the outermost error to the innermost cause.
fn hint(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(|cause| {
        None.or_else(|| Some(cause.downcast_ref::<Problem>()?.hint.clone()))
            .or_else(|| cause.downcast_ref::<whetstone_hub::Error>()?.hint())
            .or_else(|| cause.downcast_ref::<whetstone_synth::Error>()?.hint())
            .or_else(|| cause.downcast_ref::<whetstone_llm::Error>()?.hint())
            .or_else(|| cause.downcast_ref::<whetstone_train::Error>()?.hint())
            .or_else(|| cause.downcast_ref::<whetstone_export::Error>()?.hint())
            .or_else(|| cause.downcast_ref::<whetstone_eval::Error>()?.hint())
            .or_else(|| cause.downcast_ref::<whetstone_model::Error>()?.hint())
            .or_else(|| cause.downcast_ref::<whetstone_records::Error>()?.hint())
            .or_else(|| cause.downcast_ref::<std::io::Error>()?.hint())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_joined_in_one_line_and_said_once() {
        let error = anyhow::anyhow!("disk is full")
            .context("cannot write: disk is full")
            .context("chunk failed");
        assert_eq!(one_line(&error), "chunk failed: cannot write: disk is full");
    }

    #[test]
    fn the_hint_of_a_wrapped_library_error_is_found() {
        let path = std::path::Path::new("/nowhere/at/all.jsonl");
        let source = whetstone_records::read_jsonl::<serde_json::Value>(path).unwrap_err();
        let error = anyhow::Error::new(source).context("cannot rerank");
        assert_eq!(hint(&error).as_deref(), Some("check the path; nothing was written"));
        let error =
            anyhow::Error::new(Problem::new("no model", "get one").because(std::fmt::Error))
                .context("rerank");
        assert_eq!(hint(&error).as_deref(), Some("get one"));
        assert!(one_line(&error).starts_with("rerank: no model: "));
    }
}
