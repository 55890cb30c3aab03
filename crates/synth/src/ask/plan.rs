//! Plans what to ask about, before anything is sent.

use super::Counts;
use super::judgements::{self, Judgements};
use super::junk::{Reason, Skipped, junk};
use super::lexicon::Lexicon;
use super::recorded::Recorded;
use crate::config::{GeneratorName, RoundTrip, SynthConfig};
use crate::error::Result;
use crate::language;
use crate::mine::model_inputs;
use crate::split::{Split, split_documents};
use crate::twins::Twins;
use rand::seq::SliceRandom;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use whetstone_model::{Placement, Precision};
use whetstone_records::{DataSet, DocumentId, Input, Language, Passage, Stage, read_jsonl};
use whetstone_retrieve::Bm25Parameters;

/// How much of a skipped passage to show, in characters.
const SHOWN_CHARS: usize = 120;
/// Counts which mean that another run has something to ask.
const OPEN: [&str; 3] = ["passages-not-answered", "passages-not-asked", "queries-not-graded"];

/// The inputs of `ask`.
#[derive(Clone, Copy)]
pub struct AskJob<'a> {
    /// Folder of the data set, which holds `corpus.jsonl`.
    pub out: &'a Path,
    pub config: &'a SynthConfig,
    /// Folder of the local model. Its tokenizer estimates tokens; its embeddings serve the round
    /// trip.
    pub model: Option<&'a Path>,
    pub placement: Placement,
}

impl AskJob<'_> {
    /// The language that the config or `chunk` states.
    fn language(&self) -> Result<Option<Language>> {
        Ok(language::stated(self.config.language, &DataSet::new(self.out))?)
    }

    /// The stage with the digests of all that the queries depend on. The address and the speed of
    /// the LLM are not part of it.
    pub(super) fn stage(&self) -> Result<Stage> {
        let config = self.config;
        config.check()?;
        let mut inputs = vec![Input::of_file("corpus", &DataSet::new(self.out).corpus())?];
        let files = [
            ("judgements", &config.ask.judgements),
            ("queries", &config.ask.queries),
            ("prompt", &config.ask.prompt),
            ("examples", &config.ask.examples),
            ("judge-prompt", &config.judge.prompt),
        ];
        for (role, path) in files {
            if let Some(path) = path {
                inputs.push(Input::of_file(role, path)?);
            }
        }
        if let (RoundTrip::Dense, Some(model)) = (config.filter.round_trip, self.model) {
            inputs.extend(model_inputs(model)?);
        }
        let uses_llm = config.ask.generator == GeneratorName::Openai || config.filter.judge;
        let llm = uses_llm.then_some((
            &config.llm.name,
            &config.llm.extra_body,
            &config.llm.prices,
            &config.llm.currency,
        ));
        let judge = config.filter.judge.then_some(&config.judge);
        let Bm25Parameters { k1, b } = config.mine.bm25();
        let bm25 = (config.filter.round_trip == RoundTrip::Bm25).then_some((k1, b));
        let settings = (&config.ask, &config.filter, &config.split);
        let settings = (settings, judge, llm, bm25, config.seed, self.language()?);
        let precision = match config.filter.round_trip {
            RoundTrip::Dense => self.placement.precision,
            RoundTrip::Off | RoundTrip::Bm25 => Precision::F32,
        };
        Ok(Stage::new("ask", self.out, &settings, inputs).with_setting(&precision))
    }
}

/// Returns how many passages and queries the LLM still has to be asked about.
pub fn open(counts: &BTreeMap<String, u64>) -> u64 {
    OPEN.iter().filter_map(|name| counts.get(*name)).sum()
}

/// The passages, and which of them to ask about.
pub struct Plan<'a> {
    pub job: &'a AskJob<'a>,
    pub passages: Vec<Passage>,
    /// Of their language.
    pub lexicon: Lexicon,
    pub judgements: Judgements,
    /// The queries of the file that the config names, for `generator = "file"`.
    pub recorded: Option<Recorded>,
    /// Equal texts under several ids.
    pub twins: Twins,
    /// Places of the passages to ask about, in the order of the corpus.
    places: Vec<usize>,
    skipped: Vec<Skipped>,
}

impl<'a> Plan<'a> {
    /// Reads the corpus and the human questions. A wrong quote stops the run before it spends
    /// anything.
    pub fn open(job: &'a AskJob<'a>) -> Result<Self> {
        let passages: Vec<Passage> = read_jsonl(&DataSet::new(job.out).corpus())?;
        let mut judgements = match &job.config.ask.judgements {
            Some(path) => judgements::read(path, &passages)?,
            None => Judgements::default(),
        };
        let recorded = match (job.config.ask.generator, &job.config.ask.queries) {
            (GeneratorName::File, Some(path)) => Some(Recorded::read(path, &passages)?),
            _ => None,
        };
        let twins = Twins::of(&passages);
        twins.share(&mut judgements.qrels, &passages);
        let lexicon = Lexicon::of(language::of_passages(job.language()?, &passages));
        let (places, skipped) = (Vec::new(), Vec::new());
        let mut plan =
            Self { job, passages, lexicon, judgements, recorded, twins, places, skipped };
        plan.choose();
        Ok(plan)
    }

