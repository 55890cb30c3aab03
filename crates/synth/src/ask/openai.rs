//! The generator that asks an LLM behind any OpenAI-compatible endpoint.

use super::generator::{Account, Answer, Generator, Proposal};
use super::journal::{Entry, Journal};
use super::parse;
use super::prompt::{self, Dialect, Format};
use super::transport::{Client, Fault, again, client};
use crate::config::AskConfig;
use crate::error::{Error, Result};
use futures_util::stream::{self, StreamExt};
use rand::Rng;
use serde::Deserialize;
use serde_json::Value;
use std::cell::{Cell, RefCell};
use std::path::Path;
use std::time::Duration;
use whetstone_records::{Passage, Progress};

/// How many passages may be refused in a row before the endpoint is taken to refuse all.
const MAX_REFUSED_AT_START: usize = 3;
/// First wait before a second try; doubled for each further one.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// Asks an LLM, keeping every answer in a journal.
pub struct OpenAi<'a> {
    config: &'a AskConfig,
    key: Option<String>,
    client: Client,
    // One thread, and no borrow is held over an await.
    journal: RefCell<Journal>,
    paid_before: usize,
    tally: RefCell<Tally>,
    dialect: Cell<Dialect>,
}

#[derive(Default)]
struct Tally {
    calls: u64,
    retries: u64,
    from_journal: u64,
    prompt_tokens: u64,
    completion_tokens: u64,
    /// Calls given up in a row.
    given_up: usize,
}

/// What one call came to.
enum Outcome {
    Answered,
    Refused { status: u16, message: String },
    GivenUp { reason: String },
}

/// As much of an answer as is used; servers differ in the rest.
#[derive(Deserialize)]
struct Completion {
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<Usage>,
    /// Some gateways report an error with status 200.
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    content: Option<String>,
}

#[derive(Deserialize)]
struct Usage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
}

impl<'a> OpenAi<'a> {
    /// Opens the journal and prepares the client; nothing is sent yet.
    pub fn open(config: &'a AskConfig, journal: &Path) -> Result<Self> {
        prompt::check_extra_body(config)?;
        let key =
            std::env::var(&config.api_key_env).ok().map(|key| key.trim().to_owned()).filter(|key| !key.is_empty());
        if key.as_ref().is_some_and(|key| !key.bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err(Error::BadKey { variable: config.api_key_env.clone() });
        }
        let timeout = Duration::from_secs(config.timeout_s);
        let journal = Journal::open(journal)?;
        Ok(Self {
            client: client(&config.base_url, key.as_deref(), timeout).map_err(Error::Http)?,
            config,
            key,
            paid_before: journal.len(),
            journal: RefCell::new(journal),
            tally: RefCell::default(),
            dialect: Cell::default(),
        })
    }

    async fn ask_all(&self, passages: &[(&Passage, String)], progress: &dyn Progress) -> Result<()> {
        let open = |(_, key): &&(&Passage, String)| self.journal.borrow().get(key).is_none();
        let mut pending: Vec<&(&Passage, String)> = passages.iter().filter(open).collect();
        // Two passages with the same title and text share one answer.
        let mut keys = std::collections::HashSet::new();
        pending.retain(|(_, key)| keys.insert(key));
        let known = passages.len() - pending.len();
        self.tally.borrow_mut().from_journal = known as u64;
        progress.advance(known as u64);
        let begun = self.learn_dialect(&pending, progress).await?;
        let calls = pending[begun..].iter().map(|(passage, key)| self.call(passage, key));
        let mut outcomes = stream::iter(calls).buffer_unordered(self.config.concurrency);
        while let Some(outcome) = outcomes.next().await {
            self.note(outcome?, progress)?;
        }
        Ok(())
    }

    /// Asks for the first passages one by one until the endpoint takes the form of the request; returns how many were.
    async fn learn_dialect(&self, pending: &[&(&Passage, String)], progress: &dyn Progress) -> Result<usize> {
        for (index, (passage, key)) in pending.iter().enumerate() {
            self.dialect.set(Dialect::default());
            loop {
                let outcome = self.call(passage, key).await?;
                let Outcome::Refused { status, message } = outcome else {
                    self.note(outcome, progress)?;
                    return Ok(index + 1);
                };
                match self.dialect.get().simpler(&message) {
                    Some(simpler) => self.dialect.set(simpler),
                    None if index + 1 >= MAX_REFUSED_AT_START.min(pending.len()) => {
                        return Err(self.refused(status, message));
                    }
                    None => break,
                }
            }
            self.note(Outcome::Refused { status: 400, message: String::new() }, progress)?;
        }
        Ok(pending.len())
    }

    /// Counts an outcome, and stops the run when the endpoint has gone.
    fn note(&self, outcome: Outcome, progress: &dyn Progress) -> Result<()> {
        progress.advance(1);
        let mut tally = self.tally.borrow_mut();
        match outcome {
            Outcome::GivenUp { reason } => {
                tally.given_up += 1;
                if tally.given_up >= self.config.concurrency.max(3) {
                    let answered = self.journal.borrow().len();
                    return Err(Error::EndpointDown { url: self.config.base_url.clone(), reason, answered });
                }
            }
            Outcome::Answered => tally.given_up = 0,
            Outcome::Refused { .. } => {}
        }
        Ok(())
    }

