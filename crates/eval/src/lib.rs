//! Measures how good rankings are, and whether one is better than another.
//!
//! Every mean is over all queries of the qrels that have a relevant passage, and the ideal ranking
//! uses all judged passages. So a run cannot gain by leaving out what it finds hard.
//!
//! ```
//! use whetstone_eval::{CompareConfig, Measure, RunReport, compare, per_query};
//! use whetstone_records::{Hit, Qrels, Run};
//!
//! // 60 queries, each with one right passage. The first stage puts it second, the reranker first.
//! let (mut qrels, mut first_stage, mut reranked) =
//!     (Qrels::default(), Run::default(), Run::default());
//! for number in 0..60 {
//!     let query = format!("q{number}");
//!     let hits = |right: f32| {
//!         let scores = [("right", right), ("wrong", 0.5)];
//!         scores.map(|(passage, score)| Hit { passage: passage.into(), score }).to_vec()
//!     };
//!     qrels.insert(query.as_str().into(), "right".into(), 1);
//!     first_stage.insert(query.as_str().into(), hits(0.1));
//!     reranked.insert(query.as_str().into(), hits(0.9));
//! }
//!
//! let measure: Measure = "mrr@10".parse()?;
//! let report = |name: &str, run: &Run| RunReport {
//!     name: name.into(),
//!     evaluation: per_query(&qrels, run, &[measure]),
//! };
//! let (baseline, system) = (report("bm25", &first_stage), report("reranked", &reranked));
//! let config = CompareConfig::default();
//! let comparison = &compare(&baseline, &[&system], measure, &config)?[0];
//! assert_eq!((comparison.baseline_mean, comparison.system_mean), (0.5, 1.0));
//! assert_eq!((comparison.paired.wins, comparison.paired.losses), (60, 0));
//! assert!(comparison.paired.p < 0.001);
//! # Ok::<(), whetstone_eval::Error>(())
//! ```

mod alike;
mod assess;
mod bootstrap;
mod calibration;
mod candidates;
mod compare;
mod decision;
mod diff;
mod error;
mod fusion;
mod guards;
mod highlight;
mod joining;
mod leakage;
mod measure;
mod model_notes;
mod normal;
mod oracle;
mod orders;
mod overlap;
mod page;
mod per_query;
mod pool;
mod randomisation;
mod recommendation;
mod reliability;
mod report;
mod retention;
mod terms;
mod threshold;
mod verdict;
mod why;

pub use alike::{WordSet, pairs_alike};
pub use assess::{AssessConfig, Assessment, Caveats, assess};
pub use bootstrap::{Interval, bootstrap_interval};
pub use calibration::{Calibration, Judged, Scaling, Uncalibrated, calibrate, platt, temperature};
pub use candidates::{CandidateWarning, check_same_candidates};
pub use compare::{CompareConfig, Comparison, Paired, compare, holm, paired};
pub use decision::{Decision, Ruling, Withheld, stars};
pub use diff::{Change, Diff, PastEvaluation, RunDiff, diff};
pub use error::{Error, Result};
pub use fusion::{RRF_K, rrf};
pub use guards::{REAL_QUERIES, guards};
pub use highlight::Highlighter;
pub use joining::Join;
pub use leakage::{
    Finding, Guard, Match, NEAR_DUPLICATE, Side, leakage, near_duplicates, text_digest,
};
pub use measure::Measure;
pub use model_notes::{Dev, ModelNotes, Provenance};
pub use oracle::oracle;
pub use orders::{FirstStages, FusionChoice, Order, standard_error};
pub use overlap::{Overlap, lexical_overlap};
pub use page::{Origin, Page, html, markdown};
pub use per_query::{Evaluation, mean, per_query};
pub use pool::{Pool, pool};
pub use randomisation::randomisation_test;
pub use recommendation::{Deployable, OrderMeasured, Recommendation, recommend};
pub use reliability::{Bin, expected_calibration_error, log_loss, reliability};
pub use report::{Inputs, QueryRecord, Report, RunReport, evaluate};
pub use retention::{Retention, retention};
pub use terms::Terms;
pub use threshold::{LEAST_ABOVE, NoThreshold, Threshold, threshold};
pub use verdict::{Verdict, verdict};
pub use why::{DepthPoint, FirstStage, Lengths, Material, Slice, Sweep, Truncation, Why, why};
