//! A data set in memory: passages, queries and judgements, each with its split.

mod parts;

pub use parts::Part;

use crate::config::SplitConfig;
use crate::error::{Error, Result};
use crate::same_text::same_text;
use crate::split::{Split, split_documents};
use crate::twins::Twins;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;
use whetstone_records::{
    DataSet, DocumentId, GivenSplit, JsonlReader, Pair, Passage, PassageId, Provenance, Qrels,
    Query, QueryId, QueryMetadata,
};

/// A data set as `mine` and `pair` see it: passages, queries and judgements, with the split of
/// each.
///
/// Passages, queries and documents are numbered in the order of their ids.
pub struct Collection {
    pub passages: Vec<Passage>,
    pub queries: Vec<Query>,
    /// Relevant passages of every query with their grades, without those whose text stands in
    /// documents of several splits.
    pub positives: Vec<Vec<(u32, i32)>>,
    pub qrels: Qrels,
    /// A number for every passage's text. Texts that differ only in white space and case share one.
    pub text: Vec<u32>,
    held_out_texts: HashSet<u32>,
    /// Texts that stand in documents of several splits.
    shared_texts: HashSet<u32>,
    /// The document of every passage, the first of several.
    pub document: Vec<u32>,
    pub document_split: Vec<Split>,
    /// The split of every query; none if it serves neither training nor measuring.
    pub query_split: Vec<Option<Split>>,
    /// The collections that it was gathered from; else all of it.
    pub parts: Vec<Part>,
    pub counts: BTreeMap<String, u64>,
}

impl Collection {
    /// Reads `corpus.jsonl`, `queries.jsonl` and `qrels/all.tsv` of a data set.
    pub fn read(out: &Path, config: &SplitConfig, seed: u64) -> Result<Self> {
        let data = DataSet::new(out);
        let passages = read_unique(&data.corpus(), |passage: &Passage| passage.id.as_str())?;
        let queries = read_unique(&data.queries(), |query: &Query| query.id.as_str())?;
        let qrels = Qrels::read(&data.all_qrels())?;
        Self::new(passages, queries, qrels, config, seed)
    }

    pub fn new(
        mut passages: Vec<Passage>,
        mut queries: Vec<Query>,
        mut qrels: Qrels,
        config: &SplitConfig,
        seed: u64,
    ) -> Result<Self> {
        passages.sort_by(|a, b| a.id.cmp(&b.id));
        queries.sort_by(|a, b| a.id.cmp(&b.id));
        let ids: Vec<DocumentId> = passages.iter().map(Passage::document).collect();
        let documents: BTreeSet<DocumentId> =
            passages.iter().flat_map(Passage::documents).collect();
        // Equal texts answer the same queries, whichever of them was judged.
        Twins::of(&passages).share(&mut qrels, &passages);
        let place = place_of_documents(&documents);
        let document: Vec<u32> = ids.iter().map(|id| place[id]).collect();
        let positives = positives(&passages, &queries, &qrels)?;
        let answering = |wanted: fn(&QueryMetadata) -> bool| {
            std::iter::zip(&queries, &positives)
                .filter(move |(query, _)| wanted(&query.metadata))
                .flat_map(|(_, positives)| positives)
                .map(|(passage, _)| ids[*passage as usize].clone())
        };
        let dev = answering(|metadata| metadata.given_split == Some(GivenSplit::Dev));
        // A document of both is the test.
        let mut held: BTreeMap<DocumentId, Split> =
            dev.map(|document| (document, Split::Dev)).collect();
        held.extend(answering(QueryMetadata::is_for_test).map(|document| (document, Split::Test)));
        let has_test = held.values().any(|split| *split == Split::Test);
        let document_split: Vec<Split> =
            split_documents(&documents, &held, config, seed).into_values().collect();
        let mut collection = Self {
            parts: parts::parts(&passages, &queries)?,
            text: number_texts(&passages),
            held_out_texts: HashSet::new(),
            shared_texts: HashSet::new(),
            passages,
            queries,
            positives,
            qrels,
            document,
            document_split,
            query_split: Vec::new(),
            counts: BTreeMap::new(),
        };
        collection.compare_texts(&place);
        collection.split_queries(has_test);
        Ok(collection)
    }

