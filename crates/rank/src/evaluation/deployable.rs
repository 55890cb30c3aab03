//! Finds a model's run and its first stages among the runs of an evaluation, and recommends an
//! order.

use super::EvalRequest;
use crate::error::Result;
use crate::fuse::JOINED_NAME;
use crate::notes::notes_of;
use crate::rerank::Scores;
use crate::run_file::{run_name, runs_in};
use std::collections::BTreeMap;
use whetstone_eval::{
    Assessment, Deployable, FirstStages, Inputs, Join, RRF_K, Recommendation, recommend, rrf,
};
use whetstone_records::{Query, Run, select_jsonl};

/// Whether a run of this name is of no model.
fn is_first_stage(name: &str) -> bool {
    Scores::named(name).is_none() && name != JOINED_NAME
}

impl EvalRequest {
    /// Recommends one of the orders that can be shipped. None where the runs hold no logits of a
    /// model, or those of several and none of them is the judged system; and where there is no
    /// first stage.
    pub(super) fn recommendation(
        &self,
        inputs: &Inputs,
        assessment: &Assessment,
    ) -> Result<Option<Recommendation>> {
        let Some((logits, scores)) = self.logits(inputs, assessment)? else { return Ok(None) };
        let Some(first) = self.first_stages(inputs, assessment)? else { return Ok(None) };
        let join = self.join(&first, scores);
        let deployable = Deployable {
            first: &first,
            logits,
            join: &join,
            queries_of_people: self.queries_of_people(assessment)?,
        };
        let config = &assessment.config;
        Ok(Some(recommend(&inputs.qrels, &deployable, assessment.primary, config)))
    }

    /// The run that holds a model's scores, and of which kind they are.
    fn logits<'a>(
        &self,
        inputs: &'a Inputs,
        assessment: &Assessment,
    ) -> Result<Option<(&'a Run, Scores)>> {
        let mut of_models = vec![];
        for ((name, path), (_, run)) in self.runs.iter().zip(&inputs.runs) {
            let scores = Scores::named(&run_name(path)?);
            if let Some(chosen) = &self.logits {
                if chosen == name {
                    return Ok(Some((run, scores.unwrap_or(Scores::Logits))));
                }
            } else if let Some(scores) = scores
                && assessment.baseline.as_ref() != Some(name)
            {
                of_models.push((name, (run, scores)));
            }
        }
        let judged = assessment.verdict.as_ref().map(|decision| &decision.system);
        Ok(match &of_models[..] {
            [(_, one)] => Some(*one),
            several => {
                several.iter().find(|(name, _)| Some(*name) == judged).map(|(_, found)| *found)
            }
        })
    }

    /// The data set's first stages, else the baseline. The baseline is the order without the model,
    /// unless it is another model's.
    fn first_stages(
        &self,
        inputs: &Inputs,
        assessment: &Assessment,
    ) -> Result<Option<FirstStages>> {
        let baseline = match &assessment.baseline {
            Some(name) => self.runs.iter().zip(&inputs.runs).find(|((other, _), _)| other == name),
            None => None,
        };
        let baseline = match baseline {
            Some(((_, path), (name, run))) if is_first_stage(&run_name(path)?) => Some((name, run)),
            _ => None,
        };
        let mut scores: BTreeMap<String, Run> = BTreeMap::new();
        if let Some(data) = &self.data {
            for (name, path) in runs_in(&data.runs())? {
                scores.insert(name, Run::read(&path)?);
            }
        }
        if scores.is_empty() {
            scores.extend(baseline.map(|(name, run)| (name.clone(), run.clone())));
        }
        if scores.is_empty() {
            return Ok(None);
        }
        let order = baseline.map(|(_, run)| run).or(inputs.candidates.as_ref()).cloned();
        let fused = || rrf(&scores.values().collect::<Vec<_>>(), RRF_K);
        Ok(Some(FirstStages { order: order.unwrap_or_else(fused), scores }))
    }

    /// The model's own join, if it was calibrated with these first stages; else the default.
    fn join(&self, first: &FirstStages, scores: Scores) -> Join {
        let stored = self.model.as_ref().and_then(|model| notes_of(model).ok());
        let stored = stored.map(|notes| notes.fusion.join);
        let fits = |join: &Join| join.weights.keys().all(|name| first.scores.contains_key(name));
        let fixed = || Join::fixed(first.scores.keys()).at(scores.temperature());
        stored.filter(fits).unwrap_or_else(fixed)
    }

    /// How many of the measured queries people asked; None without the data set's queries.
    fn queries_of_people(&self, assessment: &Assessment) -> Result<Option<usize>> {
        let path = self.data.as_ref().map(|data| data.queries()).filter(|path| path.is_file());
        let (Some(path), Some(run)) = (path, assessment.report.runs.first()) else {
            return Ok(None);
        };
        let measured = &run.evaluation.queries;
        let of_people = |query: &Query| {
            query.metadata.generator.is_none() && measured.binary_search(&query.id).is_ok()
        };
        Ok(Some(select_jsonl(&path, of_people)?.len()))
    }
}
