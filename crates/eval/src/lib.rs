//! How good rankings are, and whether one is better than another. Pure: ids and floats in, measures and a verdict out.
//!
//! Every mean is over all queries of the qrels that have a relevant passage, and the ideal ranking is made of all
//! judged passages, so a run can't gain by leaving out what it finds hard.

mod bootstrap;
mod candidates;
mod compare;
mod error;
mod fusion;
mod measure;
mod normal;
mod per_query;
mod randomisation;
mod report;
mod verdict;

pub use bootstrap::{Interval, bootstrap_interval};
pub use candidates::{CandidateWarning, check_same_candidates};
pub use compare::{CompareConfig, Comparison, Paired, compare, holm, paired};
pub use error::{Error, Result};
pub use fusion::rrf;
pub use measure::Measure;
pub use per_query::{Evaluation, per_query};
pub use randomisation::randomisation_test;
pub use report::{Report, RunReport, evaluate};
pub use verdict::{Verdict, verdict};
