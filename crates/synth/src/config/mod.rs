//! `configs/synth.toml`: one section per stage, every key with its default in one place.

mod ask;
mod chunk;
mod filter;
mod gather;
mod grade;
mod language;
mod mine;
mod moved;
mod old_mine;
mod pair;
mod split;

pub use ask::{AskConfig, GeneratorName, Style};
pub use chunk::ChunkConfig;
pub use filter::{FilterConfig, RoundTrip, TopBy};
pub use gather::GatherConfig;
pub use grade::GradeConfig;
pub use language::LanguageSetting;
pub use mine::{MineConfig, SameDocument, Sampling, Source};
pub use pair::{PairConfig, Teacher};
pub use split::SplitConfig;

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use whetstone_llm::{AnswersConfig, Judge, JudgeConfig, LlmConfig};

/// The config of `whetstone synth`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct SynthConfig {
    /// Every random choice of every stage is a function of this.
    pub seed: u64,
    /// Model whose tokenizer measures passages and which embeds them for dense mining.
    pub model: String,
    /// The language of the corpus: where sentences end, how words are compared, and which queries
    /// the built-in generator makes.
    pub language: LanguageSetting,
    /// Folder of documents, or a BEIR `corpus.jsonl`. The command line may name it instead.
    pub corpus: Option<PathBuf>,
    /// Folder of the data set. The command line may name it instead.
    pub out: Option<PathBuf>,
    pub gather: GatherConfig,
    pub chunk: ChunkConfig,
    pub ask: AskConfig,
    pub llm: LlmConfig,
    pub filter: FilterConfig,
    pub judge: JudgeConfig,
    pub grade: GradeConfig,
    pub answers: AnswersConfig,
    pub split: SplitConfig,
    pub mine: MineConfig,
    pub pair: PairConfig,
}

impl Default for SynthConfig {
    fn default() -> Self {
        Self {
            seed: 12,
            model: "minilm-l6".into(),
            language: LanguageSetting::default(),
            corpus: None,
            out: None,
            gather: GatherConfig::default(),
            chunk: ChunkConfig::default(),
            ask: AskConfig::default(),
            llm: LlmConfig::default(),
            filter: FilterConfig::default(),
            judge: JudgeConfig::default(),
            grade: GradeConfig::default(),
            answers: AnswersConfig::default(),
            split: SplitConfig::default(),
            mine: MineConfig::default(),
            pair: PairConfig::default(),
        }
    }
}

impl SynthConfig {
    /// The LLM that judges and grades.
    pub fn judge(&self) -> Judge<'_> {
        Judge::of(&self.llm, &self.judge)
    }

    /// Reads and checks a TOML file.
    pub fn load(path: &Path) -> Result<Self> {
        let text = whetstone_records::read_text(path)?;
        // Before it is parsed, because toml's message would show the line.
        if let Some(line) = line_with_key(&text) {
            return Err(Error::KeyInConfig { path: path.into(), line });
        }
        moved::check(&text, path)?;
        old_mine::refuse(path, &text)?;
        let mut config: Self = toml::from_str(&text)
            .map_err(|source| Error::ConfigSyntax { path: path.into(), source: source.into() })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let SynthConfig { ask, judge, grade, .. } = &mut config;
        let files = [&mut ask.prompt, &mut ask.examples, &mut judge.prompt, &mut grade.prompt];
        for file in files.into_iter().flatten() {
            *file = folder.join(&file);
        }
        config.mine.anchor(folder);
        config.check()?;
        Ok(config)
    }

    /// Refuses impossible values.
    pub fn check(&self) -> Result<()> {
        self.gather.check()?;
        self.chunk.check()?;
        self.ask.check()?;
        self.llm.check()?;
        self.filter.check()?;
        self.judge.check()?;
        self.grade.check()?;
        self.answers.check()?;
        self.split.check()?;
        self.mine.check()?;
        self.pair.check()?;
        let needs = self.pair.teacher.needs();
        match needs.iter().find(|kind| !self.mine.names().any(|name| name == **kind)) {
            Some(kind) => Err(Error::TeacherNotListed { teacher: self.pair.teacher.name(), kind }),
            None => Ok(()),
        }
    }
}

/// The first line that sets a key for the LLM's endpoint, where only a place for the key belongs.
fn line_with_key(text: &str) -> Option<usize> {
    let names_key = |line: &str| {
        if line.trim_start().starts_with('#') {
            return false;
        }
        let Some((name, _)) = line.split_once(['=', ':']) else { return false };
        let name: String =
            name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
        let last = name.strip_prefix("llm").unwrap_or(&name);
        matches!(
            last,
            "apikey" | "key" | "token" | "authorization" | "openaiapikey" | "apitoken" | "bearer"
        )
    };
    text.lines().position(names_key).map(|line| line + 1)
}

