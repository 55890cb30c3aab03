//! How good rankings are, and whether one is better than another. Pure: ids and floats in, measures and a verdict out.
//!
//! Every mean is over all queries of the qrels that have a relevant passage, and the ideal ranking is made of all
//! judged passages, so a run can't gain by leaving out what it finds hard.

mod error;
mod measure;
mod per_query;
mod report;

pub use error::{Error, Result};
pub use measure::Measure;
pub use per_query::{Evaluation, per_query};
pub use report::{Report, RunReport, evaluate};
