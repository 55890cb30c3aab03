//! What can go wrong while a data set is made.

use std::path::PathBuf;
use whetstone_records::{DocumentId, Hint, PassageId, QueryId};

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong while a data set is made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Records(#[from] whetstone_records::Error),
    #[error(transparent)]
    Model(#[from] whetstone_model::Error),
    #[error(transparent)]
    Llm(#[from] whetstone_llm::Error),
    #[error(transparent)]
    Retrieve(#[from] whetstone_retrieve::Error),

    // toml's own line and caret are part of the message, so #[source] does not repeat them.
    #[error("config `{}` is not understood\n{source}", path.display())]
    ConfigSyntax { path: PathBuf, source: Box<toml::de::Error> },
    #[error("config `{}` line {line}: `{old}` has moved", path.display())]
    MovedKey { path: PathBuf, line: usize, old: String, section: &'static str, new: String },
    #[error("`{key}` must be {expected}, got {value}")]
    ConfigValue { key: &'static str, expected: &'static str, value: String },
    #[error("config `{}`: [mine] lists its retrievers now and no longer knows `{keys}`", path.display())]
    OldMineKeys { path: PathBuf, keys: String, spelling: String },
    #[error(
        "`pair.teacher` is \"{teacher}\", and `mine.from` lists no retriever of kind \"{kind}\""
    )]
    TeacherNotListed { teacher: &'static str, kind: &'static str },
    #[error("a cross-encoder shall teach, and none is given")]
    NoTeacher,

    #[error("`folders` in [gather] is empty")]
    NothingToGather,
    #[error("the queries of a gathered data set are those of its folders")]
    AsksGathered,
    #[error("no query of the gathered folders has an answer")]
    NothingGathered,
    #[error("`{}` has no judgements", path.display())]
    NoQrels { path: PathBuf },
    #[error("`{}` is the folder that is gathered into", path.display())]
    GatheredIntoItself { path: PathBuf },
    #[error("`{name}`, the name of `{}`, cannot go before ids", path.display())]
    FolderName { path: PathBuf, name: String },
    #[error("`{}` and `{}` are both called `{name}`", one.display(), other.display())]
    SameFolderName { name: String, one: PathBuf, other: PathBuf },
    #[error("`{id}`{} stands apart from the rest of its collection", of_collection(collection))]
    ScatteredCollection { collection: Option<String>, id: String },
    #[error("`qrels/all.tsv` judges passage `{passage}` for query `{query}` of another collection")]
    OtherCollection { query: QueryId, passage: PassageId },
    #[error("the run of the retriever `{retriever}` cannot serve several collections")]
    RunOverCollections { retriever: String },

    #[error("the corpus `{}` does not exist", path.display())]
    MissingCorpus { path: PathBuf },
    #[error("`{}` is neither a folder nor a corpus.jsonl", path.display())]
    CorpusKind { path: PathBuf },
    #[error("`{}` is the file that chunking writes", path.display())]
    CorpusIsOutput { path: PathBuf },
    #[error("the corpus `{}` holds no text ({skipped} files skipped)", path.display())]
    EmptyCorpus { path: PathBuf, skipped: u64 },
    #[error("`{}` line {line}: `{id}` cannot be an id", path.display())]
    BadPassageId { path: PathBuf, line: usize, id: String },

    #[error("`{}` line {line}: document `{document}` is not in the corpus", path.display())]
    JudgedDocumentMissing { path: PathBuf, line: usize, document: DocumentId },
    #[error("`{}` line {line}: no passage of `{document}` holds the quote `{quote}`", path.display())]
    QuoteNotFound { path: PathBuf, line: usize, document: DocumentId, quote: String },
    #[error("`{}` line {line}: {expected}", path.display())]
    BadJudgement { path: PathBuf, line: usize, expected: &'static str },
    #[error("no usable query came out of {passages} passages")]
    NoQueries { passages: usize, reasons: Vec<(String, u64)> },
    #[error("only {with} of {passages} passages that were asked about have a query")]
    FewQueries { with: usize, passages: usize, least: f64, reasons: Vec<(String, u64)> },
    #[error("config `{}` line {line}: a key does not belong into a config", path.display())]
    KeyInConfig { path: PathBuf, line: usize },
    #[error("`{}` line {line}: an example has a `text` and at least one of `queries`", path.display())]
    BadExample { path: PathBuf, line: usize },
    #[error("none of the {lines} passages in `{}` is in the corpus", path.display())]
    OtherPassages { path: PathBuf, lines: usize },
    #[error("the config asks no LLM")]
    NoLlm,
    #[error("the round trip by the bi-encoder needs a model")]
    NoModel,
    #[error(
        "`qrels/all.tsv` judges passage `{passage}` for query `{query}`, which is not in the corpus"
    )]
    JudgedPassageMissing { query: QueryId, passage: PassageId },
    #[error(
        "`negatives.jsonl` does not fit the data set: query `{query}` with passage `{passage}`"
    )]
    StaleNegative { query: QueryId, passage: PassageId },
    #[error("`{}` is not there", path.display())]
    NotMined { path: PathBuf },
    #[error("no candidates were mined for query `{query}`")]
    FindingsMissing { query: QueryId },
    #[error(
        "document `{document}` would be used for {one} and {other}: passage `{passage}` of query `{query}`"
    )]
    SharedDocument {
        document: DocumentId,
        one: &'static str,
        other: &'static str,
        passage: PassageId,
        query: QueryId,
    },
    #[error("no training pairs: {queries} queries, {documents} documents for training")]
    NothingToTrain { queries: usize, documents: usize },

    #[error("cannot {action} `{}`", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Error::Records(error) => error.hint(),
            Error::Model(error) => error.hint(),
            Error::Llm(error) => error.hint(),
            Error::Retrieve(error) => error.hint(),
            Error::OldMineKeys { keys, spelling, .. } => {
                Some(format!("write `{spelling}` into [mine] in place of `{keys}`"))
            }
            Error::TeacherNotListed { kind, .. } => Some(format!(
                "add `{{ kind = \"{kind}\", fraction = 0.0 }}` to `from` in [mine], or set `teacher = \"none\"`"
            )),
            Error::NoTeacher => Some("name one as `teacher-model` in [pair]".into()),
            Error::NothingToGather
            | Error::NothingGathered
            | Error::NoQrels { .. }
            | Error::AsksGathered
            | Error::GatheredIntoItself { .. }
            | Error::FolderName { .. }
            | Error::SameFolderName { .. }
            | Error::ScatteredCollection { .. }
            | Error::OtherCollection { .. } => self.gather_hint().map(str::to_owned),
            Error::RunOverCollections { .. } => {
                Some("list only `bm25` and `dense` in `from` of [mine]".into())
            }
            Error::MissingCorpus { .. }
            | Error::CorpusKind { .. }
            | Error::CorpusIsOutput { .. }
            | Error::EmptyCorpus { .. }
            | Error::BadPassageId { .. }
            | Error::JudgedDocumentMissing { .. }
            | Error::QuoteNotFound { .. }
            | Error::BadJudgement { .. } => self.corpus_hint().map(str::to_owned),
            Error::ConfigSyntax { .. } => Some("configs/synth.toml lists every key with its default".into()),
            Error::MovedKey { section, new, .. } => Some(format!("write `{new}` in [{section}]")),
            Error::ConfigValue { .. } => Some("configs/synth.toml explains every key".into()),
            Error::NoQueries { reasons, .. } => Some(reasons_hint(reasons)),
            Error::FewQueries { least, reasons, .. } => Some(format!(
                "{}; `min-covered-fraction = {least}` in [filter] is the share that must have one",
                reasons_hint(reasons)
            )),
            Error::KeyInConfig { .. } => Some(
                "put it into an environment variable or a file, and name that as `llm.api-key-env` or `llm.api-key-file`"
                    .into(),
            ),
            Error::BadExample { .. } => {
                Some("a line is {\"title\", \"text\", \"queries\": [\"…\"], \"style\"}; title and style may be absent".into())
            }
            Error::OtherPassages { .. } => Some(
                "`_id` is the id of a passage in corpus.jsonl, which changes with the keys of [chunk]; cut the \
                 documents as they were when the queries were made".into(),
            ),
            Error::NoLlm => Some("set `generator = \"openai\"` in [ask]; the built-in generator costs nothing".into()),
            Error::NoModel => Some("name one as `model` in the config".into()),
            Error::JudgedPassageMissing { .. } => Some("run `whetstone ask` again after the corpus has changed".into()),
            Error::NotMined { .. }
            | Error::StaleNegative { .. }
            | Error::FindingsMissing { .. }
            | Error::SharedDocument { .. }
            | Error::NothingToTrain { .. } => self.pair_hint().map(str::to_owned),
            Error::Io { .. } => None,
        }
    }

    fn is_failed_check(&self) -> bool {
        matches!(self, Error::SharedDocument { .. })
    }
}

