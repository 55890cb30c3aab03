//! What to ask, and the outcome.

use crate::journal::Entry;
use crate::request::Request;

/// The flaw of an answer: the name of a count in the manifest.
pub type Flaw = &'static str;
/// The server or the model refuses to answer.
pub const REFUSED: Flaw = "answers-refused";
/// The answer reached the limit on its length.
pub const CUT_OFF: Flaw = "answers-cut-off";
/// The model was still thinking when its answer ended.
pub const CUT_OFF_IN_THOUGHT: Flaw = "answers-cut-off-in-thought";

/// The value of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Assessment {
    pub flaw: Option<Flaw>,
    /// Of two answers with flaws, the one with more is used.
    pub usable: usize,
}

/// Many questions of one kind.
pub struct Work<'a> {
    /// Shown to the user, such as `ask` and `passages`.
    pub part: &'static str,
    pub unit: &'static str,
    pub count: usize,
    /// The request for one of them, at the given attempt.
    pub request: &'a dyn Fn(usize, u32) -> Request,
    pub assess: &'a dyn Fn(usize, &Entry) -> Assessment,
    /// The config key that limits the length of an answer.
    pub limit_key: &'static str,
    /// A typical answer, for the estimate. If none, the request's example or half of the limit
    /// stands for it.
    pub typical_answer: Option<&'static str>,
}

/// Why something has no complete answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Open {
    /// The call failed as often as it may, or was refused.
    NotAnswered { reason: String },
    /// A cap was reached before.
    NotAsked,
}

/// The outcome of one question.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Key of the answer to use.
    pub key: Option<String>,
    /// The flaws of the answer of each attempt.
    pub flaws: Vec<Option<Flaw>>,
    pub tokens_in: u64,
    pub tokens_out: u64,
    pub open: Option<Open>,
}

/// What the journal says about one question.
pub enum Look {
    Settled(Outcome),
    /// This is the next request.
    Asks {
        request: Box<Request>,
        key: String,
        so_far: Outcome,
    },
}
