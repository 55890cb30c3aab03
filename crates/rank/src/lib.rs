//! Stages on a model folder: rerank, fuse, calibrate, evaluate, forgetting, answers, label. Also
//! `verify`, and the model card, which is rendered from what lies beside the weights.
//!
//! A stage reads files, writes a whole file and a manifest. If its inputs have not changed since
//! the last run, it says so and does nothing.
//!
//! ```
//! # use std::fs::write;
//! # let folder = tempfile::tempdir()?;
//! # let file = |name: &str| folder.path().join(name);
//! let (bm25, tuned, fused) = (file("bm25.run"), file("tuned.run"), file("fused.run"));
//! write(&bm25, "q1 Q0 a 1 7.5 bm25\nq1 Q0 b 2 7.1 bm25\nq1 Q0 c 3 6.0 bm25\n")?;
//! write(&tuned, "q1 Q0 b 1 2.5 tuned\nq1 Q0 a 2 0.5 tuned\nq1 Q0 c 3 -4.0 tuned\n")?;
//! let runs = [bm25, tuned];
//! assert!(!whetstone_rank::fuse(&runs, &fused)?.up_to_date);
//! assert!(whetstone_rank::fuse(&runs, &fused)?.up_to_date);
//! let ranking = whetstone_records::Run::read(&fused)?;
//! assert_eq!(ranking.get("q1").unwrap()[2].passage.as_str(), "c");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A program that serves a model does what its folder says. [`notes_of`] is what `calibrate`
//! learned: `notes.fusion.join` joins the logits of a query's candidates with the scores of
//! `notes.first_stages` ([`Join::scores`]). [`read_results`] says which order the last evaluation
//! recommends; [`Recommendation::is_against_the_model`] is the one to warn about.
//!
//! ```
//! use whetstone_rank::Join;
//! let join = Join::fixed(["bm25", "dense"]); // notes.fusion.join of a calibrated model
//! let logits = [1.5, -2.0, 0.5];
//! let bm25 = [Some(12.0), Some(9.0), None]; // BM25 did not find the third candidate
//! let dense = [Some(0.71), Some(0.52), Some(0.64)];
//! let scores = join.scores(&logits, &[("bm25", &bm25), ("dense", &dense)]);
//! assert!(scores[0] > scores[2] && scores[2] > scores[1]);
//! ```

mod answers;
mod calibrate;
mod card;
mod error;
mod evaluation;
mod forgetting;
mod fuse;
mod label;
mod notes;
mod rerank;
mod results;
mod run_file;
mod texts;
mod verify;

pub use answers::{ANSWERS, Answers, AnswersJob};
pub use calibrate::{CALIBRATE, CalibrateJob, calibrate};
pub use card::write_card;
pub use error::{Error, Result};
pub use evaluation::{EVAL, EvalRequest, Evaluated};
pub use forgetting::{Forgetting, ForgettingJob, GeneralSample};
pub use fuse::{FUSE, Joining, fuse, fuse_scores};
pub use label::{GRADES, Item, Judgements, Key, Session, pooled};
pub use notes::{notes_of, read_notes, scaling_of};
pub use rerank::{RERANK, RerankJob, STAYS_F32, rerank};
pub use results::{Results, read_results};
pub use run_file::{RunPaths, by_name, first_stages, folder, run_name, stage_name};
pub use texts::{TextFiles, Texts, Wanted};
pub use verify::{Agreement, Difference, Quality, Server, Verification};
#[cfg(feature = "onnxruntime")]
pub use verify::{OnnxRuntime, QualityJob};
pub use whetstone_eval::{Join, Order, Recommendation, Scaling};
pub use whetstone_model::{Ranked, Reranker, RerankerOptions};
