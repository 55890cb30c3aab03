//! The pace of calls.

use std::cell::Cell;
use std::time::Duration;
use tokio::time::Instant;

/// Keeps limits on calls and tokens per minute by spacing the calls evenly. Also keeps the pauses
/// that a server asks for.
pub struct Pace {
    between_requests: Duration,
    /// Seconds of a minute that a token takes.
    token_s: f64,
    next_request: Cell<Instant>,
    next_tokens: Cell<Instant>,
    paused_until: Cell<Instant>,
}

impl Pace {
    /// Limits per minute; 0 is none.
    pub fn new(requests_per_minute: u32, tokens_per_minute: u32) -> Self {
        let now = Instant::now();
        let per = |limit: u32| if limit == 0 { 0.0 } else { 60.0 / f64::from(limit) };
        Self {
            between_requests: Duration::from_secs_f64(per(requests_per_minute)),
            token_s: per(tokens_per_minute),
            next_request: Cell::new(now),
            next_tokens: Cell::new(now),
            paused_until: Cell::new(now),
        }
    }

    /// Waits for the turn of a call with this expected number of tokens.
    pub async fn turn(&self, tokens: u64) {
        let now = Instant::now();
        let at = now.max(self.next_request.get()).max(self.next_tokens.get());
        self.next_request.set(at + self.between_requests);
        self.next_tokens.set(at + Duration::from_secs_f64(self.token_s * tokens as f64));
        if at > now {
            tokio::time::sleep_until(at).await;
        }
        while self.paused_until.get() > Instant::now() {
            tokio::time::sleep_until(self.paused_until.get()).await;
        }
    }

    /// Corrects for the real usage of a call.
    pub fn used(&self, expected: u64, real: u64) {
        let more = self.token_s * (real as f64 - expected as f64);
        let next = self.next_tokens.get();
        let corrected = match more >= 0.0 {
            true => next + Duration::from_secs_f64(more),
            false => next.checked_sub(Duration::from_secs_f64(-more)).unwrap_or(next),
        };
        self.next_tokens.set(corrected);
    }

    /// Sends no call before this time, because the server asked for a pause.
    pub fn pause(&self, time: Duration) {
        self.paused_until.set(self.paused_until.get().max(Instant::now() + time));
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
    fn sixty_calls_a_minute_leave_a_second_apart() {
        run(async {
            let (pace, start) = (Pace::new(60, 0), Instant::now());
            for call in 0..5 {
                pace.turn(1000).await;
                assert_eq!(start.elapsed().as_secs(), call);
            }
        });
    }

    #[test]
    fn tokens_are_held_to_their_limit_by_what_was_really_used() {
        run(async {
            let (pace, start) = (Pace::new(0, 600), Instant::now());
            pace.turn(100).await;
            pace.turn(100).await;
            assert_eq!(start.elapsed().as_secs(), 10);
            pace.used(100, 200);
            pace.turn(10).await;
            assert_eq!(start.elapsed().as_secs(), 30);
            pace.used(10, 0);
            pace.turn(10).await;
            assert_eq!(start.elapsed().as_secs(), 30);
        });
    }

    #[test]
    fn a_pause_holds_every_call() {
        run(async {
            let (pace, start) = (Pace::new(0, 0), Instant::now());
            pace.turn(1).await;
            pace.pause(Duration::from_secs(7));
            pace.turn(1).await;
            assert_eq!(start.elapsed().as_secs(), 7);
        });
    }
}
