//! The client of an LLM behind any OpenAI-compatible endpoint: what is asked, how fast, what it may
//! cost, and what was answered.
//!
//! [`Work`] says what is asked and what an answer is worth, [`Llm::run`] asks, and the journal keeps
//! every answer before it is used, so that nothing is paid twice.

mod account;
mod answers;
mod batch;
mod breaker;
mod budget;
mod call;
mod client;
mod completion;
mod config;
mod error;
mod estimate;
mod journal;
pub mod judging;
mod key;
mod pace;
pub mod parse;
mod readable;
mod request;
mod template;
mod transport;
mod work;

pub use answers::{
    Account, AnswersConfig, Case, Compared, Comparison, Preference, compare_answers,
};
pub use batch::{BatchFiles, BatchResults};
pub use budget::{Spent, cost};
pub use client::{ATTEMPTS, Llm};
pub use config::{LlmConfig, Price};
pub use error::{Error, Result};
pub use estimate::{Estimate, TokenCounter};
pub use journal::Entry;
pub use judging::{Judge, JudgeConfig, PairJudge};
pub use request::{Message, Request, extra_body};
pub use template::{Template, Values};
pub use work::{Assessment, CUT_OFF, CUT_OFF_IN_THOUGHT, Flaw, Open, Outcome, REFUSED, Work};
