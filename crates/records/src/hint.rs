//! What a user can do about an error.

use std::io::ErrorKind;

/// An error that may know the way out. Every error of Whetstone's libraries is one.
pub trait Hint: std::error::Error {
    /// What the user can do, where there is something to say beyond the message.
    fn hint(&self) -> Option<String>;
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
