//! Queries for passages: from the passage's own words, from an LLM, and from humans.

mod built_in;
mod drop;
mod duplicates;
mod examples;
mod filter;
mod generator;
mod harvest;
mod judge;
mod judgements;
mod junk;
mod lexicon;
mod plan;
mod prompt;
mod questions;
mod recorded;
mod report;
mod round_trip;
mod styles;
mod tokens;
mod try_out;
mod wording;

pub(crate) use built_in::is_unspaced;
pub use plan::AskJob;
pub use try_out::{Preview, batch_in, batch_out, estimate, preview};

use crate::config::{GeneratorName, RoundTrip, SynthConfig, TopBy};
use crate::error::{Error, Result};
use crate::language::main_language;
use built_in::BuiltIn;
use drop::Drop;
use generator::Generator;
use harvest::{Harvest, Kept};
use plan::Plan;
use prompt::Prompt;
use questions::{Asked, Questions};
use std::collections::BTreeMap;
use tokens::token_counter;
use whetstone_llm::{Estimate, Llm, Spent};
use whetstone_records::{DataSet, Manifest, Outcome, Progress, Qrels, write_jsonl};

const OUTPUTS: [&str; 5] = [
    DataSet::QUERIES,
    DataSet::ALL_QRELS,
    DataSet::SKIPPED,
    DataSet::ASK_REPORT,
    DataSet::ASK_PAGE,
];

/// Makes queries for the passages of `OUT/corpus.jsonl` and adds the human ones of `judgements`.
/// Writes `OUT/queries.jsonl`, `OUT/qrels/all.tsv`, the passages that were not asked about
/// (`skipped.jsonl`) and a report (`synth.json`, `synth.html`).
///
/// Documents that answer a human question are the test, where only human questions count, so their
/// passages are not asked about. If passages stay without an answer, the stage does not count as up
/// to date: the next run asks only about them.
pub fn ask(job: &AskJob, progress: &dyn Progress) -> Result<Manifest> {
    if !job.config.gather.folders.is_empty() {
        return Err(Error::AsksGathered);
    }
    let stage = job.stage()?;
    if let Some(manifest) = stage.begin()? {
        return Ok(manifest);
    }
    let plan = Plan::open(job)?;
    let asked = plan.asked();
    let config = job.config;
    let llm = open_llm(job)?;
    let estimate = estimate_first(&plan, llm.as_ref(), progress)?;
    let rules = (config, &plan.lexicon);
    let mut harvest = match config.ask.generator {
        GeneratorName::BuiltIn => {
            let built_in = BuiltIn::new(&plan.passages, config, &plan.lexicon);
            Harvest::of(&asked, built_in.generate(&asked, progress)?, built_in.name(), rules)
        }
        GeneratorName::File => {
            let recorded = plan.recorded.as_ref().expect("read where the generator is a file");
            Harvest::of(&asked, recorded.generate(&asked, progress)?, recorded.name(), rules)
        }
        GeneratorName::Openai => {
            let questions = questions(llm.as_ref(), &plan)?;
            Harvest::of(&asked, questions.generate(&asked, progress)?, questions.name(), rules)
        }
    };
    filter_all(&mut harvest, &plan, llm.as_ref(), progress)?;
    if harvest.kept.is_empty() && !asked.is_empty() {
        return Err(Error::NoQueries { passages: asked.len(), reasons: harvest.reasons() });
    }
    check_coverage(&harvest, config)?;
    if config.filter.top > 0 && harvest.kept.len() > config.filter.top {
        keep_best(&mut harvest, config.filter.top, config.filter.top_by);
    }
    write(&plan, &harvest.kept)?;
    write_jsonl(&DataSet::new(job.out).skipped(), plan.skipped())?;
    let without = harvest.without(&asked);
    report::write(&plan, &harvest, &without)?;
    let mut counts = harvest.counts(without.len());
    plan.count(&mut counts);
    let mut notes = harvest.notes(&without);
    notes.extend(plan.notes());
    if let Some(llm) = &llm {
        counts.extend(llm.counts().into_iter().map(|(name, count)| (name.to_owned(), count)));
        notes.extend(llm.notes());
        notes.extend(estimate.map(|estimate| beside(&estimate, &llm.spent())));
    }
    Ok(stage.finish(
        &OUTPUTS,
        Outcome { open: plan::open(&counts), counts, notes, ..Outcome::default() },
    )?)
}

/// The client, if an LLM is needed.
fn open_llm<'a>(job: &AskJob<'a>) -> Result<Option<Llm<'a>>> {
    let config = job.config;
    if config.ask.generator != GeneratorName::Openai && !config.filter.judge {
        return Ok(None);
    }
    if config.ask.generator == GeneratorName::Openai {
        config.llm.check_price(&config.llm.name)?;
    }
    if config.filter.judge {
        config.llm.check_price(config.judge().llm)?;
    }
    Ok(Some(Llm::open(&config.llm, &DataSet::new(job.out).ask_journal())?))
}

fn questions<'a>(llm: Option<&'a Llm<'a>>, plan: &Plan<'a>) -> Result<Questions<'a>> {
    let config = plan.job.config;
    let main_language = main_language(plan.passages.iter().map(|passage| passage.text.as_str()));
    Ok(Questions {
        llm: llm.expect("opened wherever the generator is an LLM"),
        prompt: Prompt::open(&config.ask, &config.llm, config.seed)?,
        name: &config.llm.name,
        asked: Asked { config: &config.ask, main_language },
    })
}

