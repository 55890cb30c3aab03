//! The usable queries of a generator, and the fate of the others.

use super::drop::{Drop, Drops};
use super::duplicates::word_set;
use super::filter::Filter;
use super::generator::Answer;
use super::lexicon::Lexicon;
use super::wording::tokens;
use crate::config::SynthConfig;
use std::collections::{BTreeMap, HashMap, HashSet};
use whetstone_eval::{WordSet, pairs_alike};
use whetstone_llm::Open;
use whetstone_records::{Passage, Query, QueryId, QueryMetadata, QueryQuality};

/// How many passages without a query the note names.
const NAMED: usize = 5;

/// A query that is kept so far.
#[derive(Clone, Debug)]
pub struct Kept<'a> {
    pub query: Query,
    pub passage: &'a Passage,
}

impl Kept<'_> {
    pub fn quality(&mut self) -> &mut QueryQuality {
        self.query.metadata.quality.get_or_insert_default()
    }
}

/// A query that was dropped.
#[derive(Clone, Debug, PartialEq)]
pub struct Dropped<'a> {
    pub text: String,
    pub passage: &'a Passage,
    pub reason: Drop,
}

/// Queries by their fate.
#[derive(Default)]
pub struct Harvest<'a> {
    pub asked: usize,
    pub kept: Vec<Kept<'a>>,
    pub dropped: Vec<Dropped<'a>>,
    /// Flaws of answers by name.
    pub flaws: BTreeMap<&'static str, u64>,
    /// Passages that were not answered, with the reason.
    pub not_answered: Vec<(&'a Passage, String)>,
    /// Passages that were not asked about because of a cap.
    pub not_asked: u64,
    pub asked_twice: u64,
    /// Passages that answer nothing, according to the LLM.
    pub answering_nothing: u64,
    /// Queries without a verdict, because the judge was not asked or did not answer.
    pub not_graded: u64,
    pub tokens_in: u64,
    pub tokens_out: u64,
}

impl<'a> Harvest<'a> {
    /// Runs every proposal through the filters that need only its own passage.
    pub fn of(
        asked: &[&'a Passage],
        answers: Vec<Answer>,
        generator: &str,
        (config, lexicon): (&SynthConfig, &Lexicon),
    ) -> Self {
        let mut harvest = Self { asked: asked.len(), ..Self::default() };
        for (passage, answer) in asked.iter().zip(answers) {
            harvest.count(passage, &answer);
            let mut filter = Filter::new(passage, &config.filter, config.ask.max_queries, lexicon);
            let mut kept = 0;
            for proposal in answer.proposals {
                match filter.admit(&proposal.text) {
                    Ok(admitted) => {
                        kept += 1;
                        let overlap_fraction = Some(admitted.overlap_fraction);
                        let metadata = QueryMetadata {
                            passage: Some(passage.id.clone()),
                            generator: Some(generator.to_owned()),
                            style: Some(proposal.style),
                            persona: answer.persona.clone(),
                            quality: Some(QueryQuality {
                                overlap_fraction,
                                ..QueryQuality::default()
                            }),
                            ..QueryMetadata::default()
                        };
                        let id = QueryId::new(format!("{}-q{kept}", passage.id));
                        harvest.kept.push(Kept {
                            query: Query { id, text: admitted.text, metadata },
                            passage,
                        });
                    }
                    Err(reason) => {
                        harvest.dropped.push(Dropped { text: proposal.text, passage, reason })
                    }
                }
            }
        }
        harvest
    }

    fn count(&mut self, passage: &'a Passage, answer: &Answer) {
        for flaw in &answer.flaws {
            *self.flaws.entry(flaw).or_default() += 1;
        }
        let is_llm = answer.tokens_in + answer.tokens_out > 0;
        let twice = answer.flaws.len() > 1 || (answer.flaws.len() == 1 && answer.open.is_none());
        self.answering_nothing += u64::from(answer.says_none);
        self.asked_twice += u64::from(is_llm && twice);
        self.tokens_in += answer.tokens_in;
        self.tokens_out += answer.tokens_out;
        match &answer.open {
            Some(Open::NotAnswered { reason }) => self.not_answered.push((passage, reason.clone())),
            Some(Open::NotAsked) => self.not_asked += 1,
            None => {}
        }
    }

    /// Drops the queries for which `verdict` gives a reason. It gets their place among the kept.
    pub fn drop_where(&mut self, verdict: impl Fn(usize, &Kept) -> Option<Drop>) {
        let kept = std::mem::take(&mut self.kept);
        for (place, one) in kept.into_iter().enumerate() {
            match verdict(place, &one) {
                Some(reason) => {
                    self.dropped.push(Dropped {
                        text: one.query.text,
                        passage: one.passage,
                        reason,
                    });
                }
                None => self.kept.push(one),
            }
        }
    }

    /// Drops queries that were made for passages of several places, because none of these is the
    /// only answer. Overlapping passages may share one.
    pub fn drop_ambiguous(&mut self) {
        let mut places: HashMap<String, Vec<&Passage>> = HashMap::new();
        for Kept { query, passage } in &self.kept {
            places.entry(query.text.to_lowercase()).or_default().push(passage);
        }
        self.drop_where(|_, Kept { query, passage }| {
            let of_others = &places[&query.text.to_lowercase()];
            let alone =
                of_others.iter().all(|other| other.id == passage.id || other.overlaps(passage));
            (!alone).then_some(Drop::Ambiguous)
        });
    }

    /// Drops the later of two queries that say almost the same about passages of different places.
    pub fn drop_near_duplicates(&mut self, fraction: f64, lexicon: &Lexicon) {
        let words: Vec<WordSet> =
            self.kept.iter().map(|kept| word_set(&tokens(&kept.query.text), lexicon)).collect();
        let kept = &self.kept;
        let apart = |a: usize, b: usize| {
            kept[a].passage.id != kept[b].passage.id && !kept[a].passage.overlaps(kept[b].passage)
        };
        let alike = pairs_alike(&words, words.len(), fraction, apart);
        // A query that is dropped itself drops no other.
        let mut out = vec![false; alike.len()];
        for place in 0..alike.len() {
            out[place] = alike[place].iter().any(|earlier| !out[*earlier]);
        }
        self.drop_where(|place, _| out[place].then_some(Drop::NearDuplicate));
    }

    pub fn drops(&self) -> Drops {
        let mut drops = Drops::new();
        for dropped in &self.dropped {
            *drops.entry(dropped.reason).or_default() += 1;
        }
        drops
    }

    pub fn reasons(&self) -> Vec<(String, u64)> {
        let drops =
            self.drops().into_iter().map(|(reason, count)| (reason.count_name().to_owned(), count));
        let flaws = self.flaws.iter().map(|(flaw, count)| (flaw.to_string(), *count));
        let open = [
            ("passages-not-answered", self.not_answered.len() as u64),
            ("passages-not-asked", self.not_asked),
            ("queries-not-graded", self.not_graded),
            ("passages-that-answer-nothing", self.answering_nothing),
        ];
        let open = open
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(name, count)| (name.to_owned(), count));
        drops.chain(flaws).chain(open).collect()
    }