/// `Ok` where the condition holds, else the error `` `key` must be EXPECTED, got VALUE ``.
fn must(
    holds: bool,
    key: &'static str,
    expected: &'static str,
    value: impl ToString,
) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::ConfigValue { key, expected, value: value.to_string() }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use whetstone_records::{Hint, Language};

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
    fn a_key_in_the_file_is_refused_and_not_shown() {
        for line in ["api-key = \"sk-secret\"", "api_key=\"sk-secret\"", "key = \"sk-secret\""] {
            let error = load(&format!("[llm]\n{line}\n")).unwrap_err();
            let shown = format!("{error} {error:?} {:?}", error.hint());
            assert!(shown.contains("line 2") && !shown.contains("sk-secret"), "{shown}");
        }
        let error = load("[llm]\nbase-url = \"https://user:sk-secret@host/v1\"\n").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("sk-secret"), "{error}");
        let error = load("[llm]\napi-key-env = \"sk-secret\"\n").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("sk-secret"), "{error}");
        load("[llm]\napi-key-env = \"MY_KEY\"\napi-key-file = \"key.txt\"\n").unwrap();
    }

    #[test]
    fn a_language_is_named_in_words_or_by_its_code_and_others_are_shown() {
        let of = |text: &str| load(&format!("language = \"{text}\"\n")).map(|it| it.language);
        assert_eq!(of("auto").unwrap(), LanguageSetting::Auto);
        for german in ["German", "deu", "de"] {
            assert_eq!(of(german).unwrap(), LanguageSetting::Is(Language::German));
        }
        let message = of("Klingon").unwrap_err().to_string();
        assert!(message.contains("line 1") && message.contains("Arabic, Chinese"), "{message}");
    }

    #[test]
    fn a_prompt_is_found_beside_the_config() {
        let config = load("[ask]\nprompt = \"prompts/own.md\"\n").unwrap();
        assert!(config.ask.prompt.unwrap().ends_with("prompts/own.md"));
    }

    #[test]
    fn old_keys_of_mine_are_refused_with_their_new_spelling() {
        let error = load("[mine]\nbm25-fraction = 0.6\nbm25-k1 = 1.2\nmax-dense-score = 0.9\n")
            .unwrap_err();
        let message = error.to_string();
        assert!(message.contains("`bm25-fraction`, `bm25-k1`, `max-dense-score`"), "{message}");
        let spelling = "from = [{ kind = \"bm25\", fraction = 0.6, k1 = 1.2 }, \
                        { kind = \"dense\", fraction = 0.4, max-score = 0.9 }]";
        assert!(error.hint().unwrap().contains(spelling), "{error} {:?}", error.hint());

        let config = load(&format!("[mine]\n{spelling}\n")).unwrap();
        assert_eq!(config.mine.bm25().k1, 1.2);
        assert_eq!(config.mine.from[1].max_score, Some(0.9));
    }

    #[test]
    fn the_bi_encoder_teaches_only_where_it_is_listed() {
        let text =
            "[mine]\nfrom = [{ kind = 'bm25', fraction = 0.5 }]\n[pair]\nteacher = 'bi-encoder'\n";
        let error = load(text).unwrap_err();
        assert!(error.hint().unwrap().contains("kind = \"dense\""), "{error} {:?}", error.hint());
    }

    #[test]
    fn an_impossible_value_is_refused_with_the_value() {
        let message =
            load("[chunk]\npassage-tokens = 20\noverlap-tokens = 20\n").unwrap_err().to_string();
        assert_eq!(
            message,
            "`chunk.overlap-tokens` must be less than half of `passage-tokens`, got 20"
        );
        let message = load("[split]\ndev-fraction = 1.5\n").unwrap_err().to_string();
        assert_eq!(message, "`split.dev-fraction` must be in [0, 1), got 1.5");
    }

    #[test]
    fn a_key_that_has_moved_is_shown_in_its_new_place() {
        for (key, section, new) in [
            ("judge-llm = \"large\"", "judge", "llm = \"large\""),
            ("judge-prompt = \"own.md\"", "judge", "prompt = \"own.md\""),
            ("min-grade = 3", "judge", "min-grade = 3"),
        ] {
            let error = load(&format!("[filter]\njudge = true\n{key}\n")).unwrap_err();
            let old = key.split(' ').next().unwrap();
            assert!(error.to_string().ends_with(&format!("line 3: `filter.{old}` has moved")));
            assert_eq!(error.hint(), Some(format!("write `{new}` in [{section}]")));
            load(&format!("[{section}]\n{new}\n")).unwrap();
        }
    }

    #[test]
    fn the_file_in_the_repository_states_the_defaults() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/synth.toml");
        assert_eq!(SynthConfig::load(&path).unwrap(), SynthConfig::default());
    }
}
