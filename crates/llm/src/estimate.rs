//! Estimates a run before it spends anything.

use crate::budget::{Spent, cost};
use crate::error::{Error, Result};
use crate::work::Look;
use crate::{ATTEMPTS, Entry, Llm, Request, Work};
use serde::Serialize;
use std::collections::HashMap;

/// How many answers of the journal to compare the count with.
const CALIBRATION: usize = 200;
/// Fewer answers say too little.
const MIN_CALIBRATION: usize = 20;
/// How far the count may be off if no answer shows it. Over 200 passages each of SciFact, CosQA,
/// Cranfield and XQuAD, SmolLM2's tokenizer counts 0.90 to 1.05 times as many as MiniLM's. The
/// marks around messages come on top. Languages that MiniLM does not know may be further off.
const UNCALIBRATED_ERROR: f64 = 0.25;
/// Tokens per byte without a tokenizer.
const TOKENS_PER_BYTE: f64 = 0.25;

/// How a [`TokenCounter`] counts.
type Count = Box<dyn Fn(&str) -> Result<f64>>;

/// Counts tokens in place of the LLM, whose own tokenizer is not available.
pub struct TokenCounter {
    name: String,
    count: Count,
}

impl TokenCounter {
    /// Counts with a tokenizer. The estimate shows its `name`.
    pub fn new<E>(
        name: impl Into<String>,
        count: impl Fn(&str) -> Result<usize, E> + 'static,
    ) -> Self
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let count = move |text: &str| match count(text) {
            Ok(tokens) => Ok(tokens as f64),
            Err(error) => Err(Error::Count(Box::new(error))),
        };
        Self { name: name.into(), count: Box::new(count) }
    }

    /// Counts bytes, if there is no tokenizer.
    pub fn bytes() -> Self {
        let count = |text: &str| Ok(text.len() as f64 * TOKENS_PER_BYTE);
        Self { name: "bytes / 4".into(), count: Box::new(count) }
    }

    fn count(&self, text: &str) -> Result<f64> {
        (self.count)(text)
    }
}

/// The estimate of a run, without the passages that the journal answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Estimate {
    pub llm: String,
    pub asked: u64,
    pub from_journal: u64,
    pub requests: u64,
    pub tokens_in: u64,
    pub tokens_out: u64,
    /// If every answer has the full length.
    pub tokens_out_most: u64,
    pub currency: String,
    /// None if the config has no price for the LLM.
    pub cost: Option<f64>,
    pub cost_most: Option<f64>,
    /// From the limits per minute, and from the time of earlier calls in the journal; none without
    /// both.
    pub wall_s: Option<f64>,
    /// How tokens were counted, and how far the count may be off.
    pub counted_with: String,
    /// Share of one.
    pub token_error_fraction: f64,
    /// Caps that the run would reach, in the words of the config.
    pub caps: Vec<String>,
    /// The estimate for the judge, if there is one.
    pub judge: Option<Box<Estimate>>,
}

impl Estimate {
    /// The same for `count` questions in place of each one.
    pub fn times(mut self, count: f64) -> Self {
        let counts = [
            &mut self.asked,
            &mut self.requests,
            &mut self.tokens_in,
            &mut self.tokens_out,
            &mut self.tokens_out_most,
        ];
        counts.into_iter().for_each(|number| *number = (*number as f64 * count).round() as u64);
        [&mut self.cost, &mut self.cost_most, &mut self.wall_s]
            .into_iter()
            .flatten()
            .for_each(|number| *number *= count);
        self
    }

    /// The estimate with the judge's part.
    pub fn in_all(&self) -> Spent {
        let own = Spent {
            requests: self.requests,
            tokens_in: self.tokens_in,
            tokens_out: self.tokens_out,
            cost: self.cost.unwrap_or(0.0),
        };
        self.judge.iter().fold(own, |sum, judge| sum.with(judge.in_all()))
    }

