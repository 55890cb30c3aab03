//! Calls to an LLM behind any OpenAI-compatible endpoint. Every answer is in the journal before it
//! is used.

use crate::breaker::Breaker;
use crate::budget::{self, Budget, Spent};
use crate::call::{Call, Gauge};
use crate::config::LlmConfig;
use crate::error::{Error, Result};
use crate::journal::{Entry, Journal};
use crate::key::ApiKey;
use crate::pace::Pace;
use crate::readable::{Cut, Start};
use crate::request::Dialect;
use crate::transport::{self, Client};
use crate::work::{Assessment, Look, Open, Outcome, Work};
use futures_util::stream::{self, StreamExt};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::time::Duration;
use whetstone_records::Progress;

/// How often to ask the same thing. If the first answer is useless, the next request has another
/// seed.
pub const ATTEMPTS: u32 = 2;
/// After this many refusals in a row at the start, the endpoint is taken to refuse everything.
const MAX_REFUSED_AT_START: usize = 3;
/// Failures in a row that open the circuit breaker, plus two for each call in flight.
const BREAKER_FAILURES: u32 = 6;
/// Probes that may fail before the endpoint counts as gone, plus the tries of a call.
const BREAKER_PROBES: u32 = 4;
/// How long to wait for calls in flight once the run has to end.
const LAST_WAIT: Duration = Duration::from_secs(20);

#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) calls: u64,
    pub(crate) retries: u64,
    pub(crate) from_journal: u64,
    pub(crate) without_usage: u64,
    /// Failed calls in a row.
    pub(crate) given_up: usize,
}

/// The client, with its journal open.
pub struct Llm<'a> {
    pub(crate) config: &'a LlmConfig,
    pub(crate) key: ApiKey,
    pub(crate) client: Client,
    // One thread, and no borrow lasts across an await.
    pub(crate) journal: RefCell<Journal>,
    /// Answers that the journal held when it was opened.
    pub(crate) known_before: usize,
    pub(crate) before: Spent,
    pub(crate) budget: Budget<'a>,
    pub(crate) pace: Pace,
    pub(crate) breaker: Breaker,
    pub(crate) gauge: Gauge,
    /// By name of the LLM.
    pub(crate) dialects: RefCell<HashMap<String, Dialect>>,
    pub(crate) tally: RefCell<Tally>,
    /// What ends the run. Nothing is sent after it.
    pub(crate) fatal: RefCell<Option<Error>>,
    pub(crate) in_air: Cell<usize>,
    /// By the key of the limit.
    pub(crate) cut_off: RefCell<BTreeMap<&'static str, Cut>>,
}

impl<'a> Llm<'a> {
    /// Opens the journal and prepares the client; nothing is sent yet.
    pub fn open(config: &'a LlmConfig, journal: &Path) -> Result<Self> {
        let key = ApiKey::read(config)?;
        let journal = Journal::open(journal)?;
        let before = budget::spent_before(config, journal.sums());
        let threshold = BREAKER_FAILURES + 2 * config.concurrency as u32;
        let longest = Duration::from_secs(config.max_wait_s);
        Ok(Self {
            client: transport::client(config, &key).map_err(Error::Http)?,
            key,
            known_before: journal.len(),
            before,
            budget: Budget::new(config, before),
            pace: Pace::new(config.requests_per_minute, config.tokens_per_minute),
            breaker: Breaker::new(threshold, config.max_retries + BREAKER_PROBES, longest),
            gauge: Gauge::default(),
            journal: RefCell::new(journal),
            config,
            dialects: RefCell::default(),
            tally: RefCell::default(),
            fatal: RefCell::default(),
            in_air: Cell::new(0),
            cut_off: RefCell::default(),
        })
    }

