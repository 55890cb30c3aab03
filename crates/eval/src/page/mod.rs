//! What an evaluation found, as a page for a browser and as Markdown. Pure: the numbers come in, text goes out.

mod account;
mod examples;
mod html;
mod markdown;
mod origins;
mod plot;
mod prose;
mod systems;

use crate::assess::Assessment;
use crate::why::Why;
use whetstone_records::Manifest;

pub use html::html;
pub use markdown::markdown;

/// What a report is made of.
pub struct Page<'a> {
    pub assessment: &'a Assessment,
    pub why: Option<&'a Why>,
    pub reliability: Option<&'a Reliability>,
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

/// How often the passages of a given probability are relevant.
#[derive(Clone, Debug, PartialEq)]
pub struct Reliability {
    /// Such as the method of calibration and its error.
    pub caption: String,
    pub bins: Vec<ReliabilityBin>,
}

/// Pairs of about the same probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReliabilityBin {
    /// Mean probability of the pairs.
    pub predicted: f64,
    /// Share of them that is relevant.
    pub observed: f64,
    pub pairs: usize,
}

#[cfg(test)]
mod tests;
