//! Human questions, and the passages that contain the quoted answers.

use crate::chunk::as_seen;
use crate::error::{Error, Result};
use serde::Deserialize;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::rc::Rc;
use whetstone_records::{DocumentId, JsonlReader, Passage, Qrels, Query, QueryId, QueryMetadata};

/// Fewest words of a quote's larger part, if two passages share the quote.
const MIN_PART_WORDS: usize = 4;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Judged {
    #[serde(rename = "_id")]
    id: QueryId,
    text: String,
    answers: Vec<JudgedAnswer>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JudgedAnswer {
    document: DocumentId,
    quote: String,
    #[serde(default = "one")]
    grade: i32,
}

fn one() -> i32 {
    1
}

/// Human queries with their grades.
#[derive(Debug, Default)]
pub struct Judgements {
    pub queries: Vec<Query>,
    pub qrels: Qrels,
    /// Quotes that no passage contains whole. The passage with the larger part counts.
    pub cut_quotes: u64,
}

/// Reads `path` and finds, for every quote, the passages of its document that contain it.
pub fn read(path: &Path, passages: &[Passage]) -> Result<Judgements> {
    let mut by_document: HashMap<DocumentId, Vec<(&Passage, Rc<str>)>> = HashMap::new();
    for passage in passages {
        let text: Rc<str> = collapse(&passage.text).into();
        for document in passage.documents() {
            by_document.entry(document).or_default().push((passage, text.clone()));
        }
    }
    let passage_ids: HashSet<&str> = passages.iter().map(|passage| passage.id.as_str()).collect();
    let mut judgements = Judgements::default();
    let mut seen = HashSet::new();
    let mut reader = JsonlReader::<Judged>::open(path)?;
    while let Some(judged) = reader.next() {
        let (judged, line) = (judged?, reader.line());
        if let Some(expected) = flaw(&judged, &passage_ids) {
            return Err(Error::BadJudgement { path: path.into(), line, expected });
        }
        if !seen.insert(judged.id.clone()) {
            let id = judged.id.as_str().to_owned();
            return Err(
                whetstone_records::Error::DuplicateId { path: path.into(), line, id }.into()
            );
        }
        for answer in &judged.answers {
            let document = answer.document.clone();
            let Some(of_document) = by_document.get(&document) else {
                return Err(Error::JudgedDocumentMissing { path: path.into(), line, document });
            };
            let found = passages_with(&answer.quote, of_document);
            let seen = || passages_with(&as_seen(&answer.quote), of_document);
            let Some((found, cut)) = found.or_else(seen) else {
                return Err(Error::QuoteNotFound {
                    path: path.into(),
                    line,
                    document,
                    quote: answer.quote.clone(),
                });
            };
            judgements.cut_quotes += u64::from(cut);
            for passage in found {
                let earlier = judgements
                    .qrels
                    .get(judged.id.as_str())
                    .and_then(|grades| grades.get(&passage.id));
                let grade = answer.grade.max(earlier.copied().unwrap_or(answer.grade));
                judgements.qrels.insert(judged.id.clone(), passage.id.clone(), grade);
            }
        }
        let metadata = QueryMetadata { style: Some("human".into()), ..QueryMetadata::default() };
        judgements.queries.push(Query {
            id: judged.id,
            text: judged.text.trim().to_owned(),
            metadata,
        });
    }
    Ok(judgements)
}

/// What every line must be and this one is not.
fn flaw(judged: &Judged, passages: &HashSet<&str>) -> Option<&'static str> {
    let id = judged.id.as_str();
    if id.is_empty() || id.contains(char::is_whitespace) {
        return Some("an id is not empty and holds no white space");
    }
    if is_id_of_a_generated_query(id, passages) {
        return Some("`PASSAGE-q1` is the id of a query that will be made");
    }
    if judged.text.trim().is_empty() {
        return Some("a question has a text");
    }
    let answered = judged.answers.iter().any(|answer| answer.grade > 0);
    (!answered).then_some("a question has at least one answer with a positive grade")
}

fn is_id_of_a_generated_query(id: &str, passages: &HashSet<&str>) -> bool {
    let made = id.rsplit_once("-q").filter(|(_, number)| number.parse::<usize>().is_ok());
    made.is_some_and(|(passage, _)| passages.contains(passage))
}

