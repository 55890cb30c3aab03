//! `best.json` of a training run: which step is the best, and what was measured of it.

use crate::layout::RunDir;
use serde::{Deserialize, Serialize};

/// The best checkpoint so far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    pub step: usize,
    /// Dev nDCG@10; absent where no dev set can tell the steps apart and the last one counts as the
    /// best.
    #[serde(rename = "ndcg@10", skip_serializing_if = "Option::is_none", default)]
    pub ndcg_at_10: Option<f64>,
    /// That nothing was learned yet: step 0 of a base model without a head, whose head is random.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub fresh_head: bool,
    /// Where the base model was mixed into it at the end: that is what is exported.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub blended: Option<Blended>,
}

/// nDCG@10 of the best checkpoint with the base model mixed in, on both dev sets where there are
/// any.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Blended {
    #[serde(rename = "ndcg@10", skip_serializing_if = "Option::is_none", default)]
    pub ndcg_at_10: Option<f64>,
    #[serde(rename = "general_ndcg@10", skip_serializing_if = "Option::is_none", default)]
    pub general_ndcg_at_10: Option<f64>,
}

impl Best {
    /// The folder of the weights below that of the run.
    pub fn folder(&self) -> String {
        match self.blended {
            Some(_) => RunDir::BLENDED.into(),
            None => RunDir::step_name(self.step),
        }
    }
}
