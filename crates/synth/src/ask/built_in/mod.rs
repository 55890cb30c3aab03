//! The built-in generator: queries from the passage's own words, with no model and no network.
//!
//! It looks for definitions, values, conditions, reasons, headings, table cells and key terms, and turns them into
//! questions and keyword queries by closed lists of English words. It finds no paraphrase and asks nothing that needs two
//! sentences; an LLM gives better queries. What it makes is enough to try the whole job offline, and to tune a model to the
//! vocabulary of a corpus.

mod clause;
mod context;
mod corpus;
mod questions;
mod reading;
mod values;
mod verbs;
mod words;

use super::filter::Filter;
use super::generator::{Account, Answer, Generator, Proposal};
use crate::config::AskConfig;
use crate::error::Result;
use context::{Context, best_in_order, in_context};
use corpus::CorpusTerms;
use rayon::prelude::*;
use reading::Reading;
use std::collections::HashSet;
use whetstone_records::{Passage, Progress, sha256_bytes};
use words::{Word, join, stem, words};

/// Makes queries from the words of a passage, weighed by the corpus that it is part of.
pub struct BuiltIn<'a> {
    terms: CorpusTerms,
    config: &'a AskConfig,
    seed: u64,
}

/// A query that could be asked, and how good it seems.
#[derive(Debug)]
struct Candidate {
    style: &'static str,
    text: String,
    /// Which sentence or part it comes from; two queries from one are avoided.
    source: usize,
    merit: f32,
}

impl<'a> BuiltIn<'a> {
    /// Learns from the whole corpus which words tell much.
    pub fn new(corpus: &[Passage], config: &'a AskConfig, seed: u64) -> Self {
        Self { terms: CorpusTerms::of(corpus), config, seed }
    }

    fn answer(&self, passage: &Passage) -> Answer {
        let candidates = self.candidates(passage);
        let proposals = self.choose(candidates, passage);
        let fault = proposals.is_empty().then_some("passages-too-poor");
        Answer { proposals, fault }
    }

    fn candidates(&self, passage: &Passage) -> Vec<Candidate> {
        let reading = reading::read(&passage.text);
        let context = Context::of(&passage.title, &self.terms);
        let mut candidates = Vec::new();
        for (source, sentence) in reading.sentences.iter().enumerate() {
            let salience = self.salience(&words(sentence));
            for (style, question) in questions::questions(sentence, &self.terms) {
                let merit = salience + self.merit(style, &question);
                let text = asked(&in_context(&question, &context, &self.terms));
                candidates.push(Candidate { style, text, source, merit });
            }
            candidates.extend(self.keywords(sentence, &context, source, salience));
        }
        let mut source = reading.sentences.len();
        for candidate in self.from_parts(&reading, &context) {
            source += 1;
            candidates.push(Candidate { source, ..candidate });
        }
        candidates.extend(self.heading(&reading, &context, source + 1));
        candidates
    }

    /// Mean weight of the words with a topic, and more for identifiers and numbers.
    fn salience(&self, sentence: &[Word]) -> f32 {
        let topics: Vec<f32> =
            sentence.iter().map(|word| self.terms.weight(word)).filter(|weight| *weight > 0.0).collect();
        if topics.len() < 2 {
            return 0.0;
        }
        let named = sentence.iter().filter(|word| word.is_identifier() || word.is_number()).count().min(2) as f32;
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

    /// The heaviest words of a sentence, with the words that name the document.
    fn keywords(&self, sentence: &str, context: &Context, source: usize, salience: f32) -> Option<Candidate> {
        let all = words(sentence);
        let usable = |word: &Word| !word.is_number() || word.is_identifier();
        let usable: Vec<Word> = all.into_iter().filter(usable).collect();
        let chosen = best_in_order(&usable, 4, |word| self.terms.weight(word));
        if chosen.len() < 3 {
            return None;
        }
        let mut query = if context.is_sentence { Vec::new() } else { context.keywords(3, &self.terms) };
        query.retain(|word| chosen.iter().all(|chosen| stem(&chosen.lower) != stem(&word.lower)));
        // Half of the queries name the document first, as people do, half last.
        let text = match self.coin(sentence) {
            true => [join(&query), join(&chosen)].join(" "),
            false => [join(&chosen), join(&query)].join(" "),
        };
        Some(Candidate { style: "keywords", text: text.trim().to_owned(), source, merit: salience })
    }

    /// Questions for table cells and named items.
    fn from_parts(&self, reading: &Reading, context: &Context) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        let mut push = |style, question: String, merit: f32| {
            let text = asked(&in_context(&question, context, &self.terms));
            candidates.push(Candidate { style, text, source: 0, merit });
        };
        for cell in &reading.cells {
            let (column, row) = (words(&cell.column), words(&cell.row));
            let short = (1..=5).contains(&column.len()) && (1..=6).contains(&row.len());
            if short && cell.value.len() > 1 {
                let merit = 4.0 + self.salience(&row);
                let (column, row) = (self.terms.within_sentence(&column), self.terms.within_sentence(&row));
                push("table", format!("what is the {column} for {row}"), merit);
            }
        }
        for (name, rest) in &reading.items {
            let name = words(name);
            let merit = 4.0 + self.salience(&name);
            match name.split_first() {
                Some((code, symptom)) if code.is_identifier() && code.stop.is_some() => {
                    push("definition", format!("what does {} mean", code.text), merit);
                    if symptom.len() >= 2 {
                        push("keywords", format!("{} what to do", self.terms.within_sentence(symptom)), merit);
                    }
                }
                Some(_) if name.len() <= 6 && !rest.is_empty() => {
                    push("definition", format!("what is {}", self.terms.within_sentence(&name)), merit);
                }
                _ => {}
            }
        }
        candidates
    }

