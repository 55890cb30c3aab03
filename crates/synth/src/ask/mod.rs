//! Queries for passages: from the passage's own words or from an LLM, and from humans who judged.

mod built_in;
mod filter;
mod generator;
mod journal;
mod judgements;
mod openai;
mod parse;
mod prompt;
mod transport;

use crate::config::{AskConfig, GeneratorName};
use crate::error::{Error, Result};
use built_in::BuiltIn;
use filter::{Drops, Filter};
use generator::{Answer, Generator};
use judgements::Judgements;
use openai::OpenAi;
use rand::seq::SliceRandom;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use whetstone_records::{
    DocumentId, Manifest, Passage, Progress, Qrels, Query, QueryId, QueryMetadata, Stage, read_jsonl, sha256_file,
    write_jsonl,
};

/// The file in OUT that holds every answer of an LLM, also of runs that were stopped.
const JOURNAL: &str = "ask.journal.jsonl";
/// How many passages without a query are named.
const NAMED: usize = 5;

/// Makes queries for the passages of `OUT/corpus.jsonl` and adds the human ones of `judgements`; writes
/// `OUT/queries.jsonl` and `OUT/qrels/all.tsv`.
///
/// Passages of documents that answer a human question are not asked about: they are the test, where only human
/// questions count.
pub fn ask(out: &Path, config: &AskConfig, seed: u64, progress: &dyn Progress) -> Result<Manifest> {
    config.check()?;
    let corpus = out.join("corpus.jsonl");
    let mut inputs = vec![("corpus".to_owned(), sha256_file(&corpus)?)];
    if let Some(path) = &config.judgements {
        inputs.push(("judgements".to_owned(), sha256_file(path)?));
    }
    let stage = Stage::new("ask", out, &(config, seed), inputs);
    if let Some(manifest) = stage.up_to_date() {
        return Ok(manifest);
    }
    let passages: Vec<Passage> = read_jsonl(&corpus)?;
    // Before anything is spent: a wrong quote stops the run.
    let judgements = match &config.judgements {
        Some(path) => judgements::read(path, &passages)?,
        None => Judgements::default(),
    };
    let asked = sample(&passages, &judgements, config, seed);
    let generator: Box<dyn Generator + '_> = match config.generator {
        GeneratorName::BuiltIn => Box::new(BuiltIn::new(&passages, config, seed)),
        GeneratorName::Openai => Box::new(OpenAi::open(config, &out.join(JOURNAL))?),
    };
    let answers = generator.generate(&asked, progress)?;
    let mut harvest = Harvest::of(&asked, answers, generator.name(), config);
    harvest.drop_ambiguous();
    if harvest.queries.is_empty() && !asked.is_empty() {
        return Err(Error::NoQueries { passages: asked.len(), reasons: harvest.reasons() });
    }
    write(out, &harvest.queries, &judgements)?;
    let mut counts = harvest.counts();
    let account = generator.account();
    let mut count = |name: &str, count: usize| counts.insert(name.to_owned(), count as u64);
    count("passages", passages.len());
    count("passages-asked", asked.len());
    count("queries-human", judgements.queries.len());
    if config.judgements.is_some() {
        count("quotes-cut-by-a-passage-border", judgements.cut_quotes as usize);
    }
    counts.extend(account.counts.into_iter().map(|(name, count)| (name.to_owned(), count)));
    let mut notes: Vec<String> = harvest.notes().into_iter().chain(account.notes).collect();
    if asked.is_empty() {
        notes.push("nothing was asked: every document answers a human question, and none is left for training".into());
    }
    Ok(stage.finish(&["queries.jsonl", "qrels/all.tsv"], counts, notes)?)
}

/// The passages to ask about, in the order of the corpus.
fn sample<'a>(passages: &'a [Passage], judgements: &Judgements, config: &AskConfig, seed: u64) -> Vec<&'a Passage> {
    let by_id: HashMap<&str, &Passage> = passages.iter().map(|passage| (passage.id.as_str(), passage)).collect();
    let positive = judgements.qrels.iter().flat_map(|(_, grades)| grades).filter(|(_, grade)| **grade > 0);
    let test: BTreeSet<DocumentId> = positive.map(|(passage, _)| by_id[passage.as_str()].document()).collect();
    let mut places: Vec<usize> = (0..passages.len()).filter(|at| !test.contains(&passages[*at].document())).collect();
    if let Some(most) = config.max_passages {
        places.shuffle(&mut crate::random::rng(seed, "ask", "passages"));
        places.truncate(most);
        places.sort_unstable();
    }
    places.into_iter().map(|at| &passages[at]).collect()
}

