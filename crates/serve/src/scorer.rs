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
    /// What remains was scored before, and its order was left open.
    again: bool,
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
        score_batch(&mut waiting, false, metrics);
        waiting.iter_mut().for_each(Active::look_again);
        score_batch(&mut waiting, true, metrics);
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
        Self { job, remaining, logits, again: false }
    }
}

impl Active {
    /// Once all is scored, has those pairs scored again that are too close to tell.
    fn look_again(&mut self) {
        if self.remaining.is_empty() && !self.again {
            let Job { model, prepared, .. } = &self.job;
            let undecided = model.undecided(prepared, &self.logits);
            self.remaining = Remaining::of_pairs(prepared, undecided);
            self.again = true;
        }
    }
}

/// Scores one batch, of pairs that were not scored before or of others. After a reload, requests of
/// two models may wait: a batch holds those of one.
fn score_batch(waiting: &mut Vec<Active>, again: bool, metrics: &Metrics) {
    let is_next = |active: &&Active| active.again == again && !active.remaining.is_empty();
    let Some(first) = waiting.iter().find(is_next) else { return };
    let model = Arc::clone(&first.job.model);
    let belongs = |active: &&Active| is_next(active) && Arc::ptr_eq(&active.job.model, &model);
    let same: Vec<usize> = (0..waiting.len()).filter(|&index| belongs(&&waiting[index])).collect();
    let mut remaining: Vec<&mut Remaining> = waiting
        .iter_mut()
        .filter(|active| belongs(&&**active))
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
    let scored =
        std::panic::catch_unwind(AssertUnwindSafe(|| model.score(&pairs, model.engine(again))));
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
