//! The way from a request to the scoring thread, and how many may be on it.

use crate::metrics::Metrics;
use crate::served::{Prepared, Served};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tokio::sync::oneshot;

/// The logits of a job's pairs, or why there are none.
pub type Outcome = Result<Vec<f32>, String>;

/// The pairs of a request, for the scoring thread.
pub struct Job {
    pub model: Arc<Served>,
    pub prepared: Prepared,
    /// Closed once nobody waits for the answer any more.
    pub reply: oneshot::Sender<Outcome>,
}

/// Counts what is in work, and passes jobs on.
pub struct Queue {
    jobs: mpsc::Sender<Job>,
    requests: AtomicUsize,
    tokens: AtomicUsize,
    max_requests: usize,
}

/// The place of a request in the queue, given up when it is dropped.
pub struct Place<'a> {
    queue: &'a Queue,
    tokens: usize,
}

impl Queue {
    /// Returns the queue, and the end that the scoring thread reads.
    pub fn new(max_requests: usize) -> (Self, mpsc::Receiver<Job>) {
        let (jobs, receiver) = mpsc::channel();
        let (requests, tokens) = (AtomicUsize::new(0), AtomicUsize::new(0));
        (Self { jobs, requests, tokens, max_requests }, receiver)
    }

    /// Takes a place; none if all are taken.
    pub fn enter(&self) -> Option<Place<'_>> {
        let place = Place { queue: self, tokens: 0 };
        let before = self.requests.fetch_add(1, Ordering::Relaxed);
        // Dropping the place counts it out again.
        (before < self.max_requests).then_some(place)
    }

    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    pub fn tokens(&self) -> usize {
        self.tokens.load(Ordering::Relaxed)
    }

    /// Returns how long the tokens in work take at the speed measured so far.
    pub fn wait(&self, metrics: &Metrics) -> Duration {
        let seconds = metrics.seconds_per_token() * self.tokens() as f64;
        Duration::try_from_secs_f64(seconds).unwrap_or_default()
    }
}

impl Place<'_> {
    /// Has the pairs of this request scored.
    pub async fn score(&mut self, model: Arc<Served>, prepared: Prepared) -> Outcome {
        let tokens = prepared.lengths.iter().sum();
        self.queue.tokens.fetch_add(tokens, Ordering::Relaxed);
        self.tokens += tokens;
        let (reply, answer) = oneshot::channel();
        let gone = |_| "the scoring thread has ended".to_owned();
        self.queue.jobs.send(Job { model, prepared, reply }).map_err(|_| gone(()))?;
        answer.await.map_err(|_| gone(()))?
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.queue.requests.fetch_sub(1, Ordering::Relaxed);
        self.queue.tokens.fetch_sub(self.tokens, Ordering::Relaxed);
    }
}
