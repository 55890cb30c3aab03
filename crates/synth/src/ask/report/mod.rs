//! `synth.json` and `synth.html`: what the queries are like, to look at before training.

mod html;

use super::harvest::{Dropped, Harvest, Kept};
use super::plan::Plan;
use crate::config::GeneratorName;
use crate::error::Result;
use rand::seq::IndexedRandom;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use unicode_segmentation::UnicodeSegmentation;
use whetstone_llm::cost;
use whetstone_records::{AtomicFile, DataSet, Language, Passage, QueryMetadata};

/// How many kept queries, and how many dropped ones, to show with their passages.
const EXAMPLES: usize = 20;
/// Bins of the overlap meter.
const BINS: usize = 10;

/// What `synth.json` holds.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SynthReport {
    pub generator: String,
    pub seed: u64,
    pub language: Language,
    pub passages: usize,
    pub passages_asked: usize,
    pub passages_without_query: usize,
    pub passages_not_answered: usize,
    pub passages_not_asked: u64,
    pub passages_asked_twice: u64,
    /// Passages that are not text, by kind.
    pub skipped: BTreeMap<&'static str, u64>,
    pub queries: usize,
    pub queries_human: usize,
    /// Number of passages by their number of queries.
    pub queries_per_passage: BTreeMap<usize, u64>,
    /// Number of queries by their number of words.
    pub query_words: BTreeMap<usize, u64>,
    pub styles: BTreeMap<String, u64>,
    pub drops: BTreeMap<&'static str, u64>,
    /// Flaws of whole answers.
    pub flaws: BTreeMap<&'static str, u64>,
    pub overlap: Overlap,
    /// Number of queries by the rank of their own passage; none if the filter is off.
    pub round_trip: Option<BTreeMap<u32, u64>>,
    /// Queries by grade, 0 to 3; none if the judge is off.
    pub question_grades: Option<[u64; 4]>,
    pub answer_grades: Option<[u64; 4]>,
    /// Over all answers, used or not, whenever they were paid.
    pub tokens_in: u64,
    pub tokens_out: u64,
    /// At the config's prices; none if the LLM has none.
    pub cost: Option<f64>,
    pub currency: String,
    pub examples: Vec<Example>,
    pub dropped_examples: Vec<Example>,
    pub documents: Vec<DocumentCoverage>,
}

/// The overlap meter: the share of a query's words with a topic that also occur in its passage.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Overlap {
    /// Near 1, an evaluation on these queries flatters BM25.
    pub mean: f64,
    /// Queries in ten bins from 0 to 1; 1 itself is in the last.
    pub histogram: [u64; BINS],
}

/// A query with its passage.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Example {
    pub query: String,
    /// Why it was dropped; none if it was kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    pub passage_id: String,
    pub title: String,
    pub passage: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<QueryMetadata>,
}

/// Counts for a document.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct DocumentCoverage {
    pub document: String,
    pub passages: u64,
    pub passages_asked: u64,
    pub passages_with_query: u64,
    pub queries: u64,
}

/// Writes `synth.json` and `synth.html`.
pub fn write(plan: &Plan, harvest: &Harvest, without: &[&Passage]) -> Result<()> {
    let report = report(plan, harvest, without);
    let json = serde_json::to_vec_pretty(&report)
        .expect("a report is plain data, which always serialises");
    let data = DataSet::new(plan.job.out);
    AtomicFile::write_all_to(&data.ask_report(), &json)?;
    Ok(AtomicFile::write_all_to(&data.ask_page(), html::page(&report).as_bytes())?)
}