    /// Asks for everything that the journal does not hold. Returns one outcome for each question,
    /// in their order.
    pub fn run(&self, work: &Work, progress: &dyn Progress) -> Result<Vec<Outcome>> {
        progress.start(work.part, Some(work.count as u64), work.unit);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|source| Error::Runtime { source })?;
        let outcomes = runtime.block_on(self.answer_all(work, progress));
        self.journal.borrow_mut().sync()?;
        progress.finish();
        let outcomes = outcomes?;
        self.count_cut_off(work, &outcomes);
        Ok(outcomes)
    }

    async fn answer_all(&self, work: &Work<'_>, progress: &dyn Progress) -> Result<Vec<Outcome>> {
        let mut outcomes: Vec<Outcome> = vec![Outcome::default(); work.count];
        let (mut pending, mut repeated) = (Vec::new(), Vec::new());
        // Two passages with the same title and text share one answer.
        let mut keys = HashSet::new();
        for (index, outcome) in outcomes.iter_mut().enumerate() {
            match self.look(work, index)? {
                Look::Settled(settled) => *outcome = settled,
                Look::Asks { key, .. } if keys.insert(key.clone()) => pending.push(index),
                Look::Asks { .. } => repeated.push(index),
            }
        }
        drop(keys);
        let mut start = Start::default();
        if outcomes.iter().any(|outcome| start.is_hopeless(outcome)) {
            return Err(self.unreadable(work, &outcomes));
        }
        let known = work.count - pending.len() - repeated.len();
        self.tally.borrow_mut().from_journal += known as u64;
        progress.advance(known as u64);
        let begun = self.learn_dialect(work, &pending, &mut outcomes, progress).await?;
        self.answer_some(work, &pending[begun..], &mut start, &mut outcomes, progress).await?;
        self.answer_some(work, &repeated, &mut start, &mut outcomes, progress).await?;
        Ok(outcomes)
    }

    async fn answer_some(
        &self,
        work: &Work<'_>,
        indices: &[usize],
        start: &mut Start,
        outcomes: &mut [Outcome],
        progress: &dyn Progress,
    ) -> Result<()> {
        let calls =
            indices.iter().map(|index| async move { (*index, self.answer(work, *index).await) });
        let mut answered = stream::iter(calls).buffer_unordered(self.config.concurrency);
        while let Some((index, outcome)) = answered.next().await {
            outcomes[index] = outcome?;
            self.note(&outcomes[index], progress);
            if start.is_hopeless(&outcomes[index]) {
                self.end(self.unreadable(work, outcomes));
            }
            if self.fatal.borrow().is_some() {
                // A call in flight may already be paid for.
                let drained =
                    async { while self.in_air.get() > 0 && answered.next().await.is_some() {} };
                let _ = tokio::time::timeout(LAST_WAIT, drained).await;
                break;
            }
        }
        self.fatal.take().map_or(Ok(()), Err)
    }

    /// One question, with as many attempts as it needs and is allowed.
    async fn answer(&self, work: &Work<'_>, index: usize) -> Result<Outcome> {
        loop {
            let (request, key, so_far) = match self.look(work, index)? {
                Look::Settled(outcome) => return Ok(outcome),
                Look::Asks { request, key, so_far } => (request, key, so_far),
            };
            let open = match self.call(&request, &key).await? {
                Call::Answered => continue,
                Call::Refused { status, message } => {
                    Open::NotAnswered { reason: format!("refused with status {status}: {message}") }
                }
                Call::GivenUp { reason } => Open::NotAnswered { reason },
                Call::NotMade => Open::NotAsked,
            };
            return Ok(Outcome { open: Some(open), ..so_far });
        }
    }

    /// Goes through the attempts in the journal.
    pub(crate) fn look(&self, work: &Work, index: usize) -> Result<Look> {
        let mut outcome = Outcome::default();
        let mut most = 0;
        for attempt in 0..ATTEMPTS {
            let request = (work.request)(index, attempt);
            let key = request.key();
            let Some(entry) = self.journal.borrow().get(&key)? else {
                return Ok(Look::Asks { request: Box::new(request), key, so_far: outcome });
            };
            outcome.tokens_in += entry.prompt_tokens.unwrap_or(0);
            outcome.tokens_out += entry.completion_tokens.unwrap_or(0);
            let Assessment { flaw, usable } = (work.assess)(index, &entry);
            outcome.flaws.push(flaw);
            // An answer that there is nothing to say does not outweigh an earlier answer.
            let is_sound = flaw.is_none() && (usable > 0 || outcome.key.is_none());
            if is_sound || usable > most {
                (outcome.key, most) = (Some(key), usable);
            }
            if flaw.is_none() {
                break;
            }
        }
        Ok(Look::Settled(outcome))
    }

    /// Asks the first questions one by one until the endpoint accepts the form of the request.
    /// Returns their number.
    async fn learn_dialect(
        &self,
        work: &Work<'_>,
        pending: &[usize],
        outcomes: &mut [Outcome],
        progress: &dyn Progress,
    ) -> Result<usize> {
        for (begun, index) in pending.iter().enumerate() {
            let Look::Asks { request, key, .. } = self.look(work, *index)? else { continue };
            let start = self.dialect(&request.llm);
            let mut refusal = None;
            while let Call::Refused { status, message } = self.call(&request, &key).await? {
                let simpler = self.dialect(&request.llm).simpler(&message);
                refusal = Some((status, message));
                let Some(simpler) = simpler else { break };
                self.set_dialect(&request.llm, simpler);
                refusal = None;
            }
            let Some((status, message)) = refusal else {
                for told in self.dialect(&request.llm).told() {
                    progress.warn(told);
                }
                // The rest of this question, such as a second attempt, is done with the others.
                self.fatal.take().map_or(Ok(()), Err)?;
                return Ok(begun);
            };
            if begun + 1 >= MAX_REFUSED_AT_START.min(pending.len()) {
                return Err(self.refused(status, message, &request.llm));
            }
            self.set_dialect(&request.llm, start);
            let reason = format!("refused with status {status}: {message}");
            outcomes[*index].open = Some(Open::NotAnswered { reason });
            self.note(&outcomes[*index], progress);
        }
        Ok(pending.len())
    }

    pub(crate) fn dialect(&self, llm: &str) -> Dialect {
        self.dialects.borrow().get(llm).copied().unwrap_or_default()
    }

    fn set_dialect(&self, llm: &str, dialect: Dialect) {
        self.dialects.borrow_mut().insert(llm.to_owned(), dialect);
    }

    /// Counts an outcome. Ends the run when the endpoint has gone.
    fn note(&self, outcome: &Outcome, progress: &dyn Progress) {
        progress.advance(1);
        let mut tally = self.tally.borrow_mut();
        match &outcome.open {
            Some(Open::NotAnswered { reason }) if !reason.starts_with("refused") => {
                tally.given_up += 1;
                if tally.given_up >= self.config.concurrency.max(3) {
                    self.end(self.gone(reason.clone()));
                }
            }
            None => tally.given_up = 0,
            Some(_) => {}
        }
        if self.config.max_cost > 0.0 {
            progress.message(&format!(
                "{:.4} {} spent",
                self.budget.spent().cost,
                self.config.currency
            ));
        }
    }

    /// The answer behind an outcome.
    pub fn answer_of(&self, outcome: &Outcome) -> Result<Option<Entry>> {
        Ok(outcome.key.as_ref().map(|key| self.entry(key)).transpose()?.flatten())
    }

    /// What the journal holds under a key.
    pub fn entry(&self, key: &str) -> Result<Option<Entry>> {
        self.journal.borrow().get(key)
    }
}
