//! The way in for programs that rerank.

use crate::engine::{Engine, Placement};
use crate::error::Result;
use crate::scorer::Scorer;
use std::path::Path;
use whetstone_records::Silent;

/// Orders passages by how well they answer a query.
///
/// ```
/// use whetstone_model::Reranker;
///
/// let passages = ["Snow fell all night.", "The valve opens at 60 degrees."];
/// let reranker = Reranker::open("../../tests/oracles/tiny-model")?;
/// let ranking = reranker.rank("when does the valve open", &passages)?;
/// assert_eq!(ranking.len(), 2);
/// assert!(ranking[0].score >= ranking[1].score);
/// println!("{}", passages[ranking[0].index]);
/// # Ok::<(), whetstone_model::Error>(())
/// ```
pub struct Reranker {
    scorer: Scorer,
    placement: Placement,
}

/// Options of [`Reranker::open_with`].
#[derive(Clone, Debug, Default)]
pub struct RerankerOptions {
    pub placement: Placement,
    /// Tokens of the longest pair, or of a late interaction's longest passage; by default the model
    /// folder's limit.
    pub max_seq_tokens: Option<usize>,
    /// The label that is the score, if the model's head has several: its name, its number, or the
    /// difference of two.
    pub head_label: Option<String>,
}

/// A passage in a ranking.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ranked {
    /// The passage's place among those given.
    pub index: usize,
    /// The raw logit, or the maximum similarity of a late interaction: higher is more relevant.
    pub score: f32,
}

impl Reranker {
    /// Opens a model folder on the CPU.
    ///
    /// # Errors
    /// See [`crate::Error`]: files that are missing or damaged, a model without a relevance head.
    pub fn open(model_dir: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(model_dir, RerankerOptions::default())
    }

    /// Opens a model folder on a device, in another precision, or with another limit.
    pub fn open_with(model_dir: impl AsRef<Path>, options: RerankerOptions) -> Result<Self> {
        let engine = Engine::placed(options.placement)?;
        let label = options.head_label.as_deref();
        let limit = options.max_seq_tokens;
        let scorer = Scorer::load(model_dir.as_ref(), label, limit, &engine)?;
        let placement = scorer.placement(options.placement);
        Ok(Self { scorer, placement })
    }

    /// Where it runs, and in which precision: that of [`Engine::precision_of`].
    pub fn placement(&self) -> Placement {
        self.placement
    }

    /// Returns every passage with its score, best first, as in [`Scorer::score_lists`]. Equal scores
    /// keep the given order.
    ///
    /// # Errors
    /// [`crate::Error::NoNumber`] where the model gives a score that is no number.
    pub fn rank(&self, query: &str, passages: &[impl AsRef<str>]) -> Result<Vec<Ranked>> {
        let pairs: Vec<(&str, &str)> =
            passages.iter().map(|passage| (query, passage.as_ref())).collect();
        let scores = self.scorer.score_lists(&pairs, &[pairs.len()], &Silent)?;
        let mut ranking: Vec<Ranked> =
            scores.into_iter().enumerate().map(|(index, score)| Ranked { index, score }).collect();
        ranking.sort_by(|a, b| b.score.total_cmp(&a.score));
        Ok(ranking)
    }
}