fn write(out: &Path, generated: &[(Query, &Passage)], judgements: &Judgements) -> Result<()> {
    let mut qrels: Qrels = judgements.qrels.clone();
    for (query, passage) in generated {
        qrels.insert(query.id.clone(), passage.id.clone(), 1);
    }
    write_jsonl(&out.join("queries.jsonl"), generated.iter().map(|(query, _)| query).chain(&judgements.queries))?;
    Ok(qrels.write_beir(&out.join("qrels/all.tsv"))?)
}

/// The usable queries of a generator, and what became of the others.
struct Harvest<'a> {
    queries: Vec<(Query, &'a Passage)>,
    drops: Drops,
    faults: BTreeMap<&'static str, u64>,
    without: Vec<&'a Passage>,
    ambiguous: u64,
}

impl<'a> Harvest<'a> {
    fn of(asked: &[&'a Passage], answers: Vec<Answer>, generator: &str, config: &AskConfig) -> Self {
        let (queries, without) = (Vec::new(), Vec::new());
        let mut harvest = Self { queries, drops: Drops::new(), faults: BTreeMap::new(), without, ambiguous: 0 };
        for (passage, answer) in asked.iter().zip(answers) {
            if let Some(fault) = answer.fault {
                *harvest.faults.entry(fault).or_default() += 1;
            }
            let mut filter = Filter::new(passage, config);
            let mut kept = 0;
            for proposal in answer.proposals {
                match filter.admit(&proposal.text) {
                    Ok(text) => {
                        kept += 1;
                        let metadata = QueryMetadata {
                            passage: Some(passage.id.clone()),
                            generator: Some(generator.to_owned()),
                            style: Some(proposal.style),
                        };
                        let id = QueryId::new(format!("{}-q{kept}", passage.id));
                        harvest.queries.push((Query { id, text, metadata }, passage));
                    }
                    Err(reason) => *harvest.drops.entry(reason).or_default() += 1,
                }
            }
            if kept == 0 {
                harvest.without.push(passage);
            }
        }
        harvest
    }

    /// Drops queries that were made for passages of several places: none of these would be the only answer. Passages
    /// that overlap may share one.
    fn drop_ambiguous(&mut self) {
        let mut places: HashMap<String, Vec<&Passage>> = HashMap::new();
        for (query, passage) in &self.queries {
            places.entry(query.text.to_lowercase()).or_default().push(passage);
        }
        let before = self.queries.len();
        self.queries.retain(|(query, passage)| {
            places[&query.text.to_lowercase()].iter().all(|other| other.id == passage.id || other.overlaps(passage))
        });
        self.ambiguous = (before - self.queries.len()) as u64;
    }

    fn reasons(&self) -> Vec<(String, u64)> {
        let drops = self.drops.iter().map(|(reason, count)| (reason.count_name().to_owned(), *count));
        let faults = self.faults.iter().map(|(fault, count)| (fault.to_string(), *count));
        let ambiguous = (self.ambiguous > 0).then(|| ("dropped-ambiguous".to_owned(), self.ambiguous));
        drops.chain(faults).chain(ambiguous).collect()
    }

    fn counts(&self) -> BTreeMap<String, u64> {
        let mut counts: BTreeMap<String, u64> = self.reasons().into_iter().collect();
        counts.insert("queries".into(), self.queries.len() as u64);
        counts.insert("passages-without-query".into(), self.without.len() as u64);
        for (query, _) in &self.queries {
            if let Some(style) = &query.metadata.style {
                *counts.entry(format!("style-{style}")).or_default() += 1;
            }
        }
        counts
    }

    fn notes(&self) -> Vec<String> {
        if let Some(count) = self.faults.get("passages-not-answered") {
            return vec![self.without_note(), format!("{count} passages were not answered; run again with --force")];
        }
        if self.without.is_empty() {
            return Vec::new();
        }
        vec![self.without_note()]
    }

    fn without_note(&self) -> String {
        let named: Vec<String> = self.without.iter().take(NAMED).map(|passage| format!("`{}`", passage.id)).collect();
        let more = if self.without.len() > NAMED { ", …" } else { "" };
        format!("{} passages have no query: {}{more}", self.without.len(), named.join(", "))
    }
}

#[cfg(test)]
mod tests;
