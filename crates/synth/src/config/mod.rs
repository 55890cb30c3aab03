//! `configs/synth.toml`: one section a stage, every key with its default in one place.

mod ask;
mod chunk;
mod mine;
mod pair;
mod split;

pub use ask::{AskConfig, GeneratorName};
pub use chunk::ChunkConfig;
pub use mine::{MineConfig, SameDocument, Sampling};
pub use pair::PairConfig;
pub use split::SplitConfig;

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The config of `whetstone synth`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct SynthConfig {
    /// Every random choice of every stage is a function of this.
    pub seed: u64,
    /// Model whose tokenizer measures passages and which embeds them for dense mining.
    pub model: String,
    /// Folder of documents, or a BEIR `corpus.jsonl`. The command line may name it instead.
    pub corpus: Option<PathBuf>,
    /// Folder of the data set. The command line may name it instead.
    pub out: Option<PathBuf>,
    pub chunk: ChunkConfig,
    pub ask: AskConfig,
    pub split: SplitConfig,
    pub mine: MineConfig,
    pub pair: PairConfig,
}

impl Default for SynthConfig {
    fn default() -> Self {
        Self {
            seed: 12,
            model: "minilm-l6".into(),
            corpus: None,
            out: None,
            chunk: ChunkConfig::default(),
            ask: AskConfig::default(),
            split: SplitConfig::default(),
            mine: MineConfig::default(),
            pair: PairConfig::default(),
        }
    }
}

impl SynthConfig {
    /// Reads and checks a TOML file.
    pub fn load(path: &Path) -> Result<Self> {
        let text = whetstone_records::read_text(path)?;
        let config: Self =
            toml::from_str(&text).map_err(|source| Error::ConfigSyntax { path: path.into(), source: source.into() })?;
        config.check()?;
        Ok(config)
    }

    /// Refuses impossible values.
    pub fn check(&self) -> Result<()> {
        self.chunk.check()?;
        self.ask.check()?;
        self.split.check()?;
        self.mine.check()?;
        self.pair.check()
    }
}

/// `Ok` where the condition holds, else the error `` `key` must be EXPECTED, got VALUE ``.
fn must(holds: bool, key: &'static str, expected: &'static str, value: impl ToString) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::ConfigValue { key, expected, value: value.to_string() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<SynthConfig> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("synth.toml");
        std::fs::write(&path, text).unwrap();
        SynthConfig::load(&path)
    }

    #[test]
    fn an_empty_file_is_the_default() {
        assert_eq!(load("").unwrap(), SynthConfig::default());
    }

    #[test]
    fn an_unknown_key_is_shown_with_its_line() {
        let message = load("seed = 1\n[chunk]\npassage-token = 3\n").unwrap_err().to_string();
        assert!(message.contains("line 3") && message.contains("passage-token"), "{message}");
    }

    #[test]
    fn an_impossible_value_is_refused_with_the_value() {
        let message = load("[chunk]\npassage-tokens = 20\noverlap-tokens = 20\n").unwrap_err().to_string();
        assert_eq!(message, "`chunk.overlap-tokens` must be less than half of `passage-tokens`, got 20");
        let message = load("[split]\ndev-fraction = 1.5\n").unwrap_err().to_string();
        assert_eq!(message, "`split.dev-fraction` must be in [0, 1), got 1.5");
    }

    #[test]
    fn the_file_in_the_repository_states_the_defaults() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/synth.toml");
        assert_eq!(SynthConfig::load(&path).unwrap(), SynthConfig::default());
    }
}
