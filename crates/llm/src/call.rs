//! One call, with as many tries as it needs and is allowed.

use crate::budget::Leave;
use crate::completion::Completion;
use crate::error::{Error, Result};
use crate::request::Request;
use crate::transport::Fault;
use crate::{Llm, breaker::Pass};
use async_openai::error::OpenAIError;
use rand::Rng;
use serde_json::Value;
use std::cell::Cell;
use std::time::{Duration, Instant};

/// First wait before a retry. It doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// Waits vary between these shares, so that calls that failed together are not retried together.
const JITTER: std::ops::Range<f64> = 0.5..1.0;

/// The result of a call.
pub enum Call {
    /// The answer is in the journal.
    Answered,
    Refused {
        status: u16,
        message: String,
    },
    GivenUp {
        reason: String,
    },
    /// A cap was reached, or the run ends.
    NotMade,
}

/// Tokens per byte, as far as answers have shown; an upper estimate.
#[derive(Default)]
pub struct Gauge {
    bytes: Cell<u64>,
    tokens: Cell<u64>,
}

/// Tokens per byte before the first answer: more than ordinary text has.
const FIRST_RATE: f64 = 0.5;
/// A quarter more than seen so far, and the marks around messages.
const GAUGE_MARGIN: f64 = 1.25;
const MESSAGE_TOKENS: u64 = 32;

impl Gauge {
    pub fn tokens(&self, bytes: usize) -> u64 {
        let rate = match self.bytes.get() {
            0 => FIRST_RATE,
            bytes => self.tokens.get() as f64 / bytes as f64,
        };
        (bytes as f64 * rate * GAUGE_MARGIN) as u64 + MESSAGE_TOKENS
    }

    fn learn(&self, bytes: usize, tokens: u64) {
        self.bytes.set(self.bytes.get() + bytes as u64);
        self.tokens.set(self.tokens.get() + tokens);
    }
}

impl Llm<'_> {
    /// Makes a call; the answer is in the journal when this returns.
    pub(crate) async fn call(&self, request: &Request, key: &str) -> Result<Call> {
        let expected = self.gauge.tokens(request.bytes());
        let most_out = u64::from(request.max_answer_tokens);
        let mut tries = 0;
        loop {
            let Some(leave) = self.budget.admit(&request.llm, expected, most_out).await else {
                return Ok(Call::NotMade);
            };
            let pass = self.breaker.pass().await;
            self.pace.turn(expected + most_out).await;
            if self.fatal.borrow().is_some() {
                return Ok(Call::NotMade);
            }
            let fault = match self.send(request, key, leave, expected).await? {
                Ok(()) => {
                    self.breaker.answered();
                    return Ok(Call::Answered);
                }
                Err(fault) => fault,
            };
            match fault {
                Fault::Never { status, message } => {
                    self.end(self.refused(status, message, &request.llm));
                    return Ok(Call::NotMade);
                }
                Fault::Form { status, message } => {
                    self.breaker.answered();
                    return Ok(Call::Refused { status, message: self.key.hidden_in(&message) });
                }
                Fault::Again { reason, after, limited } => {
                    let reason = self.key.hidden_in(&reason);
                    if let Some(ended) = self.failed(pass, &reason, after, limited) {
                        return Ok(ended);
                    }
                    if tries >= self.config.max_retries {
                        return Ok(Call::GivenUp { reason });
                    }
                    let wait = self.wait(tries, after);
                    if limited {
                        self.pace.pause(wait);
                    }
                    tokio::time::sleep(wait).await;
                }
            }
            tries += 1;
            self.tally.borrow_mut().retries += 1;
        }
    }

    /// Reports a failed try to the breaker. Returns what ends the call if the endpoint has gone or
    /// wants a long pause.
    fn failed(
        &self,
        pass: Pass,
        reason: &str,
        after: Option<Duration>,
        limited: bool,
    ) -> Option<Call> {
        let longest = Duration::from_secs(self.config.max_wait_s);
        if let Some(wait) = after.filter(|wait| limited && *wait > longest) {
            self.end(Error::AskedToWait {
                url: self.config.base_url.clone(),
                wait_s: wait.as_secs(),
            });
            return Some(Call::NotMade);
        }
        // A server that limits calls is there.
        if limited {
            self.breaker.answered();
        } else if self.breaker.failed(pass) {
            self.end(self.gone(reason.to_owned()));
            return Some(Call::NotMade);
        }
        None
    }

    /// One try. The answer goes to the journal first.
    async fn send(
        &self,
        request: &Request,
        key: &str,
        leave: Leave,
        expected: u64,
    ) -> Result<Result<(), Fault>> {
        let body = request.body(self.config, self.dialect(&request.llm));
        self.tally.borrow_mut().calls += 1;
        self.in_air.set(self.in_air.get() + 1);
        let started = Instant::now();
        let reply = self.client.chat().create_byot::<&Value, Value>(&body).await;
        self.in_air.set(self.in_air.get() - 1);
        let completion = match reply {
            Ok(body) => Completion::of(&body),
            Err(OpenAIError::JSONDeserialize(_, text)) => Completion::of_text(&text),
            Err(error) => Err(Fault::of(error)),
        };
        let mut entry = match completion {
            Ok(completion) => completion.entry(key, &request.subject, &request.llm),
            Err(fault) => {
                self.budget.book(leave, &request.llm, None);
                self.pace.used(expected + u64::from(request.max_answer_tokens), 0);
                return Ok(Err(fault));
            }
        };
        entry.content = self.key.hidden_in(&entry.content);
        entry.wall_ms = Some(started.elapsed().as_millis() as u64);
        match entry.prompt_tokens {
            Some(tokens) => self.gauge.learn(request.bytes(), tokens),
            None => self.tally.borrow_mut().without_usage += 1,
        }
        let tokens_in = *entry.prompt_tokens.get_or_insert(expected);
        let tokens_out =
            *entry.completion_tokens.get_or_insert(self.gauge.tokens(entry.content.len()));
        self.journal.borrow_mut().append(&entry)?;
        self.budget.book(leave, &request.llm, Some((tokens_in, tokens_out)));
        self.pace.used(expected + u64::from(request.max_answer_tokens), tokens_in + tokens_out);
        Ok(Ok(()))
    }

    /// The time before the next try: what the server asks for, else twice the last wait, never more
    /// than the limit.
    fn wait(&self, tries: u32, after: Option<Duration>) -> Duration {
        let limit = Duration::from_secs(self.config.max_wait_s);
        let doubled = FIRST_WAIT.saturating_mul(1 << tries.min(16));
        match after {
            // Never earlier than asked.
            Some(after) => after.mul_f64(rand::rng().random_range(1.0..1.2)).min(limit),
            None => doubled.min(limit).mul_f64(rand::rng().random_range(JITTER)),
        }
    }

    /// Ends the run; the first reason counts.
    pub(crate) fn end(&self, error: Error) {
        self.fatal.borrow_mut().get_or_insert(error);
    }

    pub(crate) fn gone(&self, reason: String) -> Error {
        let answered = self.journal.borrow().len();
        Error::EndpointDown { url: self.config.base_url.clone(), reason, answered }
    }

    pub(crate) fn refused(&self, status: u16, message: String, llm: &str) -> Error {
        let key_place = match &self.config.api_key_file {
            Some(path) => format!("file `{}`", path.display()),
            None => format!("environment variable `{}`", self.config.api_key_env),
        };
        Error::CallRefused {
            url: self.config.base_url.clone(),
            status,
            message: self.key.hidden_in(&message),
            key_place,
            key_set: self.key.is_set(),
            llm: llm.to_owned(),
        }
    }
}
