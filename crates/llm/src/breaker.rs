//! A circuit breaker. After many failures in a row, one call at a time tries whether the endpoint
//! is back.

use std::cell::{Cell, RefCell};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// First pause after the breaker opens. It doubles with each failed probe.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Counts failures over all calls.
pub struct Breaker {
    /// Failures in a row that open the breaker.
    threshold: u32,
    /// Probes in a row that may fail before the endpoint counts as gone.
    max_probes: u32,
    longest_pause: Duration,
    failures: Cell<u32>,
    probes: Cell<u32>,
    /// While open: the time of the next probe.
    open_until: RefCell<Option<Instant>>,
    probing: Cell<bool>,
    changed: Notify,
}

/// Permission to make a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    Call,
    /// The breaker is open, and this call tests whether it can close.
    Probe,
}

impl Breaker {
    pub fn new(threshold: u32, max_probes: u32, longest_pause: Duration) -> Self {
        Self {
            threshold,
            max_probes,
            longest_pause,
            failures: Cell::new(0),
            probes: Cell::new(0),
            open_until: RefCell::new(None),
            probing: Cell::new(false),
            changed: Notify::new(),
        }
    }

    /// Waits until a call may be made.
    pub async fn pass(&self) -> Pass {
        loop {
            let until = *self.open_until.borrow();
            match until {
                None => return Pass::Call,
                Some(until) if !self.probing.get() => {
                    self.probing.set(true);
                    tokio::time::sleep_until(until).await;
                    return Pass::Probe;
                }
                Some(_) => self.changed.notified().await,
            }
        }
    }

    /// Notes that a call was answered. Any answer shows that the endpoint is there.
    pub fn answered(&self) {
        self.failures.set(0);
        self.probes.set(0);
        self.probing.set(false);
        if self.open_until.take().is_some() {
            self.changed.notify_waiters();
        }
    }

    /// Notes a failed call. Returns whether the endpoint counts as gone.
    pub fn failed(&self, pass: Pass) -> bool {
        self.failures.set(self.failures.get() + 1);
        if pass == Pass::Probe {
            self.probing.set(false);
            self.probes.set(self.probes.get() + 1);
            self.open();
            self.changed.notify_one();
            return self.probes.get() >= self.max_probes;
        }
        if self.failures.get() >= self.threshold && self.open_until.borrow().is_none() {
            self.open();
        }
        false
    }

    fn open(&self) {
        let pause =
            FIRST_PAUSE.saturating_mul(1 << self.probes.get().min(16)).min(self.longest_pause);
        *self.open_until.borrow_mut() = Some(Instant::now() + pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap()
            .block_on(future)
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_closes_with_the_first_answer() {
        run(async {
            let (breaker, start) = (Breaker::new(3, 5, Duration::from_secs(60)), Instant::now());
            for _ in 0..2 {
                breaker.failed(Pass::Call);
            }
            breaker.answered();
            for _ in 0..3 {
                assert_eq!(breaker.pass().await, Pass::Call);
                breaker.failed(Pass::Call);
            }
            assert_eq!((breaker.pass().await, start.elapsed().as_secs()), (Pass::Probe, 1));
            assert!(!breaker.failed(Pass::Probe));
            assert_eq!((breaker.pass().await, start.elapsed().as_secs()), (Pass::Probe, 3));
            let waiting = async {
                tokio::join!(breaker.pass(), async {
                    tokio::time::sleep(Duration::from_secs(9)).await;
                    breaker.answered();
                })
            };
            assert_eq!(
                (waiting.await.0, start.elapsed().as_secs()),
                (Pass::Call, 12),
                "one probe at a time"
            );
        });
    }

    #[test]
    fn an_endpoint_that_fails_every_probe_is_gone() {
        run(async {
            let breaker = Breaker::new(1, 3, Duration::from_secs(2));
            breaker.failed(Pass::Call);
            let mut gone = Vec::new();
            for _ in 0..3 {
                let pass = breaker.pass().await;
                gone.push(breaker.failed(pass));
            }
            assert_eq!(gone, [false, false, true]);
        });
    }
}