    /// Whether all its LLMs have a price.
    pub fn is_priced(&self) -> bool {
        self.cost.is_some() && self.judge.iter().all(|judge| judge.is_priced())
    }
}

/// Figures from the answers in the journal.
#[derive(Default)]
struct Calibration {
    known: usize,
    counted: f64,
    real: f64,
    /// Ratios of real to counted.
    lowest: f64,
    highest: f64,
    tokens_out: f64,
    attempts: usize,
    wall_ms: f64,
    timed: usize,
}

impl Llm<'_> {
    /// Estimates the calls, tokens, money and time of a run of `work`.
    pub fn estimate(&self, work: &Work, counter: &TokenCounter) -> Result<Estimate> {
        let mut counts = Counts { counter, seen: HashMap::new() };
        let (mut pending, mut settled) = (Vec::new(), 0);
        let mut calibration = Calibration { lowest: f64::MAX, ..Calibration::default() };
        let mut keys = std::collections::HashSet::new();
        for index in 0..work.count {
            match self.look(work, index)? {
                Look::Settled(outcome) => {
                    settled += 1;
                    if calibration.known < CALIBRATION {
                        let first = (work.request)(index, 0);
                        let entry = self.entry(&first.key())?;
                        calibration.add(counts.of(&first)?, entry.as_ref(), outcome.flaws.len());
                    }
                }
                Look::Asks { request, key, .. } if keys.insert(key.clone()) => {
                    pending.push((
                        counts.of(&request)?,
                        request.max_answer_tokens,
                        counts.answer(&request, work.typical_answer)?,
                    ));
                }
                Look::Asks { .. } => settled += 1,
            }
        }
        let llm = if work.count > 0 { (work.request)(0, 0).llm } else { String::new() };
        Ok(self.sum_up(work, llm, settled, &pending, &calibration, counter))
    }

    fn sum_up(
        &self,
        work: &Work,
        llm: String,
        settled: u64,
        pending: &[(f64, u32, f64)],
        calibration: &Calibration,
        counter: &TokenCounter,
    ) -> Estimate {
        let config = self.config;
        let calibrated = calibration.known >= MIN_CALIBRATION;
        let ratio = if calibrated { calibration.real / calibration.counted } else { 1.0 };
        // A share of the questions is asked twice.
        let attempts =
            if calibrated { calibration.attempts as f64 / calibration.known as f64 } else { 1.0 };
        let requests = (pending.len() as f64 * attempts).round() as u64;
        let tokens_in = pending.iter().map(|(tokens, ..)| tokens).sum::<f64>() * ratio * attempts;
        let most = pending.iter().map(|(_, most, _)| f64::from(*most)).sum::<f64>();
        let tokens_out = match calibrated {
            true => {
                pending.len() as f64 * calibration.tokens_out / calibration.known as f64 * attempts
            }
            false => pending.iter().map(|(_, most, answer)| answer.min(f64::from(*most))).sum(),
        };
        let (tokens_in, tokens_out) = (tokens_in.round() as u64, tokens_out.round() as u64);
        let tokens_out_most = (most * f64::from(ATTEMPTS)) as u64;
        let priced = config.prices.contains_key(&llm);
        let money = |tokens_in, tokens_out| {
            priced.then(|| cost(config, &llm, false, tokens_in, tokens_out))
        };
        let (counted_with, token_error_fraction) = calibration.told(counter, calibrated);
        Estimate {
            asked: work.count as u64,
            from_journal: settled,
            requests,
            tokens_in,
            tokens_out,
            tokens_out_most,
            currency: config.currency.clone(),
            cost: money(tokens_in, tokens_out),
            cost_most: money(tokens_in * u64::from(ATTEMPTS), tokens_out_most),
            wall_s: self.wall_s(requests, tokens_in + tokens_out, calibration),
            counted_with,
            token_error_fraction,
            caps: Vec::new(),
            judge: None,
            llm,
        }
    }

    fn wall_s(&self, requests: u64, tokens: u64, calibration: &Calibration) -> Option<f64> {
        let config = self.config;
        let by_limit =
            |count: u64, limit: u32| (limit > 0).then(|| count as f64 * 60.0 / f64::from(limit));
        let per_call_s = (calibration.timed > 0)
            .then(|| calibration.wall_ms / 1000.0 / calibration.timed as f64);
        let by_calls =
            per_call_s.map(|seconds| requests as f64 * seconds / config.concurrency as f64);
        let times = [
            by_limit(requests, config.requests_per_minute),
            by_limit(tokens, config.tokens_per_minute),
            by_calls,
        ];
        times.into_iter().flatten().reduce(f64::max)
    }

    /// The caps that the rest of the run, judge included, would reach.
    pub fn caps_ahead(&self, estimate: &Estimate) -> Vec<String> {
        let (config, ahead) = (self.config, self.spent_in_all().with(estimate.in_all()));
        let caps = [
            ("max-requests", config.max_requests as f64, ahead.requests as f64),
            ("max-tokens", config.max_tokens as f64, ahead.tokens() as f64),
            ("max-cost", config.max_cost, ahead.cost),
        ];
        let met = caps.into_iter().filter(|(_, cap, ahead)| *cap > 0.0 && ahead > cap);
        met.map(|(name, cap, _)| format!("llm.{name} = {cap}")).collect()
    }
}

