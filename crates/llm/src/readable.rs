//! Whether answers can be read, and which limit cut off those that cannot.

use crate::client::Llm;
use crate::error::{Error, Result};
use crate::work::{CUT_OFF, CUT_OFF_IN_THOUGHT, Flaw, Outcome, Work};
use std::collections::BTreeMap;

/// After this many questions in a row whose answers were all cut off, the limit fits none. No
/// further one is paid for.
const MAX_CUT_OFF_AT_START: usize = 8;

/// Answers that reached a limit.
#[derive(Default)]
pub struct Cut {
    pub llm: String,
    pub limit: u32,
    pub answers: u64,
    pub in_thought: u64,
}

/// Watches the questions of a run as they are settled, in any order.
#[derive(Default)]
pub struct Start {
    cut_off: usize,
    is_over: bool,
}

impl Start {
    /// Returns whether the length limit fits no answer.
    pub fn is_hopeless(&mut self, outcome: &Outcome) -> bool {
        if !outcome.is_settled() || self.is_over {
            return false;
        }
        self.is_over = !outcome.is_cut_off() || outcome.key.is_some();
        self.cut_off += usize::from(!self.is_over);
        !self.is_over && self.cut_off >= MAX_CUT_OFF_AT_START
    }
}

impl Outcome {
    /// Whether each allowed attempt has an answer, useful or not.
    pub fn is_settled(&self) -> bool {
        self.open.is_none() && !self.flaws.is_empty()
    }

    /// Whether the length limit cut an answer off.
    pub fn is_cut_off(&self) -> bool {
        self.flaws.iter().flatten().any(|flaw| [CUT_OFF, CUT_OFF_IN_THOUGHT].contains(flaw))
    }
}

impl Llm<'_> {
    /// Refuses outcomes without a single readable answer. The error names the limit if it is too
    /// low. All answers stay in the journal.
    pub fn require_readable(&self, work: &Work, outcomes: &[Outcome]) -> Result<()> {
        let settled = outcomes.iter().filter(|outcome| outcome.is_settled());
        if settled.clone().count() == 0 || settled.clone().any(|outcome| outcome.key.is_some()) {
            return Ok(());
        }
        Err(self.unreadable(work, outcomes))
    }

    pub(crate) fn unreadable(&self, work: &Work, outcomes: &[Outcome]) -> Error {
        let request = (work.request)(0, 0);
        let mut flaws: BTreeMap<Flaw, u64> = BTreeMap::new();
        for flaw in outcomes.iter().flat_map(|outcome| outcome.flaws.iter().flatten()) {
            *flaws.entry(flaw).or_default() += 1;
        }
        Error::NothingReadable {
            llm: request.llm,
            flaws: flaws.into_iter().collect(),
            limit_key: work.limit_key,
            limit: request.max_answer_tokens,
        }
    }

    /// Counts the answers that were cut off, for the notes.
    pub(crate) fn count_cut_off(&self, work: &Work, outcomes: &[Outcome]) {
        let flaws = || outcomes.iter().flat_map(|outcome| outcome.flaws.iter().flatten());
        let count = |wanted: Flaw| flaws().filter(|flaw| **flaw == wanted).count() as u64;
        let (cut_off, in_thought) = (count(CUT_OFF), count(CUT_OFF_IN_THOUGHT));
        if cut_off + in_thought == 0 {
            return;
        }
        let request = (work.request)(0, 0);
        let cut = Cut {
            llm: request.llm,
            limit: request.max_answer_tokens,
            answers: cut_off,
            in_thought,
        };
        self.cut_off.borrow_mut().insert(work.limit_key, cut);
    }

    /// What the user should know about the limits.
    pub(crate) fn notes_on_limits(&self) -> Vec<String> {
        let mut notes = Vec::new();
        for (key, Cut { llm, limit, answers, in_thought }) in self.cut_off.borrow().iter() {
            if *in_thought > 0 {
                notes.push(format!(
                    "`{llm}` thinks before it answers, and {in_thought} answers were cut off within \
                     the thought: raise `{key}` ({limit})"
                ));
            }
            if *answers > 0 {
                notes.push(format!(
                    "{answers} answers of `{llm}` were cut off at `{key}` ({limit})"
                ));
            }
        }
        notes
    }
}
