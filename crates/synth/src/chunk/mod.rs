//! Documents become passages: slices of at most `passage-tokens`, cut between sentences, titled by
//! their headings.

mod abbreviations;
mod beir;
mod document;
mod front_matter;
mod html;
mod listing;
mod markdown;
mod naming;
mod pack;
mod places;
mod plain;
mod read;
mod report;
mod sentences;
mod site;

pub(crate) use sentences::sentences;

use crate::config::{ChunkConfig, SynthConfig};
use crate::error::{Error, Result};
use crate::language::language_of_corpus;
use document::{Document, Outline, Section};
use listing::{Listing, Skip};
use pack::{Piece, TokenMap};
use places::Cut;
use rayon::prelude::*;
use report::Report;
use site::Site;
use std::path::Path;
use whetstone_model::PairTokenizer;
use whetstone_records::{
    DataSet, Input, Language, Manifest, ModelDir, Outcome, Passage, PassageId, Progress, Stage,
    write_jsonl,
};

/// Returns the byte span of every token of a text.
pub(crate) type Tokenize<'a> = &'a (dyn Fn(&str) -> Result<Vec<(usize, usize)>> + Sync);

/// How many passages to look at for words that the tokenizer does not know.
const SAMPLE: usize = 500;

/// Cuts the documents of `input` (a folder of .md, .txt and .html files, or a BEIR `corpus.jsonl`)
/// into passages and writes `OUT/corpus.jsonl`. Lengths are measured with the tokenizer of the
/// model in `model_dir`.
pub fn chunk(
    input: &Path,
    out: &Path,
    model_dir: &Path,
    config: &SynthConfig,
    progress: &dyn Progress,
) -> Result<Manifest> {
    config.chunk.check()?;
    let tokenizer = PairTokenizer::open(model_dir, config.chunk.max_seq_tokens)?;
    let measure = Measure {
        tokenize: &|text| Ok(tokenizer.offsets(text)?),
        unknown_fraction: &|texts| Ok(tokenizer.unknown_fraction(texts)?),
        tokenizer: tokenizer_input(&ModelDir::new(model_dir))?,
    };
    chunk_with(input, out, measure, config, progress)
}

/// Digests the files of a model folder that make its tokenizer.
fn tokenizer_input(model: &ModelDir) -> Result<Input> {
    match model.tokenizer_files() {
        [file] => Ok(Input::of_file("tokenizer", &model.path(file))?),
        files => {
            let paths: Vec<_> = files.iter().map(|file| model.path(file)).collect();
            let files = files.iter().zip(&paths).map(|(file, path)| (*file, path.as_path()));
            Ok(Input::of_files("tokenizer", files))
        }
    }
}

/// A tokenizer as chunking uses it.
struct Measure<'a> {
    tokenize: Tokenize<'a>,
    /// Returns the share of some texts that the tokenizer does not know.
    unknown_fraction: &'a (dyn Fn(&[&str]) -> Result<f64> + Sync),
    tokenizer: Input,
}

/// How documents are cut.
#[derive(Clone, Copy)]
pub(crate) struct Cutting<'a> {
    pub config: &'a ChunkConfig,
    pub language: Language,
}