    pub fn counts(&self, without: usize) -> BTreeMap<String, u64> {
        let mut counts: BTreeMap<String, u64> = self.reasons().into_iter().collect();
        counts.insert("queries".into(), self.kept.len() as u64);
        counts.insert("passages-without-query".into(), without as u64);
        if self.asked_twice > 0 {
            counts.insert("passages-asked-twice".into(), self.asked_twice);
        }
        for kept in &self.kept {
            if let Some(style) = &kept.query.metadata.style {
                *counts.entry(format!("style-{style}")).or_default() += 1;
            }
        }
        counts
    }

    /// How many passages have a query, and of how many that were asked about and answered. Those
    /// that answer nothing, as the LLM says, can have none.
    pub fn coverage(&self) -> (usize, usize) {
        let with: HashSet<&str> = self.kept.iter().map(|kept| kept.passage.id.as_str()).collect();
        (
            with.len(),
            self.asked
                - self.not_answered.len()
                - (self.not_asked + self.answering_nothing) as usize,
        )
    }

    /// The passages asked about that have no query left.
    pub fn without(&self, asked: &[&'a Passage]) -> Vec<&'a Passage> {
        let with: HashSet<&str> = self.kept.iter().map(|kept| kept.passage.id.as_str()).collect();
        asked.iter().filter(|passage| !with.contains(passage.id.as_str())).copied().collect()
    }

    /// What the user should know.
    pub fn notes(&self, without: &[&Passage]) -> Vec<String> {
        let mut notes = Vec::new();
        if !without.is_empty() {
            let named: Vec<String> =
                without.iter().take(NAMED).map(|passage| format!("`{}`", passage.id)).collect();
            let more = if without.len() > NAMED { ", …" } else { "" };
            notes.push(format!(
                "{} passages have no query: {}{more}",
                without.len(),
                named.join(", ")
            ));
        }
        if let Some((passage, reason)) = self.not_answered.first() {
            let count = self.not_answered.len();
            notes.push(format!(
                "{count} passages were not answered (`{}`: {reason}); run the same command again to \
                 ask only about them",
                passage.id
            ));
        }
        notes
    }
}
