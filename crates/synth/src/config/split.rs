//! `[split]`: which documents are kept from training.

use super::must;
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// `[split]`: which documents are kept from training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct SplitConfig {
    /// Share of the documents whose queries choose the best checkpoint.
    pub dev_fraction: f64,
    /// Share of the documents whose queries measure the result. Ignored if there are human
    /// questions: their documents are the test then.
    pub test_fraction: f64,
}

impl Default for SplitConfig {
    fn default() -> Self {
        Self { dev_fraction: 0.1, test_fraction: 0.1 }
    }
}

impl SplitConfig {
    pub fn check(&self) -> Result<()> {
        must(
            (0.0..1.0).contains(&self.dev_fraction),
            "split.dev-fraction",
            "in [0, 1)",
            self.dev_fraction,
        )?;
        must(
            (0.0..1.0).contains(&self.test_fraction),
            "split.test-fraction",
            "in [0, 1)",
            self.test_fraction,
        )?;
        let both = self.dev_fraction + self.test_fraction;
        must(both < 1.0, "split.dev-fraction + split.test-fraction", "less than 1", both)
    }
}
