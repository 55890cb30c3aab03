//! Renders what an evaluation found, as an HTML page and as Markdown.

mod account;
mod examples;
mod html;
mod markdown;
mod origins;
mod plot;
mod prose;
mod systems;

use crate::assess::Assessment;
use crate::calibration::Calibration;
use crate::why::Why;
use whetstone_records::Manifest;

pub use html::html;
pub use markdown::markdown;

/// The content of a report.
pub struct Page<'a> {
    pub assessment: &'a Assessment,
    pub why: Option<&'a Why>,
    /// What the system's logits mean, if dev says so.
    pub calibration: Option<&'a Calibration>,
    /// Every file read, with its digest.
    pub origins: &'a [Origin],
    /// The manifests of the stages that made those files, with their paths.
    pub made_by: &'a [(String, Manifest)],
}

/// A file that the numbers depend on.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    pub role: String,
    pub path: String,
    /// SHA-256 in hexadecimal.
    pub digest: String,
}

#[cfg(test)]
mod tests;
