//! Queries that were made elsewhere, from a file.

use super::generator::{Answer, Generator, Proposal};
use crate::error::{Error, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use whetstone_records::{JsonlReader, Passage, PassageId, Progress};

/// The style in the metadata of queries, since nobody says how they were asked for.
const STYLE: &str = "recorded";

/// A line of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(rename = "_id")]
    id: PassageId,
    /// Empty if the passage answers nothing.
    questions: Vec<String>,
}

/// Queries by the passage that they were made for.
pub struct Recorded(BTreeMap<PassageId, Vec<String>>);

impl Recorded {
    /// Reads the file. Passages that the corpus lacks are passed over, unless it has none of them.
    pub fn read(path: &Path, passages: &[Passage]) -> Result<Self> {
        let mut of_passage: BTreeMap<PassageId, Vec<String>> = BTreeMap::new();
        let mut lines = JsonlReader::<Line>::open(path)?;
        while let Some(line) = lines.next().transpose()? {
            of_passage.entry(line.id).or_default().extend(line.questions);
        }
        let recorded = Self(of_passage);
        match passages.iter().any(|passage| recorded.has(&passage.id)) {
            true => Ok(recorded),
            false => Err(Error::OtherPassages { path: path.into(), lines: recorded.0.len() }),
        }
    }

    /// Whether the file says something about a passage.
    pub fn has(&self, passage: &PassageId) -> bool {
        self.0.contains_key(passage)
    }
}

impl Generator for Recorded {
    fn name(&self) -> &str {
        "file"
    }

    fn generate(&self, passages: &[&Passage], _: &dyn Progress) -> Result<Vec<Answer>> {
        let answer = |passage: &&Passage| {
            let texts = self.0.get(&passage.id).into_iter().flatten();
            let proposals: Vec<Proposal> =
                texts.map(|text| Proposal { text: text.clone(), style: STYLE.into() }).collect();
            Answer { says_none: proposals.is_empty(), proposals, ..Answer::default() }
        };
        Ok(passages.iter().map(answer).collect())
    }
}
