//! Systems side by side, with a verdict: reads qrels and runs, and writes the measures where a folder is named.

mod table;

use crate::commands::forget;
use anyhow::Result;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use whetstone_eval::{AssessConfig, Assessment, Caveats, Inputs, assess};
use whetstone_records::{AtomicFile, Manifest, Stage, sha256_file, write_jsonl};

pub use table::tables;

/// Which files are evaluated, and how.
pub struct Request {
    pub qrels: PathBuf,
    /// Runs with their names, in the order of the tables.
    pub runs: Vec<(String, PathBuf)>,
    pub candidates: Option<PathBuf>,
    pub config: AssessConfig,
}

impl Request {
    /// Everything that the result hangs on, by role.
    fn digests(&self) -> Result<Vec<(String, String)>> {
        let runs = self.runs.iter().map(|(name, path)| (format!("run:{name}"), path));
        let candidates = self.candidates.iter().map(|path| ("candidates".to_owned(), path));
        let files = [("qrels".to_owned(), &self.qrels)].into_iter().chain(runs).chain(candidates);
        files.map(|(role, path)| Ok((role, sha256_file(path)?))).collect()
    }

    fn stage(&self, out: &Path) -> Result<Stage> {
        #[derive(Serialize)]
        struct Config<'a> {
            assess: &'a AssessConfig,
            order: Vec<&'a str>,
        }
        let order = self.runs.iter().map(|(name, _)| name.as_str()).collect();
        Ok(Stage::new("eval", out, &Config { assess: &self.config, order }, self.digests()?))
    }

    /// Measures, compares and judges.
    pub fn assess(&self) -> Result<Assessment> {
        let inputs = Inputs::read(&self.qrels, &self.runs, self.candidates.as_deref())?;
        Ok(assess(&inputs, &Caveats::default(), &self.config)?)
    }

    /// Writes what was found into a folder, the manifest last.
    pub fn write(&self, assessment: &Assessment, out: &Path, force: bool) -> Result<Manifest> {
        if force {
            forget(out, "eval")?;
        }
        let stage = self.stage(out)?;
        if let Some(manifest) = stage.up_to_date() {
            return Ok(manifest);
        }
        AtomicFile::write_all_to(&out.join("measures.json"), &serde_json::to_vec_pretty(assessment)?)?;
        write_jsonl(&out.join("per_query.jsonl"), assessment.report.per_query())?;
        let counts = [("queries", assessment.queries()), ("runs", self.runs.len())];
        let counts: BTreeMap<_, _> = counts.map(|(name, count)| (name.to_owned(), count as u64)).into();
        Ok(stage.finish(&["measures.json", "per_query.jsonl"], counts, assessment.warnings.clone())?)
    }
}
