//! How many tokens a request has, by the tokenizer of a local model.

use crate::error::Result;
use std::path::Path;
use whetstone_llm::TokenCounter;
use whetstone_model::PairTokenizer;

/// Counts with the tokenizer of a model folder; without one, bytes are counted.
pub fn token_counter(model: Option<&Path>) -> Result<TokenCounter> {
    let Some(path) = model else { return Ok(TokenCounter::bytes()) };
    let tokenizer = PairTokenizer::open(path, PairTokenizer::stored_limit(path)?)?;
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    let name = format!("the tokenizer of `{name}`");
    Ok(TokenCounter::new(name, move |text| tokenizer.count(text)))
}
