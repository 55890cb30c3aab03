//! `best.json` of a training run: the best step and its dev measures.

use crate::layout::RunDir;
use serde::{Deserialize, Serialize};

/// The best checkpoint so far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    pub step: usize,
    /// Dev nDCG@10. Absent if no dev set can tell the steps apart, in which case the last counts as
    /// the best.
    #[serde(rename = "ndcg@10", skip_serializing_if = "Option::is_none", default)]
    pub ndcg_at_10: Option<f64>,
    /// True only for step 0 of a base model without a head: its head is still random.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub fresh_head: bool,
    /// Set once the base model was mixed into the best step; the mix is what gets exported.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub blended: Option<Blended>,
}

/// nDCG@10 of the best checkpoint with the base model mixed in, on each dev set that exists.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Blended {
    #[serde(rename = "ndcg@10", skip_serializing_if = "Option::is_none", default)]
    pub ndcg_at_10: Option<f64>,
    #[serde(rename = "general_ndcg@10", skip_serializing_if = "Option::is_none", default)]
    pub general_ndcg_at_10: Option<f64>,
}

impl Best {
    /// Returns the folder of the weights, relative to the run's.
    pub fn folder(&self) -> String {
        match self.blended {
            Some(_) => RunDir::BLENDED.into(),
            None => RunDir::step_name(self.step),
        }
    }
}
