//! The scores that a model may learn from beside the labels.

mod cross_encoder;

use super::PairJob;
use super::train::Group;
use crate::config::Teacher;
use crate::error::{Error, Result};
use crate::mine::Found;
use std::collections::BTreeSet;
use whetstone_eval::Join;
use whetstone_model::Precision;
use whetstone_records::{DataSet, Input, ModelDir, PassageId, Progress, QueryId};

/// The scores of a group's pairs, as far as they are known.
type Scores = Vec<Option<f32>>;

/// Sets the teacher's score of every pair. It starts from the teacher's own score, to keep what it
/// knows, and adds more for a more relevant passage, to correct its mistakes.
pub fn teach(groups: &mut [Group], job: &PairJob, progress: &dyn Progress) -> Result<()> {
    let config = &job.config.pair;
    let scores: Vec<Vec<f32>> = match config.teacher {
        Teacher::None => return Ok(()),
        Teacher::BiEncoder => bi_encoder(groups, job)?,
        Teacher::CrossEncoder => cross_encoder::score(groups, job, progress)?,
        Teacher::Both => both(groups, job)?,
    };
    let scale = config.scale_of_teacher();
    for (group, scores) in groups.iter_mut().zip(scores) {
        for (pair, score) in group.iter_mut().zip(scores) {
            pair.teacher = Some(scale * score + config.teacher_label_weight * pair.label);
        }
    }
    Ok(())
}

/// The files that the teacher's scores come from.
pub fn inputs(job: &PairJob) -> Result<Vec<Input>> {
    let mut inputs = Vec::new();
    for kind in job.config.pair.teacher.needs() {
        let file = DataSet::pair_scores_name(kind);
        let path = DataSet::new(job.out).path(&file);
        if !path.exists() {
            return Err(Error::NotMined { path });
        }
        inputs.push(Input::of_file(file, &path)?);
    }
    if job.config.pair.teacher == Teacher::CrossEncoder {
        let model = ModelDir::new(job.teacher.ok_or(Error::NoTeacher)?);
        for (role, path) in model.parts()? {
            inputs.push(Input::of_file(format!("teacher {role}"), &path)?);
        }
    }
    Ok(inputs)
}

/// The precision of a cross-encoder's scores; f32 where none teaches.
pub fn precision(job: &PairJob) -> Precision {
    match job.config.pair.teacher {
        Teacher::CrossEncoder => job.placement.precision,
        Teacher::None | Teacher::BiEncoder | Teacher::Both => Precision::F32,
    }
}

fn bi_encoder(groups: &[Group], job: &PairJob) -> Result<Vec<Vec<f32>>> {
    let scores = of_retriever(groups, job, Teacher::DENSE)?;
    let all = |(scores, group): (Scores, &Group)| {
        let all: Option<Vec<f32>> = scores.into_iter().collect();
        all.ok_or_else(|| Error::FindingsMissing { query: group[0].query_id.clone() })
    };
    scores.into_iter().zip(groups).map(all).collect()
}

/// The scores of both first stages, joined over the query's pairs as before serving: each less its
/// mean, over its standard deviation, at half weight.
fn both(groups: &[Group], job: &PairJob) -> Result<Vec<Vec<f32>>> {
    let (bm25, dense) = (Teacher::BM25, Teacher::DENSE);
    let join = Join::fixed([bm25, dense]);
    let words = of_retriever(groups, job, bm25)?;
    let joined = |(words, meaning): (Scores, Vec<f32>)| {
        let meaning: Scores = meaning.into_iter().map(Some).collect();
        join.scores(&vec![0.0; words.len()], &[(bm25, &words), (dense, &meaning)])
    };
    Ok(words.into_iter().zip(bi_encoder(groups, job)?).map(joined).collect())
}

/// Reads a retriever's scores of the pairs, as `mine` wrote them.
fn of_retriever(groups: &[Group], job: &PairJob, name: &str) -> Result<Vec<Scores>> {
    let path = DataSet::new(job.out).path(DataSet::pair_scores_name(name));
    let queries: Vec<QueryId> = groups.iter().map(|group| group[0].query_id.clone()).collect();
    let wanted: BTreeSet<&str> = queries.iter().map(QueryId::as_str).collect();
    let scored = Found::read(&path, &wanted)?.scored;
    let of_group = |group: &Group| {
        let hits = scored.get(group[0].query_id.as_str()).unwrap_or_default();
        let score = |passage: &PassageId| {
            hits.iter().find(|hit| hit.passage == *passage).map(|hit| hit.score)
        };
        group.iter().map(|pair| score(&pair.passage_id)).collect()
    };
    Ok(groups.iter().map(of_group).collect())
}
