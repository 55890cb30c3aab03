//! What the programs have in common: golden.json, the tokenizer, and the comparison.

use serde::Deserialize;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tokenizers::{
    Encoding, PaddingParams, Tokenizer, TruncationParams, TruncationStrategy,
};

pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// f32 sums in another order; the same as `whetstone verify` allows.
const TOLERANCE: f32 = 1e-4;

#[derive(Deserialize)]
pub struct Golden {
    pub max_seq_tokens: usize,
    pub pairs: Vec<Pair>,
}

#[derive(Deserialize)]
pub struct Pair {
    pub query: String,
    pub passage: String,
    pub logit: f32,
}

/// An exported folder.
pub struct Folder {
    pub path: PathBuf,
    pub golden: Golden,
}

impl Folder {
    /// Opens the folder that the command line names.
    pub fn of_command_line() -> Result<Self> {
        let path = std::env::args_os().nth(1).map(PathBuf::from);
        let path = path.ok_or("name the folder of an exported model")?;
        let golden = serde_json::from_slice(&fs::read(path.join("golden.json"))?)?;
        Ok(Self { path, golden })
    }

    pub fn file(&self, name: &str) -> Result<Vec<u8>> {
        let path = self.path.join(name);
        fs::read(&path).map_err(|error| format!("{}: {error}", path.display()).into())
    }

    /// Returns the tokens of some pairs, padded to one length, only the passage cut.
    pub fn encode(&self, pairs: &[Pair]) -> Result<Vec<Encoding>> {
        let mut tokenizer = Tokenizer::from_file(Path::new(&self.path).join("tokenizer.json"))?;
        tokenizer.with_padding(Some(PaddingParams::default()));
        tokenizer.with_truncation(Some(TruncationParams {
            max_length: self.golden.max_seq_tokens,
            strategy: TruncationStrategy::OnlySecond,
            ..TruncationParams::default()
        }))?;
        let texts = pairs.iter().map(|pair| (pair.query.as_str(), pair.passage.as_str()));
        tokenizer.encode_batch(texts.collect(), true)
    }

    /// Says how far the logits are from golden.json; fails beyond the tolerance.
    pub fn compare(&self, program: &str, logits: &[f32]) -> ExitCode {
        assert_eq!(logits.len(), self.golden.pairs.len(), "a logit for each pair");
        let differences =
            self.golden.pairs.iter().zip(logits).map(|(pair, logit)| (pair.logit - logit).abs());
        // A NaN is larger than every number in this order.
        let worst = differences.max_by(f32::total_cmp).unwrap_or(f32::NAN);
        println!("{program}: {} pairs, largest difference {worst:.1e}", logits.len());
        if worst <= TOLERANCE { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
