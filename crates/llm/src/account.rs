//! What a run reports about itself: money, counts, notes.

use crate::Llm;
use crate::budget::Spent;
use crate::request::Dialect;
use std::collections::BTreeMap;

impl Llm<'_> {
    /// What this run has spent.
    pub fn spent(&self) -> Spent {
        self.budget.spent().since(&self.before)
    }

    /// What all runs on this data set have spent.
    pub fn spent_in_all(&self) -> Spent {
        self.budget.spent()
    }

    /// Counts for the manifest.
    pub fn counts(&self) -> Vec<(&'static str, u64)> {
        let tally = self.tally.borrow();
        let spent = self.spent();
        vec![
            ("calls", tally.calls),
            ("calls-retried", tally.retries),
            ("answers-from-journal", tally.from_journal),
            ("answers-without-usage", tally.without_usage),
            ("tokens-in", spent.tokens_in),
            ("tokens-out", spent.tokens_out),
        ]
    }

    /// What the user should know.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let dialects: BTreeMap<String, Dialect> =
            self.dialects.borrow().clone().into_iter().collect();
        for (llm, dialect) in dialects {
            notes.extend(dialect.told().into_iter().map(|told| format!("{told} (`{llm}`)")));
        }
        notes.extend(self.notes_on_limits());
        if let Some(cap) = self.budget.met() {
            notes.push(format!("stopped at {cap}; raise it and run again: all answers are kept"));
        }
        if self.tally.borrow().without_usage > 0 {
            notes.push(
                "the endpoint did not say how many tokens it used; they are estimated".to_owned(),
            );
        }
        let journal = self.journal.borrow();
        if let Some(first) = journal.damaged_lines.first() {
            notes.push(format!(
                "{} of the journal's {} answers are damaged (first: line {first}) and are asked for \
                 again",
                journal.damaged_lines.len(),
                self.known_before + journal.damaged_lines.len()
            ));
        }
        notes
    }
}
