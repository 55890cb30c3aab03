//! The records of the JSONL files.

use crate::ids::{DocumentId, PassageId, QueryId};
use serde::de::value::MapAccessDeserializer;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use std::marker::PhantomData;

/// Reads `null` as empty, since table exporters write it for an empty cell.
fn null_is_empty<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads the object of a record that other programs fill as they like: what is no object says
/// nothing to us.
fn object_or_nothing<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    struct Object<T>(PhantomData<T>);
    impl<'de, T: Default + Deserialize<'de>> Visitor<'de> for Object<T> {
        type Value = T;
        fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
            formatter.write_str("any JSON")
        }
        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map))
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<T, A::Error> {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            Ok(T::default())
        }
        fn visit_str<E>(self, _: &str) -> Result<T, E> {
            Ok(T::default())
        }
        fn visit_bool<E>(self, _: bool) -> Result<T, E> {
            Ok(T::default())
        }
        fn visit_i64<E>(self, _: i64) -> Result<T, E> {
            Ok(T::default())
        }
        fn visit_u64<E>(self, _: u64) -> Result<T, E> {
            Ok(T::default())
        }
        fn visit_f64<E>(self, _: f64) -> Result<T, E> {
            Ok(T::default())
        }
        fn visit_unit<E>(self) -> Result<T, E> {
            Ok(T::default())
        }
    }
    deserializer.deserialize_any(Object(PhantomData))
}

/// One line of BEIR's `corpus.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Passage {
    #[serde(rename = "_id")]
    pub id: PassageId,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub title: String,
    #[serde(deserialize_with = "null_is_empty")]
    pub text: String,
    #[serde(default, deserialize_with = "object_or_nothing")]
    pub metadata: PassageMetadata,
}

/// Where a passage comes from. Empty in a BEIR corpus made elsewhere, where each passage counts as
/// a document of its own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PassageMetadata {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<DocumentId>,
    /// Bytes `first..end` of the document's text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<(usize, usize)>,
    /// All places of a text that occurs in several; the first is `document` and `span`. Empty for a
    /// text that occurs once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<Place>,
    /// The collection that `gather` took it from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gathered_from: Option<String>,
}

/// One occurrence of a text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Place {
    pub document: DocumentId,
    /// Title and headings at this place.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// Bytes `first..end` of the document's text.
    pub span: (usize, usize),
}

impl Passage {
    /// Returns the passage's document, or its own id if the corpus names none.
    pub fn document(&self) -> DocumentId {
        self.metadata.document.clone().unwrap_or_else(|| DocumentId::new(self.id.as_str()))
    }

    /// Returns title and text in one string, as BEIR's own code and every trainer feed it to a
    /// model.
    pub fn full_text(&self) -> String {
        if self.title.is_empty() {
            self.text.clone()
        } else {
            format!("{} {}", self.title, self.text)
        }
    }

    /// Returns the documents that contain the passage, each once.
    pub fn documents(&self) -> Vec<DocumentId> {
        if self.metadata.places.is_empty() {
            return vec![self.document()];
        }
        let mut seen = std::collections::HashSet::new();
        let places = self.metadata.places.iter().map(|place| &place.document);
        places.filter(|document| seen.insert(*document)).cloned().collect()
    }

    /// Returns whether both share text of the same document.
    pub fn overlaps(&self, other: &Passage) -> bool {
        self.spans().any(|(document, (start, end))| {
            other.spans().any(|(other_document, (other_start, other_end))| {
                document == other_document && start < other_end && other_start < end
            })
        })
    }

    /// Returns the passage's documents and byte ranges, as far as the corpus states them.
    pub fn spans(&self) -> impl Iterator<Item = (&DocumentId, (usize, usize))> {
        let metadata = &self.metadata;
        let alone =
            metadata.document.as_ref().zip(metadata.span).filter(|_| metadata.places.is_empty());
        alone.into_iter().chain(metadata.places.iter().map(|place| (&place.document, place.span)))
    }
}

/// One line of BEIR's `queries.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Query {
    #[serde(rename = "_id")]
    pub id: QueryId,
    pub text: String,
    #[serde(default, deserialize_with = "object_or_nothing")]
    pub metadata: QueryMetadata,
}

/// The generator of queries that no LLM made, in their metadata.
pub const BUILT_IN: &str = "built-in";

/// Where a query comes from. All fields are empty for a human's query that nobody gathered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct QueryMetadata {
    /// The passage from which the query was made: its positive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passage: Option<PassageId>,
    /// [`BUILT_IN`], `file`, or the name of the LLM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator: Option<String>,
    /// The kind of question: `definition`, `keywords`, `natural`, `how-to` and others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub style: Option<String>,
    /// The kind of user that the LLM was told to write as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persona: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<QueryQuality>,
    /// The collection that `gather` took it from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gathered_from: Option<String>,
    /// What its collection keeps it for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_split: Option<GivenSplit>,
}

impl QueryMetadata {
    /// Returns whether the query is kept for the test: its collection says so, or it says nothing
    /// and a human asked.
    pub fn is_for_test(&self) -> bool {
        match self.given_split {
            Some(split) => split == GivenSplit::Test,
            None => self.generator.is_none(),
        }
    }
}

/// What a collection made elsewhere keeps a query for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GivenSplit {
    Train,
    Dev,
    Test,
}

/// What the filters measured on a generated query.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct QueryQuality {
    /// Fraction of the query's content words that its passage contains, in 0..=1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap_fraction: Option<f32>,
    /// Rank of its passage in a first-stage search, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round_trip_rank: Option<u32>,
    /// Score of its passage in that search, divided by the best passage's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round_trip_fraction: Option<f32>,
    /// An LLM's grade of the query, 0..=3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question_grade: Option<u8>,
    /// An LLM's grade of how well its passage answers it, 0..=3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer_grade: Option<u8>,
}

/// A passage that a miner found for a query and that presumably does not answer it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Negative {
    pub query_id: QueryId,
    pub passage_id: PassageId,
    #[serde(flatten)]
    pub provenance: Provenance,
}

/// What brought a passage to a query: `positive`, `bm25`, `dense`, `random`, or `rrf` for a
/// candidate of dev and test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    pub miner: String,
    /// Rank in the miner's list, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rank: Option<u32>,
    /// The miner's score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f32>,
}

/// One training pair: the text that the cross-encoder reads and its target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    pub query: String,
    pub passage: String,
    /// Target in 0..=1.
    pub label: f32,
    pub query_id: QueryId,
    pub passage_id: PassageId,
    /// The score of a stronger model, if there is one; distillation learns from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teacher: Option<f32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Provenance>,
    /// The query's origin and what the filters measured; None for a human's query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query_metadata: Option<QueryMetadata>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_an_empty_title_or_text_and_no_query() {
        let passage: Passage =
            serde_json::from_str(r#"{"_id":7,"title":null,"text":null,"metadata":null}"#).unwrap();
        assert_eq!((passage.id.as_str(), passage.full_text().as_str()), ("7", ""));
        for metadata in ["null", "\"{}\"", "[1, [2]]", "7", "-7", "0.5", "true", "{\"url\": 1}"] {
            let query = format!(r#"{{"_id":"q","metadata":{metadata},"text":"a"}}"#);
            let query: Query = serde_json::from_str(&query).unwrap();
            assert_eq!((query.text.as_str(), query.metadata), ("a", QueryMetadata::default()));
        }
        assert!(serde_json::from_str::<Query>(r#"{"_id":"q","text":null}"#).is_err());
        assert!(serde_json::from_str::<Passage>(r#"{"_id":"p"}"#).is_err(), "a text is needed");
    }
}
