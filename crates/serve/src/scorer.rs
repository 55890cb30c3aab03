//! The scoring thread: takes the jobs of all clients, scores them in common batches, and answers
//! each.

use crate::batch::{self, Remaining};
use crate::metrics::Metrics;
use crate::queue::Job;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, mpsc};
use std::time::Instant;
use whetstone_model::Tokens;
use whetstone_records::one_line;

/// A job with the logits so far.
struct Active {
    job: Job,
    remaining: Remaining,
    logits: Vec<f32>,
}

/// Scores jobs until the queue is closed and empty.
pub fn run(jobs: &mpsc::Receiver<Job>, metrics: &Metrics) {
    let mut waiting: Vec<Active> = Vec::new();
    loop {
        if waiting.is_empty() {
            let Ok(job) = jobs.recv() else { return };
            waiting.push(job.into());
        }
        waiting.extend(jobs.try_iter().map(Active::from));
        waiting.retain(|active| !active.job.reply.is_closed());
        score_batch(&mut waiting, metrics);
        for done in waiting.extract_if(.., |active| active.remaining.is_empty()) {
            let logits = done.job.prepared.places.iter().map(|&place| done.logits[place]).collect();
            // The client may have gone away in the meantime.
            let _ = done.job.reply.send(Ok(logits));
        }
    }
}

impl From<Job> for Active {
    fn from(job: Job) -> Self {
        let remaining = Remaining::of(&job.prepared);
        let logits = vec![0.0; job.prepared.passages.len()];
        Self { job, remaining, logits }
    }
}

/// Scores one batch. After a reload, requests of two models may wait: a batch holds those of one.
fn score_batch(waiting: &mut Vec<Active>, metrics: &Metrics) {
    let Some(first) = waiting.first() else { return };
    let model = Arc::clone(&first.job.model);
    let same: Vec<usize> = (0..waiting.len())
        .filter(|&index| Arc::ptr_eq(&waiting[index].job.model, &model))
        .collect();
    let mut remaining: Vec<&mut Remaining> = waiting
        .iter_mut()
        .filter(|active| Arc::ptr_eq(&active.job.model, &model))
        .map(|active| &mut active.remaining)
        .collect();
    let batch: Vec<(usize, usize)> = batch::next(&mut remaining, model.tokens_at_once())
        .into_iter()
        .map(|(request, pair)| (same[request], pair))
        .collect();
    let pairs: Vec<(&Tokens, &Tokens)> = batch
        .iter()
        .map(|&(active, pair)| {
            let prepared = &waiting[active].job.prepared;
            (&prepared.query, &prepared.passages[pair])
        })
        .collect();
    let tokens =
        batch.iter().map(|&(active, pair)| waiting[active].job.prepared.lengths[pair]).sum();
    let started = Instant::now();
    // A batch that fails takes its own requests with it, and no others.
    let scored = std::panic::catch_unwind(AssertUnwindSafe(|| model.score(&pairs)));
    metrics.batch(pairs.len(), tokens, started.elapsed());
    let failed = match scored {
        Ok(Ok(logits)) => {
            for (&(active, pair), logit) in batch.iter().zip(logits) {
                waiting[active].logits[pair] = logit;
            }
            return;
        }
        Ok(Err(error)) => one_line(&error),
        Err(_) => "the network panicked".to_owned(),
    };
    let mut index = 0;
    for active in waiting.extract_if(.., |_| {
        index += 1;
        batch.iter().any(|&(active, _)| active == index - 1)
    }) {
        let _ = active.job.reply.send(Err(failed.clone()));
    }
}
