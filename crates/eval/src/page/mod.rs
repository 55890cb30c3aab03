//! What an evaluation found, as a page for a browser and as Markdown. Pure: the numbers come in,
//! text goes out.

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

/// What a report is made of.
pub struct Page<'a> {
    pub assessment: &'a Assessment,
    pub why: Option<&'a Why>,
    /// What the system's logits mean, where dev has said it.
    pub calibration: Option<&'a Calibration>,
    /// Every file that was read, with its digest.
    pub origins: &'a [Origin],
    /// The manifests of the stages that made those files, each with its path.
    pub made_by: &'a [(String, Manifest)],
}

/// A file that the numbers hang on.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    pub role: String,
    pub path: String,
    /// SHA-256 in hexadecimal.
    pub digest: String,
}

#[cfg(test)]
mod tests;