/// [`chunk`] with any tokenizer.
fn chunk_with(
    input: &Path,
    out: &Path,
    Measure { tokenize, unknown_fraction, tokenizer }: Measure<'_>,
    config: &SynthConfig,
    progress: &dyn Progress,
) -> Result<Manifest> {
    let corpus = Corpus::find(input, out)?;
    let settings = (&config.chunk, config.language);
    let stage = Stage::new("chunk", out, &settings, [corpus.digest()?, tokenizer]);
    if let Some(manifest) = stage.begin()? {
        return Ok(manifest);
    }
    let (passages, report) = match &corpus {
        Corpus::Folder(listing) => chunk_folder(listing, tokenize, config, progress)?,
        Corpus::Beir(path) => beir::chunk_records(path, tokenize, config, progress)?,
    };
    if passages.is_empty() {
        return Err(Error::EmptyCorpus { path: input.into(), skipped: report.skipped() });
    }
    write_jsonl(&DataSet::new(out).corpus(), &passages)?;
    let language = Some(report.language);
    let (counts, mut notes) = report.finish(config);
    let texts = passages.iter().step_by(passages.len().div_ceil(SAMPLE));
    let texts: Vec<&str> = texts.map(|passage| passage.text.as_str()).collect();
    notes.extend(report::unknown(unknown_fraction(&texts)?));
    Ok(stage.finish(
        &[DataSet::CORPUS],
        Outcome {
            counts,
            notes,
            max_seq_tokens: Some(config.chunk.max_seq_tokens),
            language,
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
        let target = DataSet::new(out).corpus();
        if target
            .canonicalize()
            .is_ok_and(|target| input.canonicalize().is_ok_and(|input| input == target))
        {
            return Err(Error::CorpusIsOutput { path: input.into() });
        }
        Ok(Self::Beir(input))
    }

    fn digest(&self) -> Result<Input> {
        const ROLE: &str = "corpus";
        match self {
            Self::Folder(listing) => Ok(listing.digest(ROLE)),
            Self::Beir(path) => Ok(Input::of_file(ROLE, path)?),
        }
    }
}

fn chunk_folder(
    listing: &Listing,
    tokenize: Tokenize<'_>,
    config: &SynthConfig,
    progress: &dyn Progress,
) -> Result<(Vec<Passage>, Report)> {
    progress.start("chunk", Some(listing.sources.len() as u64), "documents");
    let read: Vec<Result<Document, Skip>> =
        listing.sources.par_iter().map(read::read_document).collect();
    let mut skipped = listing.skipped.clone();
    let mut documents = Vec::new();
    for (source, read) in listing.sources.iter().zip(read) {
        match read {
            Ok(document) => documents.push(document),
            Err(skip) => skipped.push((source.name.clone(), skip)),
        }
    }
    skipped.sort();
    let mut report = Report::default();
    skipped.into_iter().for_each(|(name, skip)| report.skip(name, skip));
    let texts: Vec<&str> = documents.iter().map(|document| document.text.as_str()).collect();
    report.language = language_of_corpus(config.language, &texts);
    let cutting = Cutting { config: &config.chunk, language: report.language };
    let (documents, left_out) = match config.chunk.drop_repeats {
        true => without_repeats(documents, &mut report),
        false => (documents, Vec::new()),
    };
    let cuts = cut_documents(&documents, &left_out, tokenize, cutting, progress)?;
    report.documents(cuts.iter().filter(|cuts| !cuts.is_empty()).count());
    let cuts: Vec<Cut> = cuts.into_iter().flatten().collect();
    let passages = match config.chunk.drop_repeats {
        true => places::join_equal(cuts),
        false => cuts.into_iter().map(places::one_place).collect(),
    };
    progress.finish();
    let titles = passages.par_iter().map(|(passage, _)| Ok(tokenize(&passage.title)?.len()));
    let titles = titles.collect::<Result<Vec<usize>>>()?;
    for ((passage, tokens), title_tokens) in passages.iter().zip(titles) {
        report.passage(*tokens, title_tokens, &config.chunk);
        report.places(passage);
    }
    Ok((passages.into_iter().map(|(passage, _)| passage).collect(), report))
}

/// The documents without navigation, and which of them are left out as repetitions of others.
fn without_repeats(documents: Vec<Document>, report: &mut Report) -> (Vec<Document>, Vec<bool>) {
    let site = Site::of(&documents);
    report.site(&documents, &site);
    let documents = documents.into_par_iter().zip(&site.navigation);
    let documents = documents.map(|(document, navigation)| document.without(navigation));
    let left_out = site.left_out.iter().map(Option::is_some).collect();
    (documents.collect(), left_out)
}

/// Returns the pieces of every document, none of one that is left out.
fn cut_documents(
    documents: &[Document],
    left_out: &[bool],
    tokenize: Tokenize<'_>,
    cutting: Cutting,
    progress: &dyn Progress,
) -> Result<Vec<Vec<Cut>>> {
    let outline =
        |document: &Document| Outline::of(&document.text, &document.blocks, cutting.language);
    let outlines: Vec<Outline> = documents.par_iter().map(outline).collect();
    let titles = naming::titles(documents, &outlines);
    let pieces = documents.par_iter().zip(outlines).zip(titles).enumerate();
    let cut = |(place, ((document, outline), title)): (usize, ((&Document, Outline), String))| {
        let cut = match left_out.get(place) {
            Some(true) => Ok(Vec::new()),
            _ => cut_document(document, &title, outline.sections, tokenize, cutting),
        };
        progress.advance(1);
        cut
    };
    pieces.map(cut).collect()
}

/// Cuts one document.
fn cut_document(
    document: &Document,
    title: &str,
    sections: Vec<Section>,
    tokenize: Tokenize<'_>,
    cutting: Cutting,
) -> Result<Vec<Cut>> {
    let tokens = TokenMap::new(&document.text, &tokenize(&document.text)?);
    let headings: Vec<Vec<String>> =
        sections.iter().map(|section| section.headings.clone()).collect();
    let pieces = pack::pack(&document.text, sections, &tokens, cutting);
    let cut = |(index, piece): (usize, Piece)| {
        let path = std::iter::once(title).chain(headings[piece.section].iter().map(String::as_str));
        Cut {
            id: passage_id(document.id.as_str(), index + 1),
            path: path.filter(|part| !part.is_empty()).map(str::to_owned).collect(),
            text: document.text[piece.span.clone()].to_owned(),
            document: document.id.clone(),
            span: (piece.span.start, piece.span.end),
            tokens: tokens.count(&piece.span),
        }
    };
    Ok(pieces.into_iter().enumerate().map(cut).collect())
}

/// Returns a piece of a Markdown file as its reader sees it: without tags and addresses of pictures.
pub(crate) fn as_seen(markdown: &str) -> String {
    markdown::read(markdown, 0).0
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