    /// One passage, with as many tries as it needs and may have. The answer is in the journal when this returns.
    async fn call(&self, passage: &Passage, key: &str) -> Result<Outcome> {
        let body = prompt::body(passage, self.config, self.dialect.get());
        let mut tries = 0;
        loop {
            self.tally.borrow_mut().calls += 1;
            let fault = match self.client.chat().create_byot::<&Value, Completion>(&body).await {
                Ok(completion) => match self.keep(completion, passage, key)? {
                    Ok(()) => return Ok(Outcome::Answered),
                    Err(fault) => fault,
                },
                Err(error) => Fault::of(error),
            };
            match fault {
                Fault::Never { status, message } => return Err(self.refused(status, message)),
                Fault::Form { status, message } => return Ok(Outcome::Refused { status, message }),
                Fault::Again { reason, .. } if tries >= self.config.max_retries => {
                    return Ok(Outcome::GivenUp { reason: self.without_key(&reason) });
                }
                Fault::Again { after, .. } => tokio::time::sleep(self.wait(tries, after)).await,
            }
            tries += 1;
            self.tally.borrow_mut().retries += 1;
        }
    }

    /// Writes an answer to the journal, before anything else is done with it.
    fn keep(&self, completion: Completion, passage: &Passage, key: &str) -> Result<Result<(), Fault>> {
        let Some(choice) = completion.choices.into_iter().next() else {
            let code = completion.error.as_ref().and_then(|error| error.get("code")).and_then(Value::as_u64);
            return Ok(Err(again(match code {
                Some(code) => format!("an error {code} in place of an answer"),
                None => "an answer without choices".into(),
            })));
        };
        let usage = completion.usage.unwrap_or(Usage { prompt_tokens: None, completion_tokens: None });
        let mut tally = self.tally.borrow_mut();
        tally.prompt_tokens += usage.prompt_tokens.unwrap_or(0);
        tally.completion_tokens += usage.completion_tokens.unwrap_or(0);
        self.journal.borrow_mut().append(Entry {
            key: key.to_owned(),
            passage: passage.id.clone(),
            llm: self.config.llm.clone(),
            content: choice.message.content.unwrap_or_default(),
            finish_reason: choice.finish_reason,
            prompt_tokens: usage.prompt_tokens,
            completion_tokens: usage.completion_tokens,
        })?;
        Ok(Ok(()))
    }

    /// The time before the next try: what the server asks for, else doubling; never more than the limit, and spread so
    /// that calls which failed together do not come back together.
    fn wait(&self, tries: u32, after: Option<Duration>) -> Duration {
        let limit = Duration::from_secs(self.config.max_wait_s);
        let doubled = FIRST_WAIT.saturating_mul(1 << tries.min(16));
        match after {
            Some(after) => after.mul_f64(rand::rng().random_range(1.0..1.2)).min(limit),
            None => doubled.min(limit).mul_f64(rand::rng().random_range(0.5..1.0)),
        }
    }

    fn refused(&self, status: u16, message: String) -> Error {
        Error::CallRefused {
            url: self.config.base_url.clone(),
            status,
            message: self.without_key(&message),
            key_variable: self.config.api_key_env.clone(),
            key_set: self.key.is_some(),
            llm: self.config.llm.clone(),
        }
    }

    fn without_key(&self, message: &str) -> String {
        self.key.as_ref().map_or_else(|| message.to_owned(), |key| message.replace(key.as_str(), "***"))
    }

    /// What the journal holds for a passage.
    fn answer(&self, key: &str) -> Answer {
        let journal = self.journal.borrow();
        let Some(entry) = journal.get(key) else {
            return Answer { proposals: Vec::new(), fault: Some("passages-not-answered") };
        };
        let questions = parse::questions(&entry.content).into_iter();
        let proposals: Vec<Proposal> = questions.map(|text| Proposal { text, style: "question".into() }).collect();
        let fault = match entry.finish_reason.as_deref() {
            Some("length") => Some("answers-cut-off"),
            _ if entry.content.trim().is_empty() => Some("answers-empty"),
            _ if proposals.is_empty() => Some("answers-unreadable"),
            _ => None,
        };
        Answer { proposals, fault }
    }
}

impl Generator for OpenAi<'_> {
    fn name(&self) -> &str {
        &self.config.llm
    }

    fn generate(&self, passages: &[&Passage], progress: &dyn Progress) -> Result<Vec<Answer>> {
        let keyed: Vec<(&Passage, String)> =
            passages.iter().map(|passage| (*passage, prompt::key(passage, self.config))).collect();
        progress.start("ask", Some(passages.len() as u64), "passages");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|source| Error::Runtime { source })?;
        let asked = runtime.block_on(self.ask_all(&keyed, progress));
        self.journal.borrow_mut().sync()?;
        progress.finish();
        asked?;
        Ok(keyed.iter().map(|(_, key)| self.answer(key)).collect())
    }

    fn account(&self) -> Account {
        let tally = self.tally.borrow();
        let counts = vec![
            ("calls", tally.calls),
            ("calls-retried", tally.retries),
            ("answers-from-journal", tally.from_journal),
            ("tokens-in", tally.prompt_tokens),
            ("tokens-out", tally.completion_tokens),
        ];
        let mut notes = Vec::new();
        if self.dialect.get().format != Format::Schema {
            notes.push("the endpoint takes no JSON schema; answers were parsed as they came".to_owned());
        }
        let damaged = &self.journal.borrow().damaged_lines;
        if let Some(first) = damaged.first() {
            notes.push(format!(
                "{} of the journal's {} answers are damaged (first: line {first}) and were asked for again",
                damaged.len(),
                self.paid_before + damaged.len()
            ));
        }
        Account { counts, notes }
    }
}
