//! Looks for reasons not to trust an evaluation.

use crate::error::Result;
use crate::leakage::{Finding, Guard, Side, leakage, text_digest};
use crate::overlap::lexical_overlap;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use whetstone_records::{
    DataSet, JsonlReader, Language, Pair, Passage, PassageId, Qrels, Query, QueryId, select_jsonl,
};

/// An evaluation with fewer questions of real users asks for more, since a verdict is then rare.
pub const REAL_QUERIES: usize = 50;

/// Number of queries without text that a finding names.
const EXAMPLES: usize = 5;

/// Looks for reasons not to trust the evaluation of a data set: leakage between `train.jsonl` and
/// the judged queries, and test queries that nobody asked. Reads `corpus.jsonl`, `queries.jsonl`
/// and, if it exists, `train.jsonl` of the folder `data`. `qrels` are those of the evaluation.
///
/// # Errors
/// A file is missing or malformed; the error names the line.
pub fn guards(data: &Path, qrels: &Qrels) -> Result<Vec<Finding>> {
    let relevant = relevant_passages(qrels);
    let data = DataSet::new(data);
    let queries = judged_queries(&data.queries(), &relevant)?;
    let trained = trained_on(&data.train())?;
    let texts = Texts::read(&data.corpus(), &relevant, trained.as_ref())?;
    let mut findings = Vec::new();
    let test = Side {
        queries: queries.iter().map(|query| (query.id.clone(), query.text.clone())).collect(),
        passages: texts.test,
    };
    match trained {
        None => findings.push(unsure(Guard::NoTrainingPairs, 0, 0, vec![])),
        Some(trained) => findings
            .extend(leakage(&Side { queries: trained.queries, passages: texts.train }, &test)),
    }
    findings.extend(unknown_queries(&relevant, &queries));
    let language = data.language()?.unwrap_or_default();
    findings.extend(origin(&queries, &relevant, &texts.relevant, language));
    Ok(findings)
}

type Relevant<'a> = BTreeMap<&'a QueryId, Vec<&'a PassageId>>;

fn relevant_passages(qrels: &Qrels) -> Relevant<'_> {
    let mut relevant = Relevant::new();
    for (query, grades) in qrels.iter() {
        for (passage, _) in grades.iter().filter(|(_, grade)| **grade > 0) {
            relevant.entry(query).or_default().push(passage);
        }
    }
    relevant
}

fn judged_queries(path: &Path, relevant: &Relevant) -> Result<Vec<Query>> {
    Ok(select_jsonl(path, |query: &Query| relevant.contains_key(&query.id))?)
}

/// What `train.jsonl` holds, without its texts.
struct Trained {
    queries: Vec<(QueryId, String)>,
    passages: BTreeSet<PassageId>,
}

fn trained_on(path: &Path) -> Result<Option<Trained>> {
    if !path.exists() {
        return Ok(None);
    }
    let (mut queries, mut passages) = (BTreeMap::new(), BTreeSet::new());
    for pair in JsonlReader::<Pair>::open(path)? {
        let pair = pair?;
        queries.entry(pair.query_id).or_insert(pair.query);
        passages.insert(pair.passage_id);
    }
    Ok(Some(Trained { queries: queries.into_iter().collect(), passages }))
}

/// What the corpus says about the passages of both sides.
#[derive(Default)]
struct Texts {
    train: Vec<(PassageId, whetstone_records::DocumentId, u64)>,
    test: Vec<(PassageId, whetstone_records::DocumentId, u64)>,
    /// The texts of the relevant passages.
    relevant: BTreeMap<PassageId, String>,
}

impl Texts {
    fn read(path: &Path, relevant: &Relevant, trained: Option<&Trained>) -> Result<Self> {
        let tested: BTreeSet<&PassageId> = relevant.values().flatten().copied().collect();
        let mut texts = Texts::default();
        for passage in JsonlReader::<Passage>::open(path)? {
            let passage = passage?;
            let (is_tested, is_trained) = (
                tested.contains(&passage.id),
                trained.is_some_and(|trained| trained.passages.contains(&passage.id)),
            );
            if !is_tested && !is_trained {
                continue;
            }
            let entry = (passage.id.clone(), passage.document(), text_digest(&passage.text));
            if is_tested {
                texts.test.push(entry.clone());
                texts.relevant.insert(passage.id.clone(), passage.full_text());
            }
            if is_trained {
                texts.train.push(entry);
            }
        }
        Ok(texts)
    }
}

fn unsure(guard: Guard, found: usize, of: usize, examples: Vec<String>) -> Finding {
    Finding { guard, refuses: false, found, of, examples, overlap: None }
}

