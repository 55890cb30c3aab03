//! How far a stage is, for whoever shows it.

/// Where a stage tells how far it is. The terminal and the tests each have their own.
///
/// A stage calls `start` once for each of its parts, then `advance`, and `finish` at the end of the
/// part. Who shows no progress has warnings to pass on all the same.
pub trait Progress: Send + Sync {
    /// Begins a part, e.g. `("embed passages", Some(5183), "passages")`.
    fn start(&self, _part: &str, _total: Option<u64>, _unit: &str) {}
    /// `count` more units are done.
    fn advance(&self, _count: u64) {}
    /// Shows a short text beside the bar, such as the present loss.
    fn message(&self, _text: &str) {}
    /// Ends the part.
    fn finish(&self) {}
    /// Something that the user should read even when the bar is gone.
    fn warn(&self, text: &str);
}

/// Says nothing.
pub struct Silent;

impl Progress for Silent {
    fn warn(&self, _text: &str) {}
}
