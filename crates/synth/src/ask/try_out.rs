//! Before the real run: its cost, a preview of its questions, and batch files.

use super::built_in::BuiltIn;
use super::generator::Generator;
use super::harvest::Harvest;
use super::plan::{AskJob, Plan};
use super::{estimate_all, open_llm, questions};
use crate::config::GeneratorName;
use crate::error::{Error, Result};
use serde::Serialize;
use std::path::Path;
use whetstone_llm::{BatchFiles, BatchResults, Estimate, Llm, Work};
use whetstone_records::{PassageId, Progress};

/// A passage with the fate of its queries.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Preview {
    pub passage: PassageId,
    pub title: String,
    pub text: String,
    /// Text and style.
    pub kept: Vec<(String, String)>,
    /// Text and the reason, as the manifest counts it.
    pub dropped: Vec<(String, String)>,
    /// What is wrong with the answers, if anything.
    pub flaws: Vec<String>,
}

/// Returns the estimate of a run; sends nothing.
pub fn estimate(job: &AskJob) -> Result<Estimate> {
    job.config.check()?;
    let plan = Plan::open(job)?;
    let llm = open_llm(job)?.ok_or(Error::NoLlm)?;
    estimate_all(&plan, &llm)
}

/// Asks about a few passages, drawn by the seed. The answers are kept for the real run. Only the
/// filters that need a single passage apply.
pub fn preview(job: &AskJob, count: usize, progress: &dyn Progress) -> Result<Vec<Preview>> {
    let config = job.config;
    config.check()?;
    let plan = Plan::open(job)?;
    let sample = plan.sample(count);
    let llm = open_llm(job)?;
    let answers = match config.ask.generator {
        GeneratorName::BuiltIn => {
            BuiltIn::new(&plan.passages, config, &plan.lexicon).generate(&sample, progress)?
        }
        GeneratorName::File => {
            let recorded = plan.recorded.as_ref().expect("read where the generator is a file");
            recorded.generate(&sample, progress)?
        }
        GeneratorName::Openai => questions(llm.as_ref(), &plan)?.generate(&sample, progress)?,
    };
    let mut previews = Vec::new();
    for (passage, answer) in sample.into_iter().zip(answers) {
        let harvest = Harvest::of(&[passage], vec![answer], "", (config, &plan.lexicon));
        let flaws = harvest
            .reasons()
            .into_iter()
            .map(|(name, _)| name)
            .filter(|name| !name.starts_with("dropped"));
        let kept = harvest.kept.iter().map(|kept| &kept.query);
        let dropped = harvest.dropped.iter();
        previews.push(Preview {
            passage: passage.id.clone(),
            title: passage.title.clone(),
            text: passage.text.clone(),
            kept: kept
                .map(|query| (query.text.clone(), query.metadata.style.clone().unwrap_or_default()))
                .collect(),
            dropped: dropped
                .map(|one| (one.text.clone(), one.reason.count_name().to_owned()))
                .collect(),
            flaws: flaws.collect(),
        });
    }
    Ok(previews)
}

/// Writes the requests that the journal does not answer as OpenAI's batch file.
pub fn batch_out(job: &AskJob, path: &Path) -> Result<BatchFiles> {
    job.config.check()?;
    let plan = Plan::open(job)?;
    with_questions(job, &plan, |llm, work| llm.batch_out(work, path))
}

/// Imports the results of a batch into the journal, where `ask` finds them.
pub fn batch_in(job: &AskJob, path: &Path) -> Result<BatchResults> {
    job.config.check()?;
    let plan = Plan::open(job)?;
    with_questions(job, &plan, |llm, work| llm.batch_in(work, path))
}

fn with_questions<R>(
    job: &AskJob,
    plan: &Plan,
    use_it: impl FnOnce(&Llm, &Work) -> whetstone_llm::Result<R>,
) -> Result<R> {
    if job.config.ask.generator != GeneratorName::Openai {
        return Err(Error::NoLlm);
    }
    let llm = open_llm(job)?;
    let questions = questions(llm.as_ref(), plan)?;
    Ok(questions.with_work(&plan.asked(), |work| use_it(questions.llm, work))?)
}
