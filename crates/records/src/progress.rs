/// Where a stage tells how far it is. The terminal and the tests each have their own.
///
/// A stage calls `start` once for each of its parts, then `advance`, and `finish` at the end of the part.
pub trait Progress: Send + Sync {
    /// Begins a part, e.g. `("embed passages", Some(5183), "passages")`.
    fn start(&self, part: &str, total: Option<u64>, unit: &str);
    /// `count` more units are done.
    fn advance(&self, count: u64);
    /// Shows a short text beside the bar, such as the present loss.
    fn message(&self, text: &str);
    /// Ends the part.
    fn finish(&self);
    /// Something that the user should read even when the bar is gone.
    fn warn(&self, text: &str);
}

/// Says nothing.
pub struct Silent;

impl Progress for Silent {
    fn start(&self, _part: &str, _total: Option<u64>, _unit: &str) {}
    fn advance(&self, _count: u64) {}
    fn message(&self, _text: &str) {}
    fn finish(&self) {}
    fn warn(&self, _text: &str) {}
}