fn report(plan: &Plan, harvest: &Harvest, without: &[&Passage]) -> SynthReport {
    let config = plan.job.config;
    let is_llm = config.ask.generator == GeneratorName::Openai;
    let kept = &harvest.kept;
    let per_passage = count(kept, |kept| kept.passage.id.as_str());
    let mut queries_per_passage = tally(per_passage.values().map(|count| *count as usize));
    if !without.is_empty() {
        queries_per_passage.insert(0, without.len() as u64);
    }
    let quality = || kept.iter().filter_map(|kept| kept.query.metadata.quality.as_ref());
    let overlaps: Vec<f64> =
        quality().filter_map(|of| of.overlap_fraction).map(f64::from).collect();
    let ranks = tally(quality().filter_map(|of| of.round_trip_rank));
    let cost = cost(&config.llm, &config.llm.name, false, harvest.tokens_in, harvest.tokens_out);
    let graded = |grade: fn(&whetstone_records::QueryQuality) -> Option<u8>| {
        let mut grades = [0; 4];
        quality().filter_map(grade).for_each(|grade| grades[usize::from(grade.min(3))] += 1);
        (grades != [0; 4]).then_some(grades)
    };
    SynthReport {
        generator: if is_llm { config.llm.name.clone() } else { "built-in".into() },
        seed: config.seed,
        language: plan.lexicon.language,
        passages: plan.passages.len(),
        passages_asked: harvest.asked,
        passages_without_query: without.len(),
        passages_not_answered: harvest.not_answered.len(),
        passages_not_asked: harvest.not_asked,
        passages_asked_twice: harvest.asked_twice,
        skipped: tally(plan.skipped().iter().map(|skipped| skipped.reason.name())),
        queries: kept.len(),
        queries_human: plan.judgements.queries.len(),
        queries_per_passage,
        query_words: tally(kept.iter().map(|kept| kept.query.text.unicode_words().count())),
        styles: tally(kept.iter().filter_map(|kept| kept.query.metadata.style.clone())),
        drops: harvest
            .drops()
            .into_iter()
            .map(|(reason, count)| (reason.count_name(), count))
            .collect(),
        flaws: harvest.flaws.clone(),
        overlap: overlap(&overlaps),
        round_trip: (!ranks.is_empty()).then_some(ranks),
        question_grades: graded(|of| of.question_grade),
        answer_grades: graded(|of| of.answer_grade),
        tokens_in: harvest.tokens_in,
        tokens_out: harvest.tokens_out,
        cost: config.llm.prices.contains_key(&config.llm.name).then_some(cost),
        currency: config.llm.currency.clone(),
        examples: drawn(kept, config.seed, "examples").into_iter().map(example).collect(),
        dropped_examples: drawn(&harvest.dropped, config.seed, "dropped")
            .into_iter()
            .map(dropped_example)
            .collect(),
        documents: coverage(plan, kept),
    }
}

fn overlap(overlaps: &[f64]) -> Overlap {
    let mut histogram = [0; BINS];
    for fraction in overlaps {
        histogram[((fraction * BINS as f64) as usize).min(BINS - 1)] += 1;
    }
    Overlap { mean: overlaps.iter().sum::<f64>() / overlaps.len().max(1) as f64, histogram }
}

/// How often each value occurs.
fn tally<T: Ord>(values: impl Iterator<Item = T>) -> BTreeMap<T, u64> {
    let mut counts = BTreeMap::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    counts
}

fn count<'k>(kept: &'k [Kept], name: impl Fn(&'k Kept) -> &'k str) -> HashMap<&'k str, u64> {
    let mut counts = HashMap::new();
    for kept in kept {
        *counts.entry(name(kept)).or_default() += 1;
    }
    counts
}

/// A seeded sample in the order of the draw.
fn drawn<'t, T>(all: &'t [T], seed: u64, what: &str) -> Vec<&'t T> {
    let mut rng = crate::random::rng(seed, "report", what);
    all.choose_multiple(&mut rng, EXAMPLES).collect()
}

fn example(kept: &Kept) -> Example {
    let (query, passage) = (kept.query.text.clone(), kept.passage);
    Example {
        query,
        reason: None,
        metadata: Some(kept.query.metadata.clone()),
        ..of_passage(passage)
    }
}

fn dropped_example(dropped: &Dropped) -> Example {
    Example {
        query: dropped.text.clone(),
        reason: Some(dropped.reason.count_name()),
        ..of_passage(dropped.passage)
    }
}

fn of_passage(passage: &Passage) -> Example {
    Example {
        query: String::new(),
        reason: None,
        passage_id: passage.id.as_str().into(),
        title: passage.title.clone(),
        passage: passage.text.clone(),
        metadata: None,
    }
}

/// Documents in the order of the corpus.
fn coverage(plan: &Plan, kept: &[Kept]) -> Vec<DocumentCoverage> {
    let mut documents: Vec<DocumentCoverage> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    let asked: std::collections::HashSet<&str> =
        plan.asked().iter().map(|passage| passage.id.as_str()).collect();
    let per_passage = count(kept, |kept| kept.passage.id.as_str());
    for passage in &plan.passages {
        let document = passage.document().as_str().to_owned();
        let place = *places.entry(document.clone()).or_insert_with(|| {
            let none = DocumentCoverage {
                document,
                passages: 0,
                passages_asked: 0,
                passages_with_query: 0,
                queries: 0,
            };
            documents.push(none);
            documents.len() - 1
        });
        let queries = per_passage.get(passage.id.as_str()).copied().unwrap_or(0);
        let of = &mut documents[place];
        of.passages += 1;
        of.passages_asked += u64::from(asked.contains(passage.id.as_str()));
        of.passages_with_query += u64::from(queries > 0);
        of.queries += queries;
    }
    documents
}
