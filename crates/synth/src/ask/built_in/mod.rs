//! The built-in generator: queries from the passage's own words, with no model and no network.
//!
//! It takes titles and headings as they stand, noun phrases that the text itself joins, table cells,
//! named items, and the few patterns of sentences whose grammar surely holds in a question. Of a
//! function it takes the comment and the name. It makes no paraphrases and no questions that need
//! two sentences; an LLM makes better queries. The result is enough to try the whole job offline,
//! and to tune a model to the vocabulary of a corpus. It knows the grammar of English alone; in
//! other languages there are titles, headings, cells, items and key phrases.

mod abbreviations;
mod clause;
mod code;
mod context;
mod corpus;
mod foreign;
mod lists;
mod parts;
mod phrases;
mod questions;
mod reading;
mod topic;
mod unspaced;
mod values;
mod verbs;
mod words;

use super::filter::Filter;
use super::generator::{Answer, Generator, Proposal};
use super::lexicon::Lexicon;
use crate::config::SynthConfig;
use crate::error::Result;
use crate::titles::SharedTitles;
use abbreviations::Abbreviations;
use context::{Context, in_context, shared_titles};
use corpus::CorpusTerms;
use foreign::ForeignTerms;
use phrases::{chains, phrases, typed};
use questions::Parsed;
use rayon::prelude::*;
use std::collections::{HashMap, HashSet};
use topic::Topic;
use unspaced::UnspacedTerms;
use whetstone_records::{BUILT_IN, Language, Passage, Progress, sha256_bytes};
use words::{Word, words};

pub(crate) use unspaced::is_unspaced;
pub(super) use words::{is_general, stem};

/// Words of a passage for each of its queries.
const WORDS_A_QUERY: usize = 40;

/// Queries of each passage of a small corpus, where few passages must teach a model.
const MIN_OF_SMALL: usize = 3;

/// Makes queries from the words of a passage, weighted by the corpus.
pub struct BuiltIn<'a> {
    terms: CorpusTerms,
    unspaced: UnspacedTerms,
    /// For a corpus in another language than English.
    foreign: Option<ForeignTerms>,
    abbreviations: Abbreviations,
    shared_titles: SharedTitles,
    /// How many passages have a title.
    titles: HashMap<String, usize>,
    config: &'a SynthConfig,
    lexicon: &'a Lexicon,
}

/// A possible query, and how good it seems.
#[derive(Debug)]
struct Candidate {
    style: &'static str,
    text: String,
    /// The sentence or part that it comes from. The generator avoids two queries from one.
    source: usize,
    merit: f32,
}

impl<'a> BuiltIn<'a> {
    /// Learns from the whole corpus which words carry weight.
    pub fn new(corpus: &[Passage], config: &'a SynthConfig, lexicon: &'a Lexicon) -> Self {
        let is_foreign = lexicon.language != Language::English;
        Self {
            terms: CorpusTerms::of(corpus),
            unspaced: UnspacedTerms::of(corpus),
            foreign: is_foreign.then(|| ForeignTerms::of(corpus, lexicon)),
            abbreviations: Abbreviations::of(corpus),
            shared_titles: shared_titles(corpus),
            titles: corpus.iter().fold(HashMap::new(), |mut titles, passage| {
                *titles.entry(passage.title.clone()).or_default() += 1;
                titles
            }),
            config,
            lexicon,
        }
    }

    fn answer(&self, passage: &Passage) -> Answer {
        let candidates = self.candidates(passage);
        let proposals = self.choose(candidates, passage);
        let flaws = proposals.is_empty().then_some("passages-too-poor").into_iter().collect();
        Answer { proposals, flaws, ..Answer::default() }
    }

    fn candidates(&self, passage: &Passage) -> Vec<Candidate> {
        if is_unspaced(&passage.text) {
            let title = passage.title.split(" > ").next().unwrap_or_default();
            return self.unspaced.candidates(passage, self.shared_titles.cut(title));
        }
        let mut candidates = match (code::function(&passage.text), &self.foreign) {
            (Some(function), _) => self.of_function(&function),
            (None, Some(foreign)) => {
                let titles = (&self.shared_titles, self.shares_title(passage));
                foreign.candidates(passage, titles, self.lexicon, |text| self.coin(text))
            }
            (None, None) => self.of_prose(passage),
        };
        let swapped = candidates.iter().filter_map(|candidate| {
            let text = self.abbreviations.swapped(&candidate.text, &passage.text)?;
            let merit = candidate.merit + 0.3;
            Some(Candidate { style: "abbreviation", text, source: candidate.source, merit })
        });
        let swapped: Vec<Candidate> = swapped.collect();
        candidates.extend(swapped);
        candidates
    }