    /// Finds the texts that are kept from training, and those of several splits; the latter are no
    /// positives.
    fn compare_texts(&mut self, places: &HashMap<&DocumentId, u32>) {
        let mut splits: HashMap<u32, BTreeSet<Split>> = HashMap::new();
        for (passage, text) in self.passages.iter().zip(&self.text) {
            let documents = passage.documents();
            let of_passage =
                documents.iter().map(|document| self.document_split[places[document] as usize]);
            splits.entry(*text).or_default().extend(of_passage);
        }
        for (text, splits) in splits {
            if splits.len() > 1 || !splits.contains(&Split::Train) {
                self.held_out_texts.insert(text);
            }
            if splits.len() > 1 {
                self.shared_texts.insert(text);
            }
        }
        let Self { positives, shared_texts, text, .. } = self;
        for positives in positives {
            positives.retain(|(passage, _)| !shared_texts.contains(&text[*passage as usize]));
        }
    }

    /// Whether a passage answers a query, but its text stands in documents of several splits: then
    /// it counts neither for nor against a ranking.
    pub fn is_set_aside(&self, query: &QueryId, passage: &PassageId) -> bool {
        let answers = self.qrels.get(query.as_str()).and_then(|grades| grades.get(passage));
        let text = || self.passage(passage).map(|place| self.text[place as usize]);
        answers.is_some_and(|grade| *grade > 0)
            && text().is_some_and(|text| self.shared_texts.contains(&text))
    }

    fn split_queries(&mut self, has_test_questions: bool) {
        let dropped = [
            "queries-without-positive",
            "queries-across-splits-dropped",
            "generated-test-queries-dropped",
            "queries-of-text-in-several-splits-dropped",
        ];
        self.counts = dropped.map(|name| (name.to_owned(), 0)).into();
        for query in 0..self.queries.len() {
            let splits: BTreeSet<Split> = self.positives[query]
                .iter()
                .map(|(passage, _)| self.passage_split(*passage))
                .collect();
            let other = !self.queries[query].metadata.is_for_test();
            let drop = match splits.first() {
                None if self.is_answered(query) => Some(dropped[3]),
                None => Some(dropped[0]),
                Some(_) if splits.len() > 1 => Some(dropped[1]),
                Some(Split::Test) if other && has_test_questions => Some(dropped[2]),
                Some(_) => None,
            };
            if let Some(name) = drop {
                *self.counts.entry(name.into()).or_default() += 1;
            }
            self.query_split.push(splits.first().copied().filter(|_| drop.is_none()));
        }
        for split in Split::ALL {
            let documents = self.document_split.iter().filter(|of| **of == split).count();
            let queries = self.query_split.iter().filter(|of| **of == Some(split)).count();
            self.counts.insert(format!("{}-documents", split.name()), documents as u64);
            self.counts.insert(format!("{}-queries", split.name()), queries as u64);
        }
    }

    /// Whether any passage was judged to answer a query.
    fn is_answered(&self, query: usize) -> bool {
        let grades = self.qrels.get(self.queries[query].id.as_str());
        grades.is_some_and(|grades| grades.values().any(|grade| *grade > 0))
    }

    /// The human questions that only text in several splits answers.
    pub fn unmeasured_questions(&self) -> Vec<&QueryId> {
        let measures = |query: &usize| self.queries[*query].metadata.is_for_test();
        let unmeasured =
            |query: &usize| self.positives[*query].is_empty() && self.is_answered(*query);
        let queries = (0..self.queries.len()).filter(measures).filter(unmeasured);
        queries.map(|query| &self.queries[query].id).collect()
    }

    /// The place of a passage.
    pub fn passage(&self, id: &PassageId) -> Option<u32> {
        place(&self.passages, id)
    }

    pub fn passage_split(&self, passage: u32) -> Split {
        self.document_split[self.document[passage as usize] as usize]
    }

