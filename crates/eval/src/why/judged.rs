//! How many of a run's first passages nobody has judged.

use super::View;
use crate::report::Inputs;
use serde::Serialize;

/// How many of a run's first passages nobody has judged. They count as not relevant, even if they
/// are.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Unjudged {
    pub run: String,
    /// How many first passages are examined: the primary measure's depth, or 10 if it has none.
    pub depth: usize,
    /// Number of passages in the first `depth` over all queries.
    pub passages: usize,
    /// Number of those without a grade.
    pub unjudged: usize,
    /// Queries with an unjudged passage in the first `depth` before the first relevant one.
    pub before_the_first_relevant: usize,
}

pub(crate) fn unjudged(inputs: &Inputs, view: &View) -> Vec<Unjudged> {
    let depth = view.measure.depth().unwrap_or(10);
    let count = |(name, run): &(String, whetstone_records::Run)| {
        let mut found = Unjudged {
            run: name.clone(),
            depth,
            passages: 0,
            unjudged: 0,
            before_the_first_relevant: 0,
        };
        for query in view.queries {
            let top = run.get(query.as_str()).unwrap_or_default().iter().take(depth);
            let grades: Vec<Option<i32>> = top.map(|hit| view.grade(query, &hit.passage)).collect();
            found.passages += grades.len();
            found.unjudged += grades.iter().filter(|grade| grade.is_none()).count();
            let above = grades.iter().take_while(|grade| !grade.is_some_and(|grade| grade > 0));
            found.before_the_first_relevant +=
                usize::from(above.clone().any(|grade| grade.is_none()));
        }
        found
    };
    inputs.runs.iter().map(count).collect()
}
