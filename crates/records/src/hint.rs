//! What a user can do about an error.

use std::io::ErrorKind;

/// An error that may suggest a way out. All errors of Whetstone's libraries implement it.
pub trait Hint: std::error::Error {
    /// Returns what the user can do, if the message does not say it already.
    fn hint(&self) -> Option<String>;

    /// Returns whether this is a failed check: everything ran, but the result is not acceptable.
    fn is_failed_check(&self) -> bool {
        false
    }
}

impl Hint for std::io::Error {
    fn hint(&self) -> Option<String> {
        let hint = match self.kind() {
            ErrorKind::NotFound => "check the path; nothing was written",
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                "free some disk space and run the same command again; what is complete is kept"
            }
            ErrorKind::PermissionDenied => "check the permissions of that path",
            ErrorKind::ReadOnlyFilesystem => "name a folder on a disk that can be written to",
            ErrorKind::IsADirectory => "name a file; that path is a folder",
            ErrorKind::NotADirectory => "a part of that path is a file, not a folder",
            _ => return None,
        };
        Some(hint.into())
    }
}

/// Returns the error and its causes, joined by colons. Leaves out a cause that the text so far
/// already contains.
pub fn one_line(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Layer {
        text: &'static str,
        source: Option<Box<Layer>>,
    }

    #[test]
    fn causes_are_joined_in_one_line_and_said_once() {
        let layers = ["disk is full", "cannot write: disk is full", "chunk failed"];
        let error =
            layers.into_iter().fold(None, |source, text| Some(Box::new(Layer { text, source })));
        assert_eq!(one_line(&*error.unwrap()), "chunk failed: cannot write: disk is full");
    }
}
