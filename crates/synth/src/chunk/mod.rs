//! Documents become passages: slices of at most `passage-tokens`, cut between sentences, titled by
//! their headings.

mod beir;
mod document;
mod html;
mod markdown;
mod pack;
mod plain;
mod read;
mod report;
mod sentences;

pub(crate) use sentences::sentences;

use crate::config::ChunkConfig;
use crate::error::{Error, Result};
use document::Document;
use pack::TokenMap;
use rayon::prelude::*;
use read::{Listing, Skip};
use report::Report;
use std::path::Path;
use whetstone_model::PairTokenizer;
use whetstone_records::{
    Manifest, Outcome, Passage, PassageId, PassageMetadata, Progress, Stage, sha256_file,
    write_jsonl,
};

/// Returns the byte span of every token of a text.
pub(crate) type Tokenize<'a> = &'a (dyn Fn(&str) -> Result<Vec<(usize, usize)>> + Sync);

/// Cuts the documents of `input` (a folder of .md, .txt and .html files, or a BEIR `corpus.jsonl`)
/// into passages and writes `OUT/corpus.jsonl`. Lengths are measured with the tokenizer of the
/// model in `model_dir`.
pub fn chunk(
    input: &Path,
    out: &Path,
    model_dir: &Path,
    config: &ChunkConfig,
    progress: &dyn Progress,
) -> Result<Manifest> {
    config.check()?;
    let tokenizer = PairTokenizer::open(model_dir, config.max_seq_tokens)?;
    let digest = sha256_file(&model_dir.join("tokenizer.json"))?;
    chunk_with(input, out, (&|text| Ok(tokenizer.offsets(text)?), digest), config, progress)
}

/// [`chunk`] with any tokenizer, given with its digest.
fn chunk_with(
    input: &Path,
    out: &Path,
    (tokenize, digest): (Tokenize<'_>, String),
    config: &ChunkConfig,
    progress: &dyn Progress,
) -> Result<Manifest> {
    let corpus = Corpus::find(input, out)?;
    let inputs = [("corpus".to_owned(), corpus.digest()?), ("tokenizer".to_owned(), digest)];
    let stage = Stage::new("chunk", out, config, inputs);
    if let Some(manifest) = stage.up_to_date() {
        return Ok(manifest);
    }
    let (passages, report) = match &corpus {
        Corpus::Folder(listing) => chunk_folder(listing, tokenize, config, progress)?,
        Corpus::Beir(path) => beir::chunk_records(path, tokenize, config, progress)?,
    };
    if passages.is_empty() {
        return Err(Error::EmptyCorpus { path: input.into(), skipped: report.skipped() });
    }
    write_jsonl(&out.join("corpus.jsonl"), &passages)?;
    let (counts, notes) = report.finish(config);
    Ok(stage.finish(
        &["corpus.jsonl"],
        Outcome {
            counts,
            notes,
            max_seq_tokens: Some(config.max_seq_tokens),
            ..Outcome::default()
        },
    )?)
}

/// What `input` turned out to be.
enum Corpus<'a> {
    Folder(Listing),
    Beir(&'a Path),
}

impl<'a> Corpus<'a> {
    fn find(input: &'a Path, out: &Path) -> Result<Self> {
        let kind = std::fs::metadata(input).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => Error::MissingCorpus { path: input.into() },
            _ => Error::Io { action: "read", path: input.into(), source },
        })?;
        if kind.is_dir() {
            return Ok(Self::Folder(Listing::of(input, out)?));
        }
        if input.extension().is_none_or(|extension| extension != "jsonl") {
            return Err(Error::CorpusKind { path: input.into() });
        }
        // Written in place of what is read, a second run would chunk chunks.
        let target = out.join("corpus.jsonl");
        if target
            .canonicalize()
            .is_ok_and(|target| input.canonicalize().is_ok_and(|input| input == target))
        {
            return Err(Error::CorpusIsOutput { path: input.into() });
        }
        Ok(Self::Beir(input))
    }

    fn digest(&self) -> Result<String> {
        match self {
            Self::Folder(listing) => listing.digest(),
            Self::Beir(path) => Ok(sha256_file(path)?),
        }
    }
}

fn chunk_folder(
    listing: &Listing,
    tokenize: Tokenize<'_>,
    config: &ChunkConfig,
    progress: &dyn Progress,
) -> Result<(Vec<Passage>, Report)> {
    progress.start("chunk", Some(listing.sources.len() as u64), "documents");
    let chunked: Vec<Result<(Vec<Passage>, Report), Skip>> = listing
        .sources
        .par_iter()
        .map(|source| {
            let chunked = match read::read_document(source)? {
                Ok(document) => Ok(chunk_document(&document, tokenize, config)?),
                Err(skip) => Err(skip),
            };
            progress.advance(1);
            Ok(chunked)
        })
        .collect::<Result<_>>()?;
    progress.finish();
    let mut report = Report::default();
    let mut passages = Vec::new();
    let mut skipped = listing.skipped.clone();
    for (source, chunked) in listing.sources.iter().zip(chunked) {
        match chunked {
            Ok((of_document, part)) => {
                passages.extend(of_document);
                report.join(part);
            }
            Err(skip) => skipped.push((source.name.clone(), skip)),
        }
    }
    skipped.sort();
    skipped.into_iter().for_each(|(name, skip)| report.skip(name, skip));
    Ok((passages, report))
}

/// Cuts one document.
fn chunk_document(
    document: &Document,
    tokenize: Tokenize<'_>,
    config: &ChunkConfig,
) -> Result<(Vec<Passage>, Report)> {
    let tokens = TokenMap::new(&tokenize(&document.text)?);
    let pieces = pack::pack(&document.text, document.sections.clone(), &tokens, config);
    let mut report = Report::of_document();
    let mut passages = Vec::with_capacity(pieces.len());
    for (index, piece) in pieces.into_iter().enumerate() {
        let headings = &document.sections[piece.section].headings;
        let title = std::iter::once(&document.title)
            .chain(headings)
            .cloned()
            .collect::<Vec<_>>()
            .join(" > ");
        report.passage(tokens.count(&piece.span), tokenize(&title)?.len(), config);
        passages.push(Passage {
            id: passage_id(document.id.as_str(), index + 1),
            title,
            text: document.text[piece.span.clone()].to_owned(),
            metadata: PassageMetadata {
                document: Some(document.id.clone()),
                span: Some((piece.span.start, piece.span.end)),
            },
        });
    }
    Ok((passages, report))
}

/// `DOCUMENT#0007`, where white space (which would break TREC files) and `%` are percent-encoded.
fn passage_id(document: &str, number: usize) -> PassageId {
    let mut id = String::with_capacity(document.len() + 5);
    for c in document.chars() {
        if c.is_whitespace() || c.is_control() || c == '%' {
            c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| id += &format!("%{byte:02X}"));
        } else {
            id.push(c);
        }
    }
    PassageId::new(format!("{id}#{number:04}"))
}

#[cfg(test)]
mod tests;