impl Error {
    /// The way out of an error of `gather`.
    fn gather_hint(&self) -> Option<&'static str> {
        Some(match self {
            Error::NothingToGather => {
                "list BEIR folders there; for one corpus, `whetstone chunk` and `ask` begin a data set"
            }
            Error::NothingGathered => {
                "the ids in qrels must be those of corpus.jsonl and queries.jsonl beside it"
            }
            Error::NoQrels { .. } => {
                "a BEIR folder has corpus.jsonl, queries.jsonl and qrels/train.tsv, dev.tsv or test.tsv"
            }
            Error::AsksGathered => {
                "go on with `whetstone mine`, or take `folders` out of [gather] and chunk a corpus"
            }
            Error::GatheredIntoItself { .. } => "choose another --out folder",
            Error::FolderName { .. } | Error::SameFolderName { .. } => {
                "rename the folder; every one needs a name of its own without white space"
            }
            Error::ScatteredCollection { .. } | Error::OtherCollection { .. } => {
                "run `whetstone gather` again: it puts a collection's name before all of its ids"
            }
            _ => return None,
        })
    }

    /// The way out of an error about what `mine` left for `pair`.
    fn pair_hint(&self) -> Option<&'static str> {
        Some(match self {
            Error::NotMined { .. } => "run `whetstone mine`; it keeps existing embeddings",
            Error::StaleNegative { .. } | Error::FindingsMissing { .. } => {
                "run `whetstone mine` again, with the same seed and [split] as `pair`"
            }
            Error::SharedDocument { .. } => {
                "`mine` ran with another seed or [split], or a file was changed; run `whetstone mine` \
                 again"
            }
            Error::NothingToTrain { .. } => {
                "use more documents, more queries a passage, or lower fractions in [split]"
            }
            _ => return None,
        })
    }

    /// The way out of an error about documents and what is judged in them.
    fn corpus_hint(&self) -> Option<&'static str> {
        Some(match self {
            Error::MissingCorpus { .. } => "check the path; name a folder or a BEIR corpus.jsonl",
            Error::CorpusKind { .. } => {
                "put the documents (.md, .markdown, .mdx, .txt, .html, .htm) into a folder and name \
                 the folder"
            }
            Error::CorpusIsOutput { .. } => {
                "choose another --out folder, or keep the source elsewhere"
            }
            Error::EmptyCorpus { path, .. } if path.is_file() => {
                "every line needs a `text` with words in it"
            }
            Error::EmptyCorpus { .. } => {
                "documents are files named .md, .markdown, .mdx, .txt, .html or .htm with text in UTF-8"
            }
            Error::BadPassageId { .. } => {
                "an id is not empty and holds no white space, or qrels and runs could not carry it"
            }
            Error::JudgedDocumentMissing { .. } => {
                "a document is named by its path below the corpus folder, with `/`; one that only \
                 repeats others is left out (`drop-repeats` in [chunk])"
            }
            Error::QuoteNotFound { .. } => {
                "a quote is copied from the document letter by letter; only white space may differ"
            }
            Error::BadJudgement { .. } => {
                "a line is {\"_id\", \"text\", \"answers\": [{\"document\", \"quote\", \"grade\"}]}"
            }
            _ => return None,
        })
    }

    pub(crate) fn io(
        action: &'static str,
        path: &std::path::Path,
    ) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_path_buf();
        move |source| Error::Io { action, path, source }
    }
}

fn of_collection(collection: &Option<String>) -> String {
    collection.as_ref().map_or_else(String::new, |name| format!(" of `{name}`"))
}

fn reasons_hint(reasons: &[(String, u64)]) -> String {
    if reasons.is_empty() {
        return "the passages are very short; give the corpus more text".into();
    }
    let counts: Vec<String> =
        reasons.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
    let poor = reasons.iter().any(|(reason, _)| reason == "passages-too-poor");
    let built_in = if poor { " (the built-in one is made for English sentences)" } else { "" };
    format!(
        "dropped: {}; try another model or generator{built_in}, or loosen the limits in [filter]",
        counts.join(", ")
    )
}
