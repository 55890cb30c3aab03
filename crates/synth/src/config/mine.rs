//! `[mine]`: which passages become negatives, and what looks for them.

use super::must;
use crate::error::Result;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::path::Path;
use whetstone_retrieve::{Bm25Parameters, DenseSettings, RetrieverConfig};

/// How negatives are drawn from the rest of a retriever's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sampling {
    /// The best ranked ones.
    Top,
    /// A seeded draw.
    Random,
}

/// How other passages of the positive's document are treated. Passages that overlap the positive
/// are never negatives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SameDocument {
    /// They may be negatives unless they are the positive's neighbours.
    AllowFar,
    /// They are no negatives.
    Exclude,
}

/// Names that runs, negatives and files already use.
const TAKEN_NAMES: [&str; 5] = ["random", "positive", "rrf", "union", "pairs"];

/// `[mine]`: which passages become negatives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct MineConfig {
    /// Negatives of a training query, from all retrievers together.
    pub negatives: usize,
    /// How many passages a retriever without its own `rank-max` may find for a query.
    pub rank_max: usize,
    /// How many of the best passages to skip after all filters below: they may answer the query.
    pub rank_min: usize,
    /// Drops a passage whose score s comes near the positive's score p by the same retriever: s > p
    /// − |p| · relative-margin. Below 0, passages that score higher than the positive stay.
    pub relative_margin: f32,
    pub sampling: Sampling,
    pub same_document: SameDocument,
    /// The retrievers. Random negatives make up what their fractions leave.
    pub from: Vec<Source>,
}

/// `[[mine.from]]`: a retriever and its share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Source {
    /// Share of the negatives that it brings. With 0 it finds candidates and fills in for others.
    pub fraction: f64,
    /// How many passages it may find for a query; absent: as many as the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rank_max: Option<usize>,
    /// Drops a passage that it scores below this, whoever found it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_score: Option<f32>,
    /// Drops a passage that it scores above this, whoever found it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_score: Option<f32>,
    /// The kind, with the keys that only this kind has. It refuses unknown keys.
    #[serde(flatten)]
    pub retriever: RetrieverConfig,
}

impl Source {
    pub fn new(retriever: RetrieverConfig, fraction: f64) -> Self {
        Self { fraction, rank_max: None, min_score: None, max_score: None, retriever }
    }

    /// The name in runs, manifests and the provenance of a negative.
    pub fn name(&self) -> &str {
        self.retriever.settings().name()
    }

    fn check(&self, mine: &MineConfig) -> Result<()> {
        self.retriever.settings().check()?;
        let must = |holds: bool, key: &'static str, expected: &'static str, value: String| {
            if holds {
                return Ok(());
            }
            let retriever = self.name().to_owned();
            Err(whetstone_retrieve::Error::Setting { retriever, key, expected, value })
        };
        let (name, fraction) = (self.name(), self.fraction);
        let free = !TAKEN_NAMES.contains(&name);
        must(free, "name", "a word that Whetstone does not use itself", format!("`{name}`"))?;
        must((0.0..=1.0).contains(&fraction), "fraction", "in [0, 1]", fraction.to_string())?;
        let rank_max = self.rank_max.unwrap_or(mine.rank_max);
        let skips_less = mine.rank_min < rank_max;
        must(skips_less, "rank-max", "more than `mine.rank-min`", rank_max.to_string())?;
        let (lowest, highest) =
            (self.min_score.unwrap_or(f32::MIN), self.max_score.unwrap_or(f32::MAX));
        Ok(must(lowest <= highest, "min-score", "at most its `max-score`", lowest.to_string())?)
    }
}

impl Default for MineConfig {
    fn default() -> Self {
        Self {
            negatives: 5,
            rank_max: 100,
            rank_min: 0,
            relative_margin: 0.05,
            sampling: Sampling::Random,
            same_document: SameDocument::AllowFar,
            from: vec![
                Source::new(RetrieverConfig::Bm25(Bm25Parameters::default()), 0.4),
                Source::new(RetrieverConfig::Dense(DenseSettings {}), 0.4),
            ],
        }
    }
}

impl MineConfig {
    /// The names of the retrievers, in the order of the config.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.from.iter().map(Source::name)
    }

    /// The place of the bi-encoder among the retrievers, where it is one of them.
    pub fn dense(&self) -> Option<usize> {
        self.from.iter().position(|from| matches!(from.retriever, RetrieverConfig::Dense(_)))
    }

    /// BM25's parameters, for other searches with it.
    pub fn bm25(&self) -> Bm25Parameters {
        let parameters = |from: &Source| match from.retriever {
            RetrieverConfig::Bm25(parameters) => Some(parameters),
            _ => None,
        };
        self.from.iter().find_map(parameters).unwrap_or_default()
    }

    /// Resolves the paths of files against the config's folder.
    pub(super) fn anchor(&mut self, folder: &Path) {
        self.from.iter_mut().for_each(|from| from.retriever.settings_mut().anchor(folder));
    }

    pub fn check(&self) -> Result<()> {
        must(self.negatives >= 1, "mine.negatives", "at least 1", self.negatives)?;
        must(self.rank_max >= 1, "mine.rank-max", "at least 1", self.rank_max)?;
        must(
            self.rank_min < self.rank_max,
            "mine.rank-min",
            "less than `rank-max`",
            self.rank_min,
        )?;
        must(self.relative_margin < 1.0, "mine.relative-margin", "below 1", self.relative_margin)?;
        must(!self.from.is_empty(), "mine.from", "a list of at least one retriever", "none")?;
        let mut names = HashSet::new();
        for from in &self.from {
            from.check(self)?;
            let name = from.name();
            must(names.insert(name), "mine.from", "retrievers of different names", twice(name))?;
        }
        let sum: f64 = self.from.iter().map(|from| from.fraction).sum();
        must(sum <= 1.0 + 1e-9, "mine.from.fraction", "at most 1, all together", sum)
    }
}

