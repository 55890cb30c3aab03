//! Why queries are dropped.

use std::collections::BTreeMap;

/// Why a query was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Drop {
    TooShort,
    TooLong,
    Repetitive,
    Anaphoric,
    Unrelated,
    Copied,
    Duplicate,
    NearDuplicate,
    TooMany,
    /// It was also made for passages of other places.
    Ambiguous,
    /// A search for it does not return its own passage.
    RoundTrip,
    /// The judge graded the query, or its passage as an answer, too low.
    PoorQuestion,
    PoorAnswer,
    /// The judge gave no readable grade.
    NotGraded,
    BelowTop,
}

impl Drop {
    /// The name in the manifest's counts.
    pub fn count_name(self) -> &'static str {
        match self {
            Drop::TooShort => "dropped-too-short",
            Drop::TooLong => "dropped-too-long",
            Drop::Repetitive => "dropped-repetitive",
            Drop::Anaphoric => "dropped-anaphoric",
            Drop::Unrelated => "dropped-unrelated",
            Drop::Copied => "dropped-copied",
            Drop::Duplicate => "dropped-duplicate",
            Drop::NearDuplicate => "dropped-near-duplicate",
            Drop::TooMany => "dropped-too-many",
            Drop::Ambiguous => "dropped-ambiguous",
            Drop::RoundTrip => "dropped-round-trip",
            Drop::PoorQuestion => "dropped-poor-question",
            Drop::PoorAnswer => "dropped-poor-answer",
            Drop::NotGraded => "dropped-not-graded",
            Drop::BelowTop => "dropped-below-top",
        }
    }
}

/// Counts of drops by reason.
pub type Drops = BTreeMap<Drop, u64>;
