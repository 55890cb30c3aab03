use super::read::Skip;
use crate::config::ChunkConfig;
use std::collections::BTreeMap;

/// Length of the query that the report on truncation assumes, in tokens.
const QUERY_TOKENS: usize = 24;
/// Special tokens of a pair.
const SPECIAL_TOKENS: usize = 3;
/// How many skipped files are named.
const NAMED: usize = 10;

/// What is counted while documents are cut.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Report {
    documents: u64,
    passages: u64,
    tokens: u64,
    max_tokens: u64,
    truncated: u64,
    skipped: BTreeMap<&'static str, u64>,
    named: Vec<String>,
}

impl Report {
    /// The report of one document whose passages are still to be counted.
    pub fn of_document() -> Self {
        Self { documents: 1, ..Self::default() }
    }

    /// Counts a passage by the tokens of its text and its title.
    pub fn passage(&mut self, tokens: usize, title_tokens: usize, config: &ChunkConfig) {
        self.passages += 1;
        self.tokens += tokens as u64;
        self.max_tokens = self.max_tokens.max(tokens as u64);
        let pair = QUERY_TOKENS + title_tokens + tokens + SPECIAL_TOKENS;
        self.truncated += u64::from(pair > config.max_seq_tokens);
    }

    pub fn skip(&mut self, name: String, skip: Skip) {
        *self.skipped.entry(skip.count_name()).or_default() += 1;
        if self.named.len() < NAMED {
            self.named.push(format!("skipped `{name}`: {}", skip.reason()));
        }
    }

    /// How many files or records were passed over.
    pub fn skipped(&self) -> u64 {
        self.skipped.values().sum()
    }

    pub fn join(&mut self, other: Report) {
        self.documents += other.documents;
        self.passages += other.passages;
        self.tokens += other.tokens;
        self.max_tokens = self.max_tokens.max(other.max_tokens);
        self.truncated += other.truncated;
    }

    /// Returns the manifest's counts and notes.
    pub fn finish(self, config: &ChunkConfig) -> (BTreeMap<String, u64>, Vec<String>) {
        let mean = (self.tokens as f64 / self.passages.max(1) as f64).round() as u64;
        let counts = [
            ("documents", self.documents),
            ("passages", self.passages),
            ("tokens", self.tokens),
            ("tokens-mean", mean),
            ("tokens-max", self.max_tokens),
            ("pairs-truncated", self.truncated),
        ];
        let counts = counts
            .into_iter()
            .chain(self.skipped)
            .map(|(name, count)| (name.to_owned(), count))
            .collect();
        let mut notes = self.named;
        if self.truncated > 0 {
            notes.push(format!(
                "{} of {} passages will be truncated in training: with their title and a query of {QUERY_TOKENS} \
                 tokens they are longer than max-seq-tokens = {}",
                self.truncated, self.passages, config.max_seq_tokens
            ));
        }
        (counts, notes)
    }
}
