//! The records of a BEIR corpus.

use super::document::{Document, Outline, Titles};
use super::listing::Skip;
use super::report::Report;
use super::{Cutting, Tokenize, cut_document, places, plain};
use crate::config::SynthConfig;
use crate::error::{Error, Result};
use crate::language::language_of_corpus;
use rayon::prelude::*;
use std::collections::HashSet;
use std::path::Path;
use whetstone_records::{DocumentId, JsonlReader, Passage, PassageId, Progress};

/// Takes every record of a BEIR corpus as one passage under its own id, so that qrels made for it
/// stay valid; with `split-beir`, records longer than twice `passage-tokens` are cut.
pub(crate) fn chunk_records(
    path: &Path,
    tokenize: Tokenize<'_>,
    config: &SynthConfig,
    progress: &dyn Progress,
) -> Result<(Vec<Passage>, Report)> {
    let (records, mut report) = read_records(path)?;
    let texts: Vec<&str> = records.iter().map(|record| record.text.as_str()).collect();
    report.language = language_of_corpus(config.language, &texts);
    let cutting = Cutting { config: &config.chunk, language: report.language };
    let ids: HashSet<String> = records.iter().map(|record| record.id.as_str().to_owned()).collect();
    progress.start("chunk", Some(records.len() as u64), "documents");
    report.documents(records.len());
    let chunked: Vec<Vec<(Passage, usize, usize)>> = records
        .into_par_iter()
        .map(|record| {
            let chunked = chunk_record(record, &ids, tokenize, cutting);
            progress.advance(1);
            chunked
        })
        .collect::<Result<_>>()?;
    progress.finish();
    let mut passages = Vec::new();
    for (passage, tokens, title_tokens) in chunked.into_iter().flatten() {
        report.passage(tokens, title_tokens, &config.chunk);
        passages.push(passage);
    }
    Ok((passages, report))
}

/// Reads all records that have text, refusing ids that qrels and run files could not carry.
fn read_records(path: &Path) -> Result<(Vec<Passage>, Report)> {
    let mut report = Report::default();
    let mut seen = HashSet::new();
    let mut records = Vec::new();
    let mut reader = JsonlReader::<Passage>::open(path)?;
    while let Some(record) = reader.next() {
        let (record, line) = (record?, reader.line());
        let id = record.id.as_str();
        if id.is_empty() || id.contains(char::is_whitespace) {
            return Err(Error::BadPassageId { path: path.into(), line, id: id.into() });
        }
        if !seen.insert(record.id.clone()) {
            return Err(whetstone_records::Error::DuplicateId {
                path: path.into(),
                line,
                id: id.into(),
            }
            .into());
        }
        if record.text.trim().is_empty() && record.title.trim().is_empty() {
            report.skip(id.to_owned(), Skip::Empty);
        } else {
            records.push(record);
        }
    }
    Ok((records, report))
}

/// The passages of a record, with the tokens of their texts and titles.
fn chunk_record(
    mut record: Passage,
    ids: &HashSet<String>,
    tokenize: Tokenize<'_>,
    cutting: Cutting,
) -> Result<Vec<(Passage, usize, usize)>> {
    let config = cutting.config;
    let tokens = tokenize(&record.text)?.len();
    let title_tokens = tokenize(&record.title)?.len();
    if !config.split_beir || tokens <= 2 * config.passage_tokens {
        let document = record.document();
        record.metadata.document.get_or_insert(document);
        return Ok(vec![(record, tokens, title_tokens)]);
    }
    let blocks = plain::paragraphs_of(&record.text, 0);
    let sections = Outline::of(&record.text, &blocks, cutting.language).sections;
    let document = Document {
        id: DocumentId::new(record.id.as_str()),
        titles: Titles::default(),
        text: record.text,
        blocks,
        is_html: false,
    };
    let cuts = cut_document(&document, &record.title, sections, tokenize, cutting)?;
    let pieces = cuts.into_iter().map(|mut cut| {
        // A record may have the very id that a piece of another one would get.
        while ids.contains(cut.id.as_str()) {
            cut.id = PassageId::new(cut.id.as_str().replacen('#', "##", 1));
        }
        let (passage, tokens) = places::one_place(cut);
        (passage, tokens, title_tokens)
    });
    Ok(pieces.collect())
}
