//! Compares systems, with a verdict and its reasons. Reads qrels, runs and the data set, and writes
//! the report.

mod deployable;
mod material;
mod sources;

use crate::card::write_card;
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
    /// Digested before they were read, so that a change in between is noticed.
    sources: Sources,
    inputs: Inputs,
    pub assessment: Assessment,
}

const OUTPUTS: [&str; 4] = [EvalDir::MEASURES, EvalDir::PER_QUERY, EvalDir::REPORT, EvalDir::PAGE];

impl EvalRequest {
    /// Measures, compares and judges.
    ///
    /// # Errors
    /// Any of the files cannot be read or parsed.
    pub fn evaluate(&self) -> Result<Evaluated<'_>> {
        let sources = Sources::gather(self)?;
        let inputs = Inputs::read(&self.qrels, &self.runs, self.candidates.as_deref())?;
        let caveats = self.caveats(&inputs)?;
        let mut assessment = assess(&inputs, &caveats, &self.config)?;
        // Numbers that leaked recommend nothing.
        if caveats.refusals.is_empty() {
            assessment.recommendation = self.recommendation(&inputs, &assessment)?;
        }
        Ok(Evaluated { request: self, sources, inputs, assessment })
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
        let sources = &self.sources;
        if let (Some(model), Some(found)) = (&self.request.model, &self.assessment.recommendation) {
            // They inform and nothing depends on them, so a folder that is read-only costs no report.
            let written = write_results(model, &sha256_file(&self.request.qrels)?, found)
                .and_then(|()| write_card(model));
            written.unwrap_or_else(|error| progress.warn(&one_line(&error)));
        }
        let stage = Stage::new(EVAL, out, &sources.config(self.request), sources.digests());
        if let Some(manifest) = stage.begin()? {
            return Ok(manifest);
        }
        progress.start("report", None, "");
        let material = material::gather(self.request, &self.inputs, sources)?;
        let why = why(&self.inputs, &self.assessment, &material);
        self.write_files(&EvalDir::new(out), why.as_ref())?;
        progress.finish();
        let counts = [("queries", self.assessment.queries()), ("runs", self.request.runs.len())];
        let counts: BTreeMap<_, _> =
            counts.map(|(name, count)| (name.to_owned(), count as u64)).into();
        Ok(stage.finish(
            &OUTPUTS,
            Outcome { counts, notes: self.assessment.warnings.clone(), ..Outcome::default() },
        )?)
    }

    fn write_files(&self, out: &EvalDir, why: Option<&Why>) -> Result<()> {
        let Self { assessment, sources, .. } = self;
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

#[cfg(test)]
mod tests {
    use super::*;
    use whetstone_records::Silent;

    #[test]
    fn a_file_that_changes_while_it_is_evaluated_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["qrels.tsv", "a.run"] {
            std::fs::write(at("qrels.tsv"), "q1 0 p1 1\nq1 0 p2 0\n").unwrap();
            std::fs::write(at("a.run"), "q1 Q0 p1 1 0.9 a\nq1 Q0 p2 2 0.5 a\n").unwrap();
            let request = EvalRequest {
                qrels: at("qrels.tsv"),
                runs: vec![("a".into(), at("a.run"))],
                candidates: None,
                data: None,
                model: None,
                logits: None,
                config: AssessConfig::default(),
            };
            let evaluated = request.evaluate().unwrap();
            let text = std::fs::read_to_string(at(name)).unwrap();
            std::fs::write(at(name), text.replace("p2", "p3")).unwrap();
            let error = evaluated.write(&at("out"), &Silent).unwrap_err();
            let expected = format!("`{}` was changed while it was read", at(name).display());
            assert_eq!(error.to_string(), expected);
            assert!(!request.evaluate().unwrap().write(&at("out"), &Silent).unwrap().up_to_date);
        }
    }
}
