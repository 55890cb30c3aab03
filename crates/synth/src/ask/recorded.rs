//! Queries that were made elsewhere, from a file.

use super::generator::{Answer, Generator, Proposal};
use crate::error::{Error, Result};
use serde::Deserialize;
use std::collections::{BTreeMap, HashSet};
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
pub struct Recorded {
    of_passage: BTreeMap<PassageId, Vec<String>>,
    /// Ids that the corpus lacks.
    unknown: Vec<PassageId>,
}

impl Recorded {
    /// Reads the file. Passages that the corpus lacks are passed over, unless it has none of them.
    pub fn read(path: &Path, passages: &[Passage]) -> Result<Self> {
        let mut of_passage: BTreeMap<PassageId, Vec<String>> = BTreeMap::new();
        let mut lines = JsonlReader::<Line>::open(path)?;
        while let Some(line) = lines.next().transpose()? {
            of_passage.entry(line.id).or_default().extend(line.questions);
        }
        let ids: HashSet<&PassageId> = passages.iter().map(|passage| &passage.id).collect();
        let unknown: Vec<_> = of_passage.keys().filter(|id| !ids.contains(id)).cloned().collect();
        if unknown.len() == of_passage.len() {
            return Err(Error::OtherPassages { path: path.into(), lines: unknown.len() });
        }
        Ok(Self { of_passage, unknown })
    }

    /// Says which passages of the file the corpus lacks.
    pub fn note(&self) -> Option<String> {
        let first = self.unknown.first()?;
        Some(format!(
            "{} of {} passages in the file of queries are not in the corpus, such as `{first}`; \
             their queries are passed over",
            self.unknown.len(),
            self.of_passage.len()
        ))
    }

    /// Whether the file says something about a passage.
    pub fn has(&self, passage: &PassageId) -> bool {
        self.of_passage.contains_key(passage)
    }
}

impl Generator for Recorded {
    fn name(&self) -> &str {
        "file"
    }

    fn generate(&self, passages: &[&Passage], _: &dyn Progress) -> Result<Vec<Answer>> {
        let answer = |passage: &&Passage| {
            let texts = self.of_passage.get(&passage.id).into_iter().flatten();
            let proposals: Vec<Proposal> =
                texts.map(|text| Proposal { text: text.clone(), style: STYLE.into() }).collect();
            Answer { says_none: proposals.is_empty(), proposals, ..Answer::default() }
        };
        Ok(passages.iter().map(answer).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use whetstone_records::{Hint, Silent};

    fn passages() -> Vec<Passage> {
        let passage = |id: &str| Passage {
            id: id.into(),
            title: String::new(),
            text: format!("What stands in {id}."),
            metadata: Default::default(),
        };
        ["a", "b", "c"].map(passage).into()
    }

    fn read(lines: &str) -> Result<Recorded> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("queries.jsonl");
        std::fs::write(&path, lines).unwrap();
        Recorded::read(&path, &passages())
    }

    #[test]
    fn a_passage_gets_the_queries_of_all_its_lines_in_their_order() {
        let recorded = read(
            "{\"_id\": \"b\", \"questions\": [\"second?\", \"first?\"]}\n\
             {\"_id\": \"elsewhere\", \"questions\": [\"lost?\"]}\n\
             {\"_id\": \"a\", \"questions\": []}\n\
             {\"_id\": \"b\", \"questions\": [\"third?\"]}\n",
        )
        .unwrap();
        let note = recorded.note().unwrap();
        assert!(note.starts_with("1 of 3 ") && note.contains("`elsewhere`"), "{note}");
        let passages = passages();
        assert_eq!(["a", "b", "c"].map(|id| recorded.has(&id.into())), [true, true, false]);
        let answers = recorded.generate(&passages.iter().collect::<Vec<_>>(), &Silent).unwrap();
        let texts = |answer: &Answer| -> Vec<String> {
            answer.proposals.iter().map(|proposal| proposal.text.clone()).collect()
        };
        assert!(texts(&answers[0]).is_empty() && answers[0].says_none);
        assert_eq!(texts(&answers[1]), ["second?", "first?", "third?"]);
        assert!(!answers[1].says_none);
        assert!(answers[1].proposals.iter().all(|proposal| proposal.style == STYLE));
    }

    #[test]
    fn a_file_of_other_passages_and_a_misspelt_field_are_refused() {
        let error = read("{\"_id\": \"x\", \"questions\": [\"lost?\"]}\n").err().unwrap();
        assert!(matches!(error, Error::OtherPassages { lines: 1, .. }), "{error}");
        assert!(error.hint().is_some());
        let text = "{\"_id\": \"a\", \"questions\": []}\n{\"_id\": \"b\", \"queries\": []}\n";
        let message = read(text).err().unwrap().to_string();
        assert!(message.contains("line 2"), "{message}");
    }
}