/// The text with single spaces.
fn collapse(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The passages that contain the quote. If there are none, returns `true` and those that contain
/// its larger part up to their border.
fn passages_with<'a>(
    quote: &str,
    passages: &[(&'a Passage, Rc<str>)],
) -> Option<(Vec<&'a Passage>, bool)> {
    let quote = collapse(quote);
    if quote.is_empty() {
        return None;
    }
    let whole: Vec<&Passage> = passages
        .iter()
        .filter(|(_, text)| text.contains(&quote))
        .map(|(passage, _)| *passage)
        .collect();
    if !whole.is_empty() {
        return Some((whole, false));
    }
    let words: Vec<&str> = quote.split(' ').collect();
    let least = words.len().div_ceil(2).max(MIN_PART_WORDS);
    for length in (least..words.len()).rev() {
        let (begin, end) = (words[..length].join(" "), words[words.len() - length..].join(" "));
        let holds = |text: &str| text.ends_with(&begin) || text.starts_with(&end);
        let part: Vec<&Passage> =
            passages.iter().filter(|(_, text)| holds(text)).map(|(passage, _)| *passage).collect();
        if !part.is_empty() {
            return Some((part, true));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use whetstone_records::PassageMetadata;

    fn passages() -> Vec<Passage> {
        let passage = |id: &str, text: &str| Passage {
            id: id.into(),
            title: String::new(),
            text: text.into(),
            metadata: PassageMetadata { document: Some("a.md".into()), ..Default::default() },
        };
        vec![
            passage("a.md#0001", "The valve shuts at\n8 bar. It opens by itself after"),
            passage("a.md#0002", "one hour of rest. The valve shuts at 8 bar."),
        ]
    }

    fn read_lines(lines: &str) -> Result<Judgements> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("questions.jsonl");
        std::fs::write(&path, lines).unwrap();
        read(&path, &passages())
    }

    #[test]
    fn a_quote_grades_every_passage_that_holds_it() {
        let line = r#"{"_id":"h1","text":"When does it shut?","answers":[
            {"document":"a.md","quote":"shuts at 8  bar","grade":2}]}"#;
        let judgements = read_lines(&line.replace('\n', " ")).unwrap();
        let grades = judgements.qrels.get("h1").unwrap();
        assert_eq!((grades.len(), grades["a.md#0002"]), (2, 2));
        assert_eq!(judgements.queries[0].metadata.style.as_deref(), Some("human"));
        assert_eq!(judgements.queries[0].metadata.generator, None);
    }

    #[test]
    fn a_quote_that_a_border_cuts_counts_for_its_larger_part() {
        let line = r#"{"_id":"h1","text":"?","answers":[{"document":"a.md","quote":"It opens by itself after one hour"}]}"#;
        let judgements = read_lines(line).unwrap();
        let grades = judgements.qrels.get("h1").unwrap();
        assert_eq!((grades.len(), grades["a.md#0001"], judgements.cut_quotes), (1, 1, 1));
    }

    #[test]
    fn a_quote_is_found_as_a_reader_sees_it() {
        let line = r#"{"_id":"h1","text":"?","answers":[{"document":"a.md","quote":"It opens <b>by itself</b>"}]}"#;
        assert_eq!(read_lines(line).unwrap().qrels.get("h1").unwrap().len(), 1);
    }

    #[test]
    fn what_is_found_nowhere_is_named_with_its_line() {
        let answer = |document: &str, quote: &str| {
            format!(
                r#"{{"_id":"h","text":"x","answers":[{{"document":"{document}","quote":"{quote}"}}]}}"#
            )
        };
        let message = |line: &str| read_lines(&format!("\n{line}")).unwrap_err().to_string();
        let missing = message(&answer("a.md", "never said"));
        assert!(
            missing.ends_with(
                "questions.jsonl` line 2: no passage of `a.md` holds the quote `never said`"
            ),
            "{missing}"
        );
        assert!(
            message(&answer("b.md", "bar"))
                .contains("line 2: document `b.md` is not in the corpus")
        );
        assert!(message(r#"{"_id":"h","text":"x","answers":[]}"#).contains("at least one answer"));
        let taken = message(&answer("a.md", "bar").replace("\"h\"", "\"a.md#0001-q1\""));
        assert!(taken.contains("query that will be made"), "{taken}");
    }
}
