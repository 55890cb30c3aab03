//! The built-in generator: queries from the passage's own words, with no model and no network.
//!
//! It looks for definitions, values, conditions, reasons, headings, table cells and key terms, and
//! turns them into questions and keyword queries by closed lists of English words. It makes no
//! paraphrases and no questions that need two sentences; an LLM makes better queries. The result is
//! enough to try the whole job offline, and to tune a model to the vocabulary of a corpus.

mod clause;
mod context;
mod corpus;
mod lists;
mod parts;
mod questions;
mod reading;
mod unspaced;
mod values;
mod verbs;
mod words;

use super::filter::Filter;
use super::generator::{Answer, Generator, Proposal};
use crate::config::{AskConfig, FilterConfig};
use crate::error::Result;
use crate::titles::SharedTitles;
use context::{Context, in_context, shared_titles};
use corpus::CorpusTerms;
use rayon::prelude::*;
use std::collections::HashSet;
use unspaced::UnspacedTerms;
use whetstone_records::{Passage, Progress, sha256_bytes};
use words::{Word, join, terms_of, words};

pub(super) use unspaced::is_unspaced;
pub(super) use words::{is_general, stem};

/// Makes queries from the words of a passage, weighted by the corpus.
pub struct BuiltIn<'a> {
    terms: CorpusTerms,
    unspaced: UnspacedTerms,
    shared_titles: SharedTitles,
    config: &'a AskConfig,
    filter: &'a FilterConfig,
    seed: u64,
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
    pub fn new(
        corpus: &[Passage],
        config: &'a AskConfig,
        filter: &'a FilterConfig,
        seed: u64,
    ) -> Self {
        Self {
            terms: CorpusTerms::of(corpus),
            unspaced: UnspacedTerms::of(corpus),
            shared_titles: shared_titles(corpus),
            config,
            filter,
            seed,
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
        let reading = reading::read(&passage.text);
        let context = Context::of(&passage.title, &self.shared_titles, &self.terms);
        let mut candidates = Vec::new();
        for (source, sentence) in reading.sentences.iter().enumerate() {
            let salience = self.salience(&words(sentence));
            for (style, question) in questions::questions(sentence, &self.terms) {
                let merit = salience + self.merit(style, &question);
                let text = asked(&in_context(&question, &context, self.coin(&question)));
                candidates.push(Candidate { style, text, source, merit });
            }
            candidates.extend(self.keywords(sentence, &context, source, salience));
        }
        let mut source = reading.sentences.len();
        for candidate in self.parts(&reading, &context) {
            source += 1;
            candidates.push(Candidate { source, ..candidate });
        }
        candidates.extend(self.heading(&reading, &context, source + 1));
        candidates
    }

    /// Mean weight of the words with a topic. Identifiers and numbers weigh more.
    fn salience(&self, sentence: &[Word]) -> f32 {
        let topics: Vec<f32> = sentence
            .iter()
            .map(|word| self.terms.weight(word))
            .filter(|weight| *weight > 0.0)
            .collect();
        if topics.len() < 2 {
            return 0.0;
        }
        let named =
            sentence.iter().filter(|word| word.is_identifier() || word.is_number()).count().min(2)
                as f32;
        let anaphors = sentence.iter().filter(|word| word.is_anaphor()).count().min(2) as f32;
        topics.iter().sum::<f32>() / topics.len() as f32 + 0.5 * named - 0.5 * anaphors
    }

    /// How good a question is by its own words and its pattern.
    fn merit(&self, style: &str, question: &str) -> f32 {
        let asked = words(question);
        let topics = asked.iter().filter(|word| !word.is_stop_word()).count();
        let length = match asked.len() {
            5..=13 => 1.0,
            4 | 14..=16 => 0.0,
            _ => -2.0,
        };
        let open = asked.iter().filter(|word| word.is_anaphor()).count() as f32;
        let pattern = match style {
            "value" => 2.0,
            "definition" | "condition" | "why" => 1.5,
            "question" => 0.8,
            _ => 0.0,
        };
        length + pattern + topics.min(5) as f32 * 0.4 - 2.0 * open
    }

    /// The heaviest terms of a sentence, with the words that name the document.
    fn keywords(
        &self,
        sentence: &str,
        context: &Context,
        source: usize,
        salience: f32,
    ) -> Option<Candidate> {
        let all = words(sentence);
        let chosen = self.best_terms(&terms_of(&all), 4);
        if chosen.len() < 2 {
            return None;
        }
        let text = self.with_names(chosen, context, sentence);
        if text.split(' ').count() < 3 {
            return None;
        }
        Some(Candidate { style: "keywords", text, source, merit: salience })
    }

    /// The heaviest runs of words, up to `limit` words together, in the order of the text.
    fn best_terms(&self, runs: &[&[Word]], limit: usize) -> Vec<Word> {
        let weight = |run: &[Word]| run.iter().map(|word| self.terms.weight(word)).sum::<f32>();
        let mut order: Vec<usize> = (0..runs.len()).collect();
        order.sort_by(|a, b| weight(runs[*b]).total_cmp(&weight(runs[*a])).then(a.cmp(b)));
        let mut taken = Vec::new();
        let mut count = 0;
        for place in order {
            if count + runs[place].len() <= limit {
                count += runs[place].len();
                taken.push(place);
            }
        }
        taken.sort_unstable();
        let mut seen = HashSet::new();
        let words = taken
            .into_iter()
            .flat_map(|place| runs[place])
            .filter(|word| seen.insert(stem(&word.lower)));
        words.map(|word| Word { stop: None, ..word.clone() }).collect()
    }

    /// A keyword query with the document's names. Half of the queries put them first, as people do,
    /// half last.
    fn with_names(&self, terms: Vec<Word>, context: &Context, salt: &str) -> String {
        let names = match context.is_sentence {
            true => Vec::new(),
            false => context.keywords(&terms, self.coin(&format!("full {salt}"))),
        };
        let text = match self.coin(salt) {
            true => [names, terms].concat(),
            false => [terms, names].concat(),
        };
        join(&text)
    }

    /// The best of every style, spread over the passage, up to the wanted number.
    fn choose(&self, mut candidates: Vec<Candidate>, passage: &Passage) -> Vec<Proposal> {
        candidates.sort_by(|a, b| b.merit.total_cmp(&a.merit).then_with(|| a.text.cmp(&b.text)));
        let mut filter = Filter::new(passage, self.filter, self.config.max_queries);
        let mut chosen: Vec<(HashSet<String>, usize, Proposal)> = Vec::new();
        // First one of each style, each from another sentence. Then whatever is left.
        for strict in [true, false] {
            for candidate in &candidates {
                if chosen.len() >= self.wanted(passage) {
                    break;
                }
                let topics = topics(&candidate.text);
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

    /// A number between the fewest and the most queries, higher for longer passages.
    fn wanted(&self, passage: &Passage) -> usize {
        let by_length = passage.text.split_whitespace().count() / 20 + 1;
        by_length.clamp(self.config.min_queries, self.config.max_queries)
    }

    fn coin(&self, text: &str) -> bool {
        sha256_bytes(format!("{} {text}", self.seed).as_bytes()).as_bytes()[0].is_multiple_of(2)
    }
}

fn topics(text: &str) -> HashSet<String> {
    words(text)
        .into_iter()
        .filter(|word| !word.is_stop_word())
        .map(|word| stem(&word.lower))
        .collect()
}

/// A question as it is written: capital first, question mark last.
fn asked(question: &str) -> String {
    let mut chars = question.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}?", chars.as_str())
}

impl Generator for BuiltIn<'_> {
    fn name(&self) -> &str {
        "built-in"
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
