//! The progress of a stage, for whoever shows it.

/// Receives the progress of a stage. The terminal and the tests each implement it.
///
/// A stage calls `start` once for each part, then `advance`, then `finish`. An implementation that
/// shows no progress must still pass on warnings.
pub trait Progress: Send + Sync {
    /// Begins a part, e.g. `("embed passages", Some(5183), "passages")`.
    fn start(&self, _part: &str, _total: Option<u64>, _unit: &str) {}
    /// Reports `count` more finished units.
    fn advance(&self, _count: u64) {}
    /// Shows a short text beside the bar, such as the current loss.
    fn message(&self, _text: &str) {}
    /// Ends the part.
    fn finish(&self) {}
    /// Tells the user something that must remain readable once the bar is gone.
    fn warn(&self, text: &str);
}

/// Shows nothing.
pub struct Silent;

impl Progress for Silent {
    fn warn(&self, _text: &str) {}
}
