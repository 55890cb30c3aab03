use crate::error::Result;
use whetstone_records::{Passage, Progress};

/// A query as a generator proposes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposal {
    pub text: String,
    /// Such as `definition`, `keywords`, `question`.
    pub style: String,
}

/// What a generator gives for one passage.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// Best first.
    pub proposals: Vec<Proposal>,
    /// Why there are none, or fewer than there could be: the name of a count in the manifest.
    pub fault: Option<&'static str>,
}

/// Who makes queries for passages.
pub trait Generator {
    /// The name that queries carry in their metadata.
    fn name(&self) -> &str;

    /// Returns one answer for each passage, in their order.
    fn generate(&self, passages: &[&Passage], progress: &dyn Progress) -> Result<Vec<Answer>>;

    /// What the manifest should tell about the work done.
    fn account(&self) -> Account;
}

/// Counts, such as calls and retries, and what the user should know.
#[derive(Debug, Default)]
pub struct Account {
    pub counts: Vec<(&'static str, u64)>,
    pub notes: Vec<String>,
}
