//! What a user can do about an error.

/// An error that may know the way out. Every error of Whetstone's libraries is one.
pub trait Hint: std::error::Error {
    /// What the user can do, where there is something to say beyond the message.
    fn hint(&self) -> Option<String>;
}

impl Hint for std::io::Error {
    fn hint(&self) -> Option<String> {
        let full = self.kind() == std::io::ErrorKind::StorageFull;
        full.then(|| {
            "free some disk space and run the same command again; what is complete is kept".into()
        })
    }
}
