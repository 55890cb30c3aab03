//! The client of an LLM behind any OpenAI-compatible endpoint: requests, pace, caps and the journal
//! of answers.
//!
//! [`Work`] defines the questions and assesses the answers. [`Llm::run`] asks. The journal keeps
//! every answer before it is used, so that nothing is paid twice.
//!
//! ```no_run
//! use std::path::Path;
//! use whetstone_llm::{JudgeConfig, Judge, Llm, LlmConfig, Work, judging};
//! use whetstone_records::Silent;
//!
//! let config = LlmConfig { name: "qwen3".into(), ..LlmConfig::default() };
//! let judge_config = JudgeConfig::default();
//! let judge = Judge::of(&config, &judge_config);
//! let queries = ["boiler pressure", "asdf"];
//! let work = Work {
//!     part: "judge",
//!     unit: "queries",
//!     count: queries.len(),
//!     request: &|index, attempt| {
//!         let told = "Grade the query from 0 to 3, as {\"grade\": 0}.".to_owned();
//!         let form = ("grade", judging::object([("grade", judging::grade())]));
//!         let messages = [told, queries[index].to_owned()];
//!         judge.request(format!("query {index}"), messages, form, attempt)
//!     },
//!     assess: &|_, entry| judging::assess(judging::grade_in(entry, "grade").is_some(), entry),
//!     limit_key: "judge.max-answer-tokens",
//!     typical_answer: Some("{\"grade\": 2}"),
//! };
//! let llm = Llm::open(&config, Path::new("out/journal.jsonl"))?;
//! for outcome in llm.run(&work, &Silent)? {
//!     let grade = llm.answer_of(&outcome)?.and_then(|entry| judging::grade_in(&entry, "grade"));
//!     println!("{grade:?}");
//! }
//! # Ok::<(), whetstone_llm::Error>(())
//! ```

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