fn twice(name: &str) -> String {
    format!("`{name}` twice")
}

#[cfg(test)]
mod tests {
    use super::*;
    use whetstone_records::Hint;
    use whetstone_retrieve::RunSettings;

    fn parse(text: &str) -> Result<MineConfig, toml::de::Error> {
        toml::from_str(text)
    }

    fn message(text: &str) -> String {
        let error = parse(text).unwrap().check().unwrap_err();
        assert!(error.hint().is_some());
        error.to_string()
    }

    #[test]
    fn retrievers_are_listed_with_their_keys() {
        let text = "[[from]]\nkind = 'bm25'\nfraction = 0.5\nk1 = 1.2\n\
                    [[from]]\nkind = 'run'\nname = 'own'\npath = 'own.run'\n\
                    fraction = 0\nrank-max = 7\n";
        let mut config = parse(text).unwrap();
        config.check().unwrap();
        config.anchor(Path::new("configs"));
        let bm25 = Bm25Parameters { k1: 1.2, ..Bm25Parameters::default() };
        let run = RunSettings { name: "own".into(), path: "configs/own.run".into() };
        let expected = [
            Source::new(RetrieverConfig::Bm25(bm25), 0.5),
            Source { rank_max: Some(7), ..Source::new(RetrieverConfig::Run(run), 0.0) },
        ];
        assert_eq!(config.from, expected);
        assert_eq!((config.bm25(), config.dense()), (bm25, None));
        // What is written reads back the same.
        assert_eq!(parse(&toml::to_string(&config).unwrap()).unwrap(), config);
    }

    #[test]
    fn what_is_no_key_of_a_retriever_is_refused() {
        for (entry, expected) in [
            ("kind = 'bm25'\nfraction = 0.5\nk2 = 1", "unknown field `k2`"),
            ("kind = 'dense'\nfraction = 0.5\nk1 = 1", "unknown field `k1`"),
            (
                "kind = 'bm52'\nfraction = 0.5",
                "expected one of `bm25`, `dense`, `late-interaction`, `run`",
            ),
            ("kind = 'bm25'", "missing field `fraction`"),
            ("fraction = 0.5", "missing field `kind`"),
        ] {
            let message = parse(&format!("[[from]]\n{entry}\n")).unwrap_err().to_string();
            assert!(message.contains(expected) && message.contains("line 1"), "{message}");
        }
    }

    #[test]
    fn impossible_values_are_named_with_their_retriever() {
        let bm25 = |keys: &str| format!("[[from]]\nkind = 'bm25'\n{keys}\n");
        let own = |name: &str| format!("[[from]]\nkind = 'run'\npath = 'x'\nname = '{name}'\n");
        for (text, expected) in [
            (
                bm25("fraction = 1.5"),
                "`fraction` of the retriever `bm25` must be in [0, 1], got 1.5",
            ),
            (
                bm25("fraction = 0.5\nk1 = -1"),
                "`k1` of the retriever `bm25` must be a number of at least 0, got -1",
            ),
            (
                bm25("fraction = 0.5\nmin-score = 3\nmax-score = 2"),
                "`min-score` of the retriever `bm25` must be at most its `max-score`, got 3",
            ),
            (
                format!("rank-min = 5\n{}", bm25("fraction = 0.5\nrank-max = 5")),
                "`rank-max` of the retriever `bm25` must be more than `mine.rank-min`, got 5",
            ),
            (
                format!("{}fraction = 0.5", own("pairs")),
                "`name` of the retriever `pairs` must be a word that Whetstone does not use itself, \
                 got `pairs`",
            ),
            (
                format!("{}{}", bm25("fraction = 0.5"), bm25("fraction = 0.1")),
                "`mine.from` must be retrievers of different names, got `bm25` twice",
            ),
            (
                format!("{}{}fraction = 0.75", bm25("fraction = 0.5"), own("own")),
                "`mine.from.fraction` must be at most 1, all together, got 1.25",
            ),
            ("from = []".into(), "`mine.from` must be a list of at least one retriever, got none"),
        ] {
            assert_eq!(message(&text), expected);
        }
    }
}