    fn choose(&mut self) {
        let config = self.job.config;
        let test = self.judged_documents();
        let splits = self.splits(&test);
        for (at, passage) in self.passages.iter().enumerate() {
            if self.twins.is_repetition(at) {
                continue;
            }
            let documents = passage.documents();
            let is_test = documents.iter().all(|document| test.contains(document));
            let others = self.twins.others(at).flat_map(|other| self.passages[other].documents());
            let of_text: BTreeSet<Split> =
                documents.into_iter().chain(others).map(|document| splits[&document]).collect();
            let reason = match of_text.len() {
                1 if is_test => continue,
                1 => junk(passage).filter(|_| config.filter.junk_passages),
                _ => Some(Reason::SeveralSplits),
            };
            match reason {
                Some(reason) => {
                    let text = passage.text.split_whitespace().collect::<Vec<_>>().join(" ");
                    let text = text.chars().take(SHOWN_CHARS).collect();
                    self.skipped.push(Skipped { id: passage.id.clone(), reason, text });
                }
                None => self.places.push(at),
            }
        }
        if let Some(recorded) = &self.recorded {
            self.places.retain(|at| recorded.has(&self.passages[*at].id));
        }
        if let Some(most) = config.ask.max_passages {
            self.places.shuffle(&mut crate::random::rng(config.seed, "ask", "passages"));
            self.places.truncate(most);
            self.places.sort_unstable();
        }
    }

    /// The documents that answer human questions.
    fn judged_documents(&self) -> BTreeSet<DocumentId> {
        let by_id: HashMap<&str, &Passage> =
            self.passages.iter().map(|passage| (passage.id.as_str(), passage)).collect();
        let grades = self.judgements.qrels.iter().flat_map(|(_, grades)| grades);
        let positive = grades.filter(|(_, grade)| **grade > 0);
        positive.map(|(passage, _)| by_id[passage.as_str()].document()).collect()
    }

    /// The split that `mine` and `pair` will choose for each document.
    fn splits(&self, judged: &BTreeSet<DocumentId>) -> BTreeMap<DocumentId, Split> {
        let config = self.job.config;
        let documents = self.passages.iter().flat_map(Passage::documents).collect();
        let held = judged.iter().map(|document| (document.clone(), Split::Test)).collect();
        split_documents(&documents, &held, &config.split, config.seed)
    }

    /// The passages to ask about.
    pub fn asked(&self) -> Vec<&Passage> {
        self.places.iter().map(|at| &self.passages[*at]).collect()
    }

    /// A seeded sample of them.
    pub fn sample(&self, count: usize) -> Vec<&Passage> {
        let mut places = self.places.clone();
        places.shuffle(&mut crate::random::rng(self.job.config.seed, "ask", "preview"));
        places.truncate(count);
        places.into_iter().map(|at| &self.passages[at]).collect()
    }

    /// Passages that are not asked about.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    pub fn count(&self, counts: &mut Counts) {
        let mut count = |name: &str, count: usize| counts.insert(name.to_owned(), count as u64);
        count("passages", self.passages.len());
        count("passages-asked", self.places.len());
        count("queries-human", self.judgements.queries.len());
        if self.job.config.ask.judgements.is_some() {
            count("quotes-cut-by-a-passage-border", self.judgements.cut_quotes as usize);
        }
        let repeated = (0..self.passages.len()).filter(|at| self.twins.is_repetition(*at)).count();
        if repeated > 0 {
            count("passages-equal-to-another", repeated);
        }
        for skipped in &self.skipped {
            *counts.entry(format!("skipped-{}", skipped.reason.name())).or_default() += 1;
        }
    }

    /// Says what the built-in generator does in another language than English.
    fn without_grammar(&self) -> Option<String> {
        let language = self.lexicon.language;
        let is_built_in = self.job.config.ask.generator == GeneratorName::BuiltIn;
        (is_built_in && language != Language::English).then(|| {
            format!(
                "the corpus is in {language}: the built-in queries are titles, headings and key phrases, as \
                 it builds questions in English alone; an LLM asks in any language"
            )
        })
    }

    pub fn notes(&self) -> Vec<String> {
        let nothing = "nothing was asked: every document answers a human question, and none is left for training";
        if self.places.is_empty() && self.skipped.is_empty() {
            return vec![nothing.to_owned()];
        }
        let shared = |skipped: &&Skipped| skipped.reason == Reason::SeveralSplits;
        let shared = self.skipped.iter().filter(shared).count();
        let junk = self.skipped.len() - shared;
        let mut notes: Vec<String> = self.without_grammar().into_iter().collect();
        notes.extend(self.recorded.as_ref().and_then(Recorded::note));
        if junk > 0 {
            notes.push(format!(
                "{junk} passages answer nothing and are not asked about; skipped.jsonl lists them"
            ));
        }
        if shared > 0 {
            notes.push(format!(
                "{shared} passages occur in documents of several splits and are not asked about; skipped.jsonl lists them"
            ));
        }
        notes
    }
}
