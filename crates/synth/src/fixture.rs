//! A small data set for tests: documents of overlapping passages, one generated query per passage.

use crate::collection::Collection;
use crate::config::SplitConfig;
use crate::error::Result;
use std::path::Path;
use whetstone_records::{
    Passage, PassageMetadata, Progress, Qrels, Query, QueryMetadata, sha256_bytes, write_jsonl,
};

pub const PASSAGES_PER_DOCUMENT: usize = 6;
const STEP: usize = 100;
/// Longer than the step: each passage shares text with its neighbours.
const LENGTH: usize = 110;
pub const HIDDEN: usize = 16;

pub struct Fixture {
    pub passages: Vec<Passage>,
    pub queries: Vec<Query>,
    pub qrels: Qrels,
}

impl Fixture {
    pub fn new(documents: usize) -> Self {
        let mut fixture =
            Self { passages: Vec::new(), queries: Vec::new(), qrels: Qrels::default() };
        for document in 0..documents {
            for part in 0..PASSAGES_PER_DOCUMENT {
                let id = format!("d{document:02}-{part}");
                let span = Some((part * STEP, part * STEP + LENGTH));
                let text = format!(
                    "The pump of type{document} has part{part} with bolt{}, valve{} and seal{}.",
                    (document + part) % 5,
                    (document * part) % 7,
                    document % 3,
                );
                let metadata = PassageMetadata {
                    document: Some(format!("d{document:02}.md").as_str().into()),
                    span,
                    ..PassageMetadata::default()
                };
                fixture.passages.push(Passage {
                    id: id.as_str().into(),
                    title: "Pumps".into(),
                    text,
                    metadata,
                });
                let text =
                    format!("which bolt{} of part{part} of type{document}?", (document + part) % 5);
                let metadata = QueryMetadata {
                    passage: Some(id.as_str().into()),
                    generator: Some("built-in".into()),
                    style: Some("question".into()),
                    ..QueryMetadata::default()
                };
                let query = format!("q{id}");
                fixture.queries.push(Query { id: query.as_str().into(), text, metadata });
                fixture.qrels.insert(query.as_str().into(), id.as_str().into(), 1);
            }
        }
        fixture
    }

    /// Adds a human question. The first passage of each document answers it, one better than the
    /// other.
    pub fn with_human_question(mut self, id: &str, documents: &[usize]) -> Self {
        let metadata = QueryMetadata::default();
        self.queries.push(Query {
            id: id.into(),
            text: "which pump has part0 and seal1?".into(),
            metadata,
        });
        for (place, document) in documents.iter().enumerate() {
            let passage = format!("d{document:02}-0");
            self.qrels.insert(id.into(), passage.as_str().into(), if place == 0 { 2 } else { 1 });
        }
        self
    }

    pub fn collection(&self, config: &SplitConfig, seed: u64) -> Result<Collection> {
        Collection::new(
            self.passages.clone(),
            self.queries.clone(),
            self.qrels.clone(),
            config,
            seed,
        )
    }

    pub fn write(&self, out: &Path) {
        write_jsonl(&out.join("corpus.jsonl"), &self.passages).unwrap();
        write_jsonl(&out.join("queries.jsonl"), &self.queries).unwrap();
        self.qrels.write_beir(&out.join("qrels/all.tsv")).unwrap();
    }
}

/// A stand-in for the bi-encoder: hashes words into a few dimensions, length 1.
pub fn embed(texts: &[&str]) -> Vec<f32> {
    let mut embeddings = Vec::new();
    for text in texts {
        let mut row = [0.01f32; HIDDEN];
        for word in text.split(|character: char| !character.is_alphanumeric()) {
            let digest = sha256_bytes(word.as_bytes());
            row[usize::from_str_radix(&digest[..1], 16).unwrap()] += 1.0;
        }
        let length = row.iter().map(|value| value * value).sum::<f32>().sqrt();
        embeddings.extend(row.map(|value| value / length));
    }
    embeddings
}

/// Adds a line to a file as soon as work has begun, as an editor or a download may.
pub struct Rewriting<'a>(pub &'a Path);

impl Progress for Rewriting<'_> {
    fn start(&self, _: &str, _: Option<u64>, _: &str) {
        let mut bytes = std::fs::read(self.0).unwrap();
        bytes.push(b'\n');
        std::fs::write(self.0, bytes).unwrap();
    }

    fn warn(&self, _: &str) {}
}
