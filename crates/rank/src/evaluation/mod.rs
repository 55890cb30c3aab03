//! Compares systems, with a verdict and its reasons. Reads qrels, runs and the data set, and writes
//! the report.

mod deployable;
mod material;
mod sources;

use crate::error::Result;
use crate::notes::notes_of;
use crate::results::write_results;
use serde::Serialize;
use sources::Sources;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use whetstone_eval::{
    AssessConfig, Assessment, Calibration, Caveats, Finding, Inputs, Page, Why, assess, guards,
    html, markdown, why,
};
use whetstone_records::{
    AtomicFile, DataSet, EvalDir, Manifest, ModelDir, Outcome, Progress, Stage, one_line,
    sha256_file, write_json, write_jsonl,
};

/// The name of the stage.
pub const EVAL: &str = "eval";

/// The files to evaluate, and the settings.
#[derive(Clone, Debug)]
pub struct EvalRequest {
    pub qrels: PathBuf,
    /// Runs with their names, in the order of the tables.
    pub runs: Vec<(String, PathBuf)>,
    pub candidates: Option<PathBuf>,
    /// The data set of the queries and passages.
    pub data: Option<DataSet>,
    /// The model of the judged system.
    pub model: Option<ModelDir>,
    /// The run that holds the model's logits; None finds it by its name in the file.
    pub logits: Option<String>,
    pub config: AssessConfig,
}

/// The inputs and the results.
pub struct Evaluated<'a> {
    request: &'a EvalRequest,
    inputs: Inputs,
    pub assessment: Assessment,
}

const OUTPUTS: [&str; 4] = [EvalDir::MEASURES, EvalDir::PER_QUERY, EvalDir::REPORT, EvalDir::PAGE];

impl EvalRequest {
    /// Measures, compares and judges.
    pub fn evaluate(&self) -> Result<Evaluated<'_>> {
        let inputs = Inputs::read(&self.qrels, &self.runs, self.candidates.as_deref())?;
        let caveats = self.caveats(&inputs)?;
        let mut assessment = assess(&inputs, &caveats, &self.config)?;
        // Numbers that leaked recommend nothing.
        if caveats.refusals.is_empty() {
            assessment.recommendation = self.recommendation(&inputs, &assessment)?;
        }
        Ok(Evaluated { request: self, inputs, assessment })
    }

    /// The guards' findings in the data set. Leakage refuses the verdict; other findings are told
    /// before the numbers.
    fn caveats(&self, inputs: &Inputs) -> Result<Caveats> {
        let Some(data) = &self.data else { return Ok(Caveats::default()) };
        let (refusals, labels): (Vec<Finding>, Vec<Finding>) =
            guards(data.root(), &inputs.qrels)?.into_iter().partition(|finding| finding.refuses);
        let in_words = |findings: Vec<Finding>| {
            findings
                .iter()
                .map(|finding| format!("{finding}; {}", finding.hint()))
                .collect::<Vec<_>>()
        };
        Ok(Caveats { refusals: in_words(refusals), labels: in_words(labels) })
    }

    /// What the model's logits mean, if it was calibrated.
    fn calibration(&self) -> Result<Option<Calibration>> {
        let calibrated = self.model.as_ref().filter(|model| model.notes().exists());
        Ok(calibrated.map(notes_of).transpose()?.and_then(|notes| notes.calibration))
    }
}

/// The content of `measures.json`.
#[derive(Serialize)]
struct Measures<'a> {
    #[serde(flatten)]
    assessment: &'a Assessment,
    why: Option<&'a Why>,
}

impl Evaluated<'_> {
    /// Writes measures, per-query values and the report into a folder, the manifest last. The
    /// recommendation also goes to `results.json` in the model's folder.
    pub fn write(&self, out: &Path, progress: &dyn Progress) -> Result<Manifest> {
        let sources = Sources::gather(self.request)?;
        if let (Some(model), Some(found)) = (&self.request.model, &self.assessment.recommendation) {
            // They inform and nothing depends on them, so a folder that is read-only costs no report.
            let written = write_results(model, &sha256_file(&self.request.qrels)?, found);
            written.unwrap_or_else(|error| progress.warn(&one_line(&error)));
        }
        let stage = Stage::new(EVAL, out, &sources.config(self.request), sources.digests());
        if let Some(manifest) = stage.begin()? {
            return Ok(manifest);
        }
        progress.start("report", None, "");
        let material = material::gather(self.request, &self.inputs, &sources)?;
        let why = why(&self.inputs, &self.assessment, &material);
        self.write_files(&EvalDir::new(out), &sources, why.as_ref())?;
        progress.finish();
        let counts = [("queries", self.assessment.queries()), ("runs", self.request.runs.len())];
        let counts: BTreeMap<_, _> =
            counts.map(|(name, count)| (name.to_owned(), count as u64)).into();
        Ok(stage.finish(
            &OUTPUTS,
            Outcome { counts, notes: self.assessment.warnings.clone(), ..Outcome::default() },
        )?)
    }

    fn write_files(&self, out: &EvalDir, sources: &Sources, why: Option<&Why>) -> Result<()> {
        let assessment = &self.assessment;
        let calibration = self.request.calibration()?;
        let page = Page {
            assessment,
            why,
            calibration: calibration.as_ref(),
            origins: &sources.origins,
            made_by: &sources.made_by,
        };
        write_json(&out.measures(), &Measures { assessment, why })?;
        write_jsonl(&out.per_query(), assessment.report.per_query())?;
        AtomicFile::write_all_to(&out.report(), markdown(&page).as_bytes())?;
        Ok(AtomicFile::write_all_to(&out.page(), html(&page).as_bytes())?)
    }
}
