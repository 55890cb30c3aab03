//! How good rankings are, and whether one is better than another. Pure: ids and floats in, measures and a verdict out.
//!
//! Every mean is over all queries of the qrels that have a relevant passage, and the ideal ranking is made of all
//! judged passages, so a run can't gain by leaving out what it finds hard.

mod assess;
mod bootstrap;
mod candidates;
mod compare;
mod decision;
mod diff;
mod error;
mod fusion;
mod measure;
mod normal;
mod oracle;
mod page;
mod per_query;
mod randomisation;
mod report;
mod verdict;
mod why;

pub use assess::{AssessConfig, Assessment, Caveats, assess};
pub use bootstrap::{Interval, bootstrap_interval};
pub use candidates::{CandidateWarning, check_same_candidates};
pub use compare::{CompareConfig, Comparison, Paired, compare, holm, paired};
pub use decision::{Decision, Ruling, Withheld, stars};
pub use diff::{Change, Diff, PastEvaluation, RunDiff, diff};
pub use error::{Error, Result};
pub use fusion::rrf;
pub use measure::Measure;
pub use oracle::oracle;
pub use page::{Origin, Page, Reliability, ReliabilityBin, html, markdown};
pub use per_query::{Evaluation, per_query};
pub use randomisation::randomisation_test;
pub use report::{Inputs, QueryRecord, Report, RunReport, evaluate};
pub use verdict::{Verdict, verdict};
pub use why::{Cost, DepthPoint, FirstStage, Lengths, Material, Slice, Sweep, Truncation, Why, why};