    fn of_function(&self, function: &code::Function) -> Vec<Candidate> {
        let queries = code::queries(function, &self.terms).into_iter().enumerate();
        let candidate = |(source, (style, text)): (usize, (&'static str, String))| Candidate {
            style,
            text,
            source,
            merit: 4.0 - source as f32,
        };
        queries.map(candidate).collect()
    }

    fn of_prose(&self, passage: &Passage) -> Vec<Candidate> {
        let reading = reading::read(&passage.text, Language::English);
        let context = Context::of(&passage.title, &self.shared_titles, &self.terms);
        let sentences: Vec<Vec<Word>> = reading.sentences.iter().map(|text| words(text)).collect();
        let phrases: Vec<_> =
            sentences.iter().map(|sentence| phrases(sentence, &self.terms)).collect();
        let topic = Topic::of(&sentences, &phrases, &self.terms);
        let mut candidates = Vec::new();
        for (source, (words, phrases)) in sentences.iter().zip(&phrases).enumerate() {
            let chains = chains(words, phrases);
            let parsed = Parsed { words, phrases, chains: &chains };
            for (style, question) in questions::questions(&parsed, &self.terms) {
                let merit = merit(style, &question);
                let text = asked(&in_context(&question, &context, self.coin(&question)));
                candidates.push(Candidate { style, text, source, merit });
            }
            candidates.extend(self.key_phrases(&parsed, &context, topic.as_ref(), source));
        }
        let source = sentences.len();
        let parts = self.parts(&reading, &context).into_iter().enumerate();
        candidates.extend(
            parts.map(|(at, candidate)| Candidate { source: source + 1 + at, ..candidate }),
        );
        let topic = match self.terms.is_small() {
            true => topic.or_else(|| Topic::once(&sentences, &phrases, &self.terms)),
            false => topic,
        };
        candidates.extend(self.heading(passage, &context, topic.as_ref(), source));
        if self.terms.is_small() {
            let words = sentences.iter().enumerate();
            candidates
                .extend(words.filter_map(|(at, words)| self.heavy_words(words, &context, at)));
        }
        candidates
    }

    /// The noun phrases of a sentence: several that prepositions join, or one beside what the
    /// passage is about.
    fn key_phrases(
        &self,
        sentence: &Parsed,
        context: &Context,
        topic: Option<&Topic>,
        source: usize,
    ) -> Vec<Candidate> {
        let weight = |words: &[Word]| {
            let topics: Vec<f32> =
                words.iter().map(|word| self.terms.weight(word)).filter(|w| *w > 0.0).collect();
            topics.iter().sum::<f32>() / topics.len().max(1) as f32
        };
        let mut candidates = Vec::new();
        for chain in sentence.chains {
            let words = &sentence.words[chain.clone()];
            let topics = words.iter().filter(|word| !word.is_stop_word()).count();
            if topics >= 3 {
                let text = self.with_names(&typed(words, &self.terms), context);
                let merit = 2.0 + 0.3 * weight(words);
                candidates.push(Candidate { style: "phrase", text, source, merit });
            }
        }
        for phrase in sentence.phrases.iter().filter(|phrase| phrase.len() > 1) {
            let words = &sentence.words[phrase.clone()];
            let said = typed(words, &self.terms);
            let beside = topic.filter(|topic| {
                // Beside a phrase of a sentence without it, it would be a guess.
                let elsewhere = topic.is_in(sentence.words) && !topic.is_in(words);
                context.is_silent() && phrase.len() == 2 && elsewhere
            });
            let text = match beside {
                Some(topic) if self.coin(&said) => format!("{} {said}", topic.text),
                Some(topic) => format!("{said} {}", topic.text),
                None => self.with_names(&said, context),
            };
            let shape = 0.4 * phrase.len() as f32 - if beside.is_some() { 0.5 } else { 0.0 };
            let merit = 1.0 + 0.3 * weight(words) + shape;
            candidates.push(Candidate { style: "keywords", text, source, merit });
        }
        candidates
    }

    /// A keyword query with the document's names. Half of the queries put them first, as people do,
    /// half last.
    fn with_names(&self, said: &str, context: &Context) -> String {
        let names = context.names_beside(&words(said), self.coin(&format!("full {said}")));
        match names {
            names if names.is_empty() => said.to_owned(),
            names if self.coin(said) => format!("{names} {said}"),
            names => format!("{said} {names}"),
        }
    }

    /// The best of every style, spread over the passage, up to the wanted number.
    fn choose(&self, mut candidates: Vec<Candidate>, passage: &Passage) -> Vec<Proposal> {
        candidates.sort_by(|a, b| b.merit.total_cmp(&a.merit).then_with(|| a.text.cmp(&b.text)));
        let SynthConfig { ask, filter, .. } = self.config;
        let mut filter = Filter::new(passage, filter, ask.max_queries, self.lexicon);
        let mut chosen: Vec<(HashSet<String>, usize, Proposal)> = Vec::new();
        // First one of each style, each from another sentence. Then whatever is left.
        for strict in [true, false] {
            for candidate in &candidates {
                if chosen.len() >= self.wanted(passage) {
                    break;
                }
                let topics = self.topics(&candidate.text);
                let alike = chosen.iter().any(|(others, source, other)| {
                    let shared = topics.intersection(others).count();
                    let union = topics.len() + others.len() - shared;
                    shared * 10 > union * 6
                        || (strict
                            && (other.style == candidate.style || *source == candidate.source))
                });
                let torn =
                    candidate.text.matches('(').count() != candidate.text.matches(')').count();
                if alike || torn || candidate.merit < 0.5 {
                    continue;
                }
                if let Ok(admitted) = filter.admit(&candidate.text) {
                    let proposal =
                        Proposal { text: admitted.text, style: candidate.style.to_owned() };
                    chosen.push((topics, candidate.source, proposal));
                }
            }
        }
        chosen.into_iter().map(|(_, _, proposal)| proposal).collect()
    }

    /// A number up to the most queries, higher for longer passages and in a small corpus.
    fn wanted(&self, passage: &Passage) -> usize {
        let least = if self.terms.is_small() { MIN_OF_SMALL } else { 1 };
        let by_length = passage.text.split_whitespace().count() / WORDS_A_QUERY + 1;
        by_length.max(least).min(self.config.ask.max_queries)
    }

    /// Whether other passages have the same title.
    fn shares_title(&self, passage: &Passage) -> bool {
        self.titles.get(&passage.title).is_some_and(|count| *count > 1)
    }

    /// The stems of a query's words with a topic.
    fn topics(&self, text: &str) -> HashSet<String> {
        let is_small = |word: &Word| match self.foreign {
            Some(_) => self.lexicon.is_general(&word.lower),
            None => word.is_stop_word(),
        };
        let words = words(text).into_iter().filter(|word| !is_small(word));
        words.map(|word| self.lexicon.stem(&word.lower)).collect()
    }

    fn coin(&self, text: &str) -> bool {
        sha256_bytes(format!("{} {text}", self.config.seed).as_bytes()).as_bytes()[0]
            .is_multiple_of(2)
    }
}

/// How good a question is, by its pattern and its length.
fn merit(style: &str, question: &str) -> f32 {
    let asked = words(question);
    let topics = asked.iter().filter(|word| !word.is_stop_word()).count();
    let length = if asked.len() > 13 { -1.0 } else { 0.0 };
    let pattern = match style {
        "definition" => 4.0,
        "value" => 3.5,
        "question" => 3.0,
        _ => 2.8,
    };
    pattern + length + topics.min(5) as f32 * 0.2
}

/// A question as it is written: capital first, question mark last.
fn asked(question: &str) -> String {
    let mut chars = question.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}?", chars.as_str())
}

impl Generator for BuiltIn<'_> {
    fn name(&self) -> &str {
        BUILT_IN
    }

    fn generate(&self, passages: &[&Passage], progress: &dyn Progress) -> Result<Vec<Answer>> {
        progress.start("ask", Some(passages.len() as u64), "passages");
        let answers = passages
            .par_iter()
            .map(|passage| {
                let answer = self.answer(passage);
                progress.advance(1);
                answer
            })
            .collect();
        progress.finish();
        Ok(answers)
    }
}

#[cfg(test)]
mod tests;
