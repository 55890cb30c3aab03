//! What is asked, and what becomes of it.

use crate::journal::Entry;
use crate::request::Request;

/// What is wrong with an answer: the name of a count in the manifest.
pub type Flaw = &'static str;
/// The server or the model will not answer.
pub const REFUSED: Flaw = "answers-refused";
/// The answer ended at the limit on its length.
pub const CUT_OFF: Flaw = "answers-cut-off";
/// The model was still thinking when its answer ended.
pub const CUT_OFF_IN_THOUGHT: Flaw = "answers-cut-off-in-thought";

/// What an answer is worth.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Assessment {
    pub flaw: Option<Flaw>,
    /// Of two answers with flaws, the one with more is used.
    pub usable: usize,
}

/// Many questions of one kind.
pub struct Work<'a> {
    /// Told to the user, such as `ask` and `passages`.
    pub part: &'static str,
    pub unit: &'static str,
    pub count: usize,
    /// The request for one of them, at the given attempt.
    pub request: &'a dyn Fn(usize, u32) -> Request,
    pub assess: &'a dyn Fn(usize, &Entry) -> Assessment,
    /// The key of the config that limits the length of an answer.
    pub limit_key: &'static str,
    /// An answer as it usually is, for the estimate; none: as long as the request's example, or half
    /// of what it may be.
    pub typical_answer: Option<&'static str>,
}

/// Why something has no complete answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Open {
    /// The call failed as often as it may, or was refused.
    NotAnswered { reason: String },
    /// A cap was met before.
    NotAsked,
}

/// What became of one question.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Key of the answer to use.
    pub key: Option<String>,
    /// What is wrong with the answer of each attempt.
    pub flaws: Vec<Option<Flaw>>,
    pub tokens_in: u64,
    pub tokens_out: u64,
    pub open: Option<Open>,
}

/// What the journal says about one question.
pub enum Look {
    Settled(Outcome),
    /// This is to be asked next.
    Asks {
        request: Box<Request>,
        key: String,
        so_far: Outcome,
    },
}