    /// A question after the heading, with the passage's most telling word where the heading alone is general.
    fn heading(&self, reading: &Reading, context: &Context, source: usize) -> Option<Candidate> {
        let heading = context.heading()?;
        let text = self.terms.within_sentence(heading);
        let first = heading[0].lower.as_str();
        let all: Vec<Word> = reading.sentences.iter().flat_map(|sentence| words(sentence)).collect();
        let fresh: Vec<Word> = all.into_iter().filter(|word| !heading.iter().any(|h| h.lower == word.lower)).collect();
        let telling = join(&best_in_order(&fresh, 2, |word| match word.is_number() {
            true => 0.0,
            false => self.terms.weight(word) * repeated(&fresh, word),
        }));
        let question = match first {
            "how" | "what" | "when" | "why" | "who" => text,
            _ if heading.len() == 1 || context.is_sentence => format!("{text} {telling}"),
            _ => match text.len() % 3 {
                0 => format!("what applies to {text}"),
                1 => format!("{text} rules {telling}"),
                _ => format!("{text} {telling}"),
            },
        };
        let text = in_context(&question, context, &self.terms);
        let text = if text.starts_with("what") { asked(&text) } else { text };
        Some(Candidate { style: "heading", text, source, merit: 2.5 })
    }

    /// The best of every style, spread over the passage, as many as are wanted.
    fn choose(&self, mut candidates: Vec<Candidate>, passage: &Passage) -> Vec<Proposal> {
        candidates.sort_by(|a, b| b.merit.total_cmp(&a.merit).then_with(|| a.text.cmp(&b.text)));
        let mut filter = Filter::new(passage, self.config);
        let mut chosen: Vec<(HashSet<String>, usize, Proposal)> = Vec::new();
        // First one of each style from sentences of their own, then whatever is left.
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
                        || (strict && (other.style == candidate.style || *source == candidate.source))
                });
                if alike || candidate.merit < 0.5 {
                    continue;
                }
                if let Ok(text) = filter.admit(&candidate.text) {
                    let proposal = Proposal { text, style: candidate.style.to_owned() };
                    chosen.push((topics, candidate.source, proposal));
                }
            }
        }
        chosen.into_iter().map(|(_, _, proposal)| proposal).collect()
    }

    /// Between the fewest and the most queries, more for longer passages.
    fn wanted(&self, passage: &Passage) -> usize {
        let by_length = passage.text.split_whitespace().count() / 20 + 1;
        by_length.clamp(self.config.min_queries, self.config.max_queries)
    }

    fn coin(&self, text: &str) -> bool {
        sha256_bytes(format!("{} {text}", self.seed).as_bytes()).as_bytes()[0] % 2 == 0
    }
}

/// How often a word occurs, damped.
fn repeated(words: &[Word], word: &Word) -> f32 {
    (words.iter().filter(|other| other.lower == word.lower).count() as f32).sqrt()
}

fn topics(text: &str) -> HashSet<String> {
    words(text).into_iter().filter(|word| !word.is_stop_word()).map(|word| stem(&word.lower)).collect()
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

    fn account(&self) -> Account {
        Account::default()
    }
}
