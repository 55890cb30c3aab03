//! What makes queries for passages, and what it returns.

use crate::error::Result;
use whetstone_llm::{Flaw, Open};
use whetstone_records::{Passage, Progress};

/// A query as a generator proposes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposal {
    pub text: String,
    /// Such as `definition`, `keywords`, `natural`.
    pub style: String,
}

/// The queries of a generator for one passage.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// Best first.
    pub proposals: Vec<Proposal>,
    /// Why there are none, or fewer than possible: names of counts in the manifest.
    pub flaws: Vec<Flaw>,
    /// Whether the LLM says that the passage answers nothing.
    pub says_none: bool,
    /// Why there is no complete answer.
    pub open: Option<Open>,
    pub persona: Option<String>,
    pub tokens_in: u64,
    pub tokens_out: u64,
}

/// Makes queries for passages.
pub trait Generator {
    /// The name in the metadata of queries.
    fn name(&self) -> &str;

    /// Returns one answer for each passage, in their order.
    fn generate(&self, passages: &[&Passage], progress: &dyn Progress) -> Result<Vec<Answer>>;
}
