//! The bi-encoder as teacher.

use super::train::Group;
use crate::config::PairConfig;
use crate::error::{Error, Result};
use crate::mine::Found;
use std::collections::BTreeSet;
use std::path::Path;
use whetstone_records::QueryId;

/// Sets the teacher's score of every pair. It starts from the bi-encoder's score, to keep its
/// knowledge, and adds more for a more relevant passage, to correct its mistakes.
pub fn teach(groups: &mut [Group], scores: &Path, config: &PairConfig) -> Result<()> {
    let queries: Vec<QueryId> = groups.iter().map(|group| group[0].query_id.clone()).collect();
    let wanted: BTreeSet<&str> = queries.iter().map(QueryId::as_str).collect();
    let scores = Found::read(scores, &wanted)?.scored;
    for pair in groups.iter_mut().flatten() {
        let mut of_query = scores.get(pair.query_id.as_str()).into_iter().flatten();
        let found = of_query.find(|hit| hit.passage == pair.passage_id);
        let found = found.ok_or_else(|| Error::FindingsMissing { query: pair.query_id.clone() })?;
        pair.teacher =
            Some(config.teacher_scale * found.score + config.teacher_label_weight * pair.label);
    }
    Ok(())
}