fn unknown_queries(relevant: &Relevant, queries: &[Query]) -> Option<Finding> {
    let known: BTreeSet<&QueryId> = queries.iter().map(|query| &query.id).collect();
    let unknown: Vec<&&QueryId> =
        relevant.keys().filter(|query| !known.contains(**query)).collect();
    let examples = unknown.iter().take(EXAMPLES).map(|query| format!("`{query}`")).collect();
    (!unknown.is_empty())
        .then(|| unsure(Guard::UnknownQueries, unknown.len(), relevant.len(), examples))
}

/// Reports queries that no person asked, unless enough were asked by people.
fn origin(
    queries: &[Query],
    relevant: &Relevant,
    texts: &BTreeMap<PassageId, String>,
    language: Language,
) -> Option<Finding> {
    let real = queries.iter().filter(|query| query.metadata.generator.is_none()).count();
    if queries.is_empty() || real >= REAL_QUERIES {
        return None;
    }
    let passages = |query: &Query| {
        let passages = relevant[&query.id].iter();
        passages.filter_map(|passage| texts.get(*passage)).map(String::as_str).collect()
    };
    let of: Vec<(&str, Vec<&str>)> =
        queries.iter().map(|query| (query.text.as_str(), passages(query))).collect();
    let guard = if real == 0 { Guard::SyntheticOnly } else { Guard::FewRealQueries };
    Some(Finding {
        overlap: Some(lexical_overlap(&of, language).mean),
        ..unsure(guard, real, queries.len(), vec![])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn data_set(train: &str) -> (tempfile::TempDir, Qrels) {
        let folder = tempfile::tempdir().unwrap();
        let corpus = r#"{"_id":"a-1","text":"Oil the chain often.","metadata":{"document":"a"}}
{"_id":"b-1","text":"Patch the tyre.","metadata":{"document":"b"}}
{"_id":"b-2","text":"Pump the tyre.","metadata":{"document":"b"}}
"#;
        let queries = r#"{"_id":"q1","text":"how to patch a tyre"}
{"_id":"q2","text":"pump pressure","metadata":{"generator":"built-in"}}
"#;
        fs::write(folder.path().join("corpus.jsonl"), corpus).unwrap();
        fs::write(folder.path().join("queries.jsonl"), queries).unwrap();
        if !train.is_empty() {
            fs::write(folder.path().join("train.jsonl"), train).unwrap();
        }
        let mut qrels = Qrels::default();
        qrels.insert("q1".into(), "b-1".into(), 1);
        qrels.insert("q2".into(), "b-2".into(), 2);
        qrels.insert("gone".into(), "b-2".into(), 1);
        (folder, qrels)
    }

    fn guards_of(train: &str) -> Vec<(Guard, usize, usize, bool)> {
        let (folder, qrels) = data_set(train);
        let findings = guards(folder.path(), &qrels).unwrap();
        findings.iter().map(|found| (found.guard, found.found, found.of, found.refuses)).collect()
    }

    #[test]
    fn a_clean_data_set_is_only_asked_for_real_queries() {
        let train = r#"{"query":"oil","passage":"Oil the chain often.","label":1,"query_id":"t","passage_id":"a-1"}"#;
        assert_eq!(
            guards_of(train),
            [(Guard::UnknownQueries, 1, 3, false), (Guard::FewRealQueries, 1, 2, false)]
        );
    }

    #[test]
    fn a_document_and_a_query_in_both_are_found() {
        let train = r#"{"query":"Pump pressure!","passage":"Patch","label":0,"query_id":"t","passage_id":"b-1"}"#;
        let found = guards_of(train);
        assert_eq!(found[0], (Guard::SharedDocuments, 1, 1, true));
        assert_eq!(found[1], (Guard::SharedQueries, 1, 2, true));
    }

    #[test]
    fn without_training_pairs_that_is_said() {
        assert_eq!(guards_of("")[0], (Guard::NoTrainingPairs, 0, 0, false));
    }

    #[test]
    fn synthetic_questions_alone_are_labelled_with_their_overlap() {
        let (folder, _) = data_set("");
        let mut qrels = Qrels::default();
        qrels.insert("q2".into(), "b-2".into(), 1);
        let findings = guards(folder.path(), &qrels).unwrap();
        let [_, finding] = &findings[..] else { panic!("{findings:?}") };
        assert_eq!((finding.guard, finding.overlap), (Guard::SyntheticOnly, Some(0.5)));
        assert_eq!(
            finding.to_string(),
            "all 1 test queries are synthetic; their passages hold 50 % of their words"
        );
    }

    #[test]
    fn a_broken_line_is_named() {
        let (folder, qrels) = data_set("{\"query\": 1}\n");
        let message = guards(folder.path(), &qrels).unwrap_err().to_string();
        assert!(message.contains("train.jsonl` line 1"), "{message}");
    }
}