/// The estimate of the run, to compare with the real figures at its end.
fn estimate_first<'a>(
    plan: &Plan<'a>,
    llm: Option<&'a Llm<'a>>,
    progress: &dyn Progress,
) -> Result<Option<Estimate>> {
    let Some(llm) = llm else { return Ok(None) };
    progress.start("estimate", None, "");
    let estimate = estimate_all(plan, llm)?;
    progress.finish();
    Ok(Some(estimate))
}

/// The questions that the journal does not answer, and the judge's work on all possible queries.
fn estimate_all(plan: &Plan, llm: &Llm) -> Result<Estimate> {
    let config = plan.job.config;
    let counter = token_counter(plan.job.model)?;
    let asked = plan.asked();
    let mut estimate = match config.ask.generator {
        GeneratorName::Openai => {
            let questions = questions(Some(llm), plan)?;
            questions.with_work(&asked, |work| llm.estimate(work, &counter))?
        }
        GeneratorName::BuiltIn | GeneratorName::File => Estimate {
            asked: asked.len() as u64,
            currency: config.llm.currency.clone(),
            cost: Some(0.0),
            ..Estimate::default()
        },
    };
    if config.filter.judge {
        let queries = (config.ask.min_queries + config.ask.max_queries) as f64 / 2.0;
        estimate.judge = Some(Box::new(judge::estimate(llm, &asked, queries, config, &counter)?));
    }
    estimate.caps = llm.caps_ahead(&estimate);
    Ok(estimate)
}

/// The filters that look at all queries together, cheapest first.
fn filter_all(
    harvest: &mut Harvest,
    plan: &Plan,
    llm: Option<&Llm>,
    progress: &dyn Progress,
) -> Result<()> {
    let config = plan.job.config;
    let filter = &config.filter;
    if filter.duplicates {
        harvest.drop_ambiguous();
        harvest.drop_near_duplicates(filter.near_duplicate_fraction, &plan.lexicon);
    }
    if filter.round_trip != RoundTrip::Off {
        round_trip::search(harvest, plan, progress)?;
        let lost = |kept: &Kept| {
            kept.query.metadata.quality.as_ref().is_none_or(|of| of.round_trip_rank.is_none())
        };
        harvest.drop_where(|_, kept| lost(kept).then_some(Drop::RoundTrip));
    }
    if let Some(llm) = llm.filter(|_| filter.judge) {
        judge::grade(harvest, llm, config, progress)?;
        let min_grade = config.judge.min_grade;
        harvest.drop_where(|_, kept| {
            let quality = kept.query.metadata.quality.as_ref()?;
            match (quality.question_grade, quality.answer_grade) {
                (Some(question), _) if question < min_grade => Some(Drop::PoorQuestion),
                (_, Some(answer)) if answer < min_grade => Some(Drop::PoorAnswer),
                (Some(_), Some(_)) => None,
                _ => Some(Drop::NotGraded),
            }
        });
    }
    Ok(())
}

/// Refuses a bad training set: most passages were asked about, but have no query.
///
/// Passages that were not asked about, or not answered yet, do not count.
fn check_coverage(harvest: &Harvest, config: &SynthConfig) -> Result<()> {
    let least = config.filter.min_covered_fraction;
    let (with, answered) = harvest.coverage();
    if harvest.not_graded > 0 || with as f64 >= least * answered as f64 {
        return Ok(());
    }
    Err(Error::FewQueries { with, passages: answered, least, reasons: harvest.reasons() })
}

/// Keeps the `top` queries with the highest scores. The earlier one wins a tie.
fn keep_best(harvest: &mut Harvest, top: usize, by: TopBy) {
    let score = |kept: &Kept| {
        let quality = kept.query.metadata.quality.clone().unwrap_or_default();
        let grades = match by {
            TopBy::Judge => quality.question_grade.unwrap_or(0) + quality.answer_grade.unwrap_or(0),
            TopBy::RoundTrip => 0,
        };
        (grades, quality.round_trip_fraction.unwrap_or(0.0))
    };
    let scores: Vec<(u8, f32)> = harvest.kept.iter().map(score).collect();
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| {
        scores[*b].0.cmp(&scores[*a].0).then(scores[*b].1.total_cmp(&scores[*a].1)).then(a.cmp(b))
    });
    let best: std::collections::HashSet<usize> = order.into_iter().take(top).collect();
    harvest.drop_where(|place, _| (!best.contains(&place)).then_some(Drop::BelowTop));
}

fn write(plan: &Plan, generated: &[Kept]) -> Result<()> {
    let mut qrels = Qrels::default();
    for Kept { query, passage } in generated {
        qrels.insert(query.id.clone(), passage.id.clone(), 1);
    }
    plan.twins.share(&mut qrels, &plan.passages);
    for (query, grades) in plan.judgements.qrels.iter() {
        for (passage, grade) in grades {
            qrels.insert(query.clone(), passage.clone(), *grade);
        }
    }
    let (data, queries) = (DataSet::new(plan.job.out), generated.iter().map(|kept| &kept.query));
    write_jsonl(&data.queries(), queries.chain(&plan.judgements.queries))?;
    Ok(qrels.write_beir(&data.all_qrels())?)
}

/// The estimate and the real figures, side by side.
fn beside(estimate: &Estimate, spent: &Spent) -> String {
    let ahead = estimate.in_all();
    let money = match estimate.is_priced() {
        true => format!(", {:.4} → {:.4} {}", ahead.cost, spent.cost, estimate.currency),
        false => String::new(),
    };
    format!(
        "estimated → real: {} → {} requests, {} → {} tokens in, {} → {} tokens out{money}",
        ahead.requests,
        spent.requests,
        ahead.tokens_in,
        spent.tokens_in,
        ahead.tokens_out,
        spent.tokens_out
    )
}

/// Counts by name.
type Counts = BTreeMap<String, u64>;

#[cfg(test)]
pub(crate) mod tests;