    /// Whether a passage may be used in training: its document is for training, and no document
    /// that is not for training has the same text.
    pub fn is_trainable(&self, passage: u32) -> bool {
        self.passage_split(passage) == Split::Train
            && !self.held_out_texts.contains(&self.text[passage as usize])
    }

    /// The highest grade of any positive of these queries, which becomes label 1.
    pub fn max_grade(&self, queries: &[usize]) -> f32 {
        let grades =
            queries.iter().flat_map(|query| &self.positives[*query]).map(|(_, grade)| *grade);
        grades.max().unwrap_or(1) as f32
    }

    /// Returns the pair of a query and a passage.
    pub fn pair(&self, query: usize, passage: u32, label: f32, provenance: Provenance) -> Pair {
        let (query, passage) = (&self.queries[query], &self.passages[passage as usize]);
        Pair {
            query: query.text.clone(),
            passage: passage.full_text(),
            label,
            query_id: query.id.clone(),
            passage_id: passage.id.clone(),
            teacher: None,
            provenance: Some(provenance),
            query_metadata: (query.metadata != QueryMetadata::default())
                .then(|| query.metadata.clone()),
        }
    }

    /// The queries of a split, in order.
    pub fn queries_of(&self, split: Split) -> Vec<usize> {
        (0..self.queries.len()).filter(|query| self.query_split[*query] == Some(split)).collect()
    }
}

fn place(passages: &[Passage], id: &PassageId) -> Option<u32> {
    passages.binary_search_by(|passage| passage.id.cmp(id)).ok().map(|place| place as u32)
}

fn place_of_documents(documents: &BTreeSet<DocumentId>) -> HashMap<&DocumentId, u32> {
    documents.iter().zip(0..).collect()
}

/// Numbers the different texts.
fn number_texts(passages: &[Passage]) -> Vec<u32> {
    let mut numbers: HashMap<String, u32> = HashMap::new();
    let number = |passage: &Passage| {
        let next = numbers.len() as u32;
        *numbers.entry(same_text(passage)).or_insert(next)
    };
    passages.iter().map(number).collect()
}

fn positives(
    passages: &[Passage],
    queries: &[Query],
    qrels: &Qrels,
) -> Result<Vec<Vec<(u32, i32)>>> {
    let of_query = |query: &Query| {
        let grades = qrels.get(query.id.as_str()).into_iter().flatten();
        grades
            .filter(|(_, grade)| **grade > 0)
            .map(|(id, grade)| match place(passages, id) {
                Some(place) if is_of_other_collection(&passages[place as usize], query) => {
                    Err(Error::OtherCollection { query: query.id.clone(), passage: id.clone() })
                }
                Some(place) => Ok((place, *grade)),
                None => Err(Error::JudgedPassageMissing {
                    query: query.id.clone(),
                    passage: id.clone(),
                }),
            })
            .collect()
    };
    queries.iter().map(of_query).collect()
}

fn is_of_other_collection(passage: &Passage, query: &Query) -> bool {
    passage.metadata.gathered_from != query.metadata.gathered_from
}

/// Reads records whose ids are unique and fit into runs and qrels.
pub fn read_unique<T: serde::de::DeserializeOwned>(
    path: &Path,
    id: impl Fn(&T) -> &str,
) -> Result<Vec<T>> {
    let mut reader = JsonlReader::<T>::open(path)?;
    let (mut records, mut seen) = (Vec::new(), HashSet::new());
    while let Some(record) = reader.next().transpose()? {
        let (path, line, id) = (path.to_path_buf(), reader.line(), id(&record).to_owned());
        if id.is_empty() || id.contains(char::is_whitespace) {
            // White space separates the columns of runs and qrels.
            let expected = "an id without white space";
            return Err(whetstone_records::Error::Line { path, line, expected, value: id }.into());
        }
        if !seen.insert(id.clone()) {
            return Err(whetstone_records::Error::DuplicateId { path, line, id }.into());
        }
        records.push(record);
    }
    if records.is_empty() {
        return Err(whetstone_records::Error::Empty { path: path.into() }.into());
    }
    Ok(records)
}