impl Calibration {
    fn add(&mut self, counted: f64, entry: Option<&Entry>, attempts: usize) {
        let Some((entry, real)) =
            entry.and_then(|entry| Some((entry, entry.prompt_tokens? as f64)))
        else {
            return;
        };
        self.known += 1;
        self.counted += counted;
        self.real += real;
        self.lowest = self.lowest.min(real / counted);
        self.highest = self.highest.max(real / counted);
        self.tokens_out += entry.completion_tokens.unwrap_or(0) as f64;
        self.attempts += attempts;
        if let Some(wall_ms) = entry.wall_ms {
            self.wall_ms += wall_ms as f64;
            self.timed += 1;
        }
    }

    /// How tokens were counted, and how far the count of one request may be off.
    fn told(&self, counter: &TokenCounter, calibrated: bool) -> (String, f64) {
        if !calibrated {
            return (counter.name.clone(), UNCALIBRATED_ERROR);
        }
        let ratio = self.real / self.counted;
        let error = (self.highest / ratio - 1.0).max(1.0 - self.lowest / ratio);
        (
            format!(
                "{}, times {ratio:.2} as {} answers in the journal tell",
                counter.name, self.known
            ),
            error,
        )
    }
}

/// Counts of texts. Instructions and examples are counted once, because every request repeats them.
struct Counts<'a> {
    counter: &'a TokenCounter,
    seen: HashMap<String, f64>,
}

impl Counts<'_> {
    fn of(&mut self, request: &Request) -> Result<f64> {
        let Some((last, first)) = request.messages.split_last() else { return Ok(0.0) };
        let mut tokens = self.counter.count(&last.content)?;
        for message in first {
            tokens += self.repeated(&message.content)?;
        }
        Ok(tokens)
    }

    /// The length of the typical answer, or of the example's, stands for all answers.
    fn answer(&mut self, request: &Request, typical: Option<&str>) -> Result<f64> {
        let example = request.messages.iter().find(|message| message.role == "assistant");
        match typical.or(example.map(|message| message.content.as_str())) {
            Some(answer) => self.repeated(answer),
            None => Ok(f64::from(request.max_answer_tokens) / 2.0),
        }
    }

    fn repeated(&mut self, text: &str) -> Result<f64> {
        if let Some(tokens) = self.seen.get(text) {
            return Ok(*tokens);
        }
        let tokens = self.counter.count(text)?;
        self.seen.insert(text.to_owned(), tokens);
        Ok(tokens)
    }
}
