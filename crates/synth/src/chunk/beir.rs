use super::document::Document;
use super::read::Skip;
use super::report::Report;
use super::{Tokenize, chunk_document, plain};
use crate::config::ChunkConfig;
use crate::error::{Error, Result};
use rayon::prelude::*;
use std::collections::HashSet;
use std::path::Path;
use whetstone_records::{DocumentId, JsonlReader, Passage, Progress};

/// Takes every record of a BEIR corpus as one passage under its own id, so that qrels made for it
/// stay valid; with `split-beir`, records longer than twice `passage-tokens` are cut.
pub(crate) fn chunk_records(
    path: &Path,
    tokenize: Tokenize<'_>,
    config: &ChunkConfig,
    progress: &dyn Progress,
) -> Result<(Vec<Passage>, Report)> {
    let (records, mut report) = read_records(path)?;
    progress.start("chunk", Some(records.len() as u64), "documents");
    let chunked: Vec<(Vec<Passage>, Report)> = records
        .into_par_iter()
        .map(|record| {
            let chunked = chunk_record(record, tokenize, config);
            progress.advance(1);
            chunked
        })
        .collect::<Result<_>>()?;
    progress.finish();
    let mut passages = Vec::new();
    for (of_record, part) in chunked {
        passages.extend(of_record);
        report.join(part);
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

fn chunk_record(
    mut record: Passage,
    tokenize: Tokenize<'_>,
    config: &ChunkConfig,
) -> Result<(Vec<Passage>, Report)> {
    let tokens = tokenize(&record.text)?.len();
    if config.split_beir && tokens > 2 * config.passage_tokens {
        let sections = plain::paragraphs_only(&record.text).sections;
        let id = DocumentId::new(record.id.as_str());
        return chunk_document(
            &Document { id, title: record.title, text: record.text, sections },
            tokenize,
            config,
        );
    }
    let mut report = Report::of_document();
    report.passage(tokens, tokenize(&record.title)?.len(), config);
    let document = record.document();
    record.metadata.document.get_or_insert(document);
    Ok((vec![record], report))
}
