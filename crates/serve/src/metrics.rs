//! Counters and times for Prometheus.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper bounds of the time buckets, in seconds.
const BOUNDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];

/// Counts since the server started.
#[derive(Default)]
pub struct Metrics {
    requests: Mutex<BTreeMap<(&'static str, u16), u64>>,
    times: Mutex<BTreeMap<&'static str, Times>>,
    abandoned: AtomicU64,
    pairs: AtomicU64,
    tokens: AtomicU64,
    batches: AtomicU64,
    scoring_ns: AtomicU64,
    reloads: AtomicU64,
    failed_reloads: AtomicU64,
    pub connections: AtomicU64,
}

#[derive(Clone, Default)]
struct Times {
    buckets: [u64; BOUNDS.len()],
    count: u64,
    sum: f64,
}

/// What is known elsewhere at the moment of asking.
pub struct Now {
    pub requests: usize,
    pub tokens: usize,
    pub is_ready: bool,
}

impl Metrics {
    /// Counts an answer.
    pub fn request(&self, path: &'static str, status: u16, took: Duration) {
        *lock(&self.requests).entry((path, status)).or_default() += 1;
        let mut times = lock(&self.times);
        let times = times.entry(path).or_default();
        let seconds = took.as_secs_f64();
        let reached = BOUNDS.iter().position(|&bound| seconds <= bound).unwrap_or(BOUNDS.len());
        times.buckets[reached..].iter_mut().for_each(|bucket| *bucket += 1);
        times.count += 1;
        times.sum += seconds;
    }

    /// Counts a client that went away.
    pub fn abandoned(&self) {
        self.abandoned.fetch_add(1, Relaxed);
    }

    /// Counts a pass through the network.
    pub fn batch(&self, pairs: usize, tokens: usize, took: Duration) {
        self.batches.fetch_add(1, Relaxed);
        self.pairs.fetch_add(pairs as u64, Relaxed);
        self.tokens.fetch_add(tokens as u64, Relaxed);
        self.scoring_ns.fetch_add(took.as_nanos() as u64, Relaxed);
    }

    pub fn reload(&self, succeeded: bool) {
        let counter = if succeeded { &self.reloads } else { &self.failed_reloads };
        counter.fetch_add(1, Relaxed);
    }

    /// The mean so far; 0 before the first batch.
    pub fn seconds_per_token(&self) -> f64 {
        let tokens = self.tokens.load(Relaxed).max(1);
        self.scoring_ns.load(Relaxed) as f64 / 1e9 / tokens as f64
    }

    /// Returns all counts in Prometheus' text format, version 0.0.4.
    pub fn text(&self, now: &Now) -> String {
        let mut text = String::new();
        let head = "HELP whetstone_requests_total Answers, by path and status.";
        let _ = writeln!(text, "# {head}\n# TYPE whetstone_requests_total counter");
        for ((path, status), count) in lock(&self.requests).iter() {
            let _ = writeln!(
                text,
                "whetstone_requests_total{{path=\"{path}\",status=\"{status}\"}} {count}"
            );
        }
        self.histogram(&mut text);
        let scoring_s = self.scoring_ns.load(Relaxed) as f64 / 1e9;
        let load = |counter: &AtomicU64| counter.load(Relaxed) as f64;
        let rows: [(&str, &str, &str, f64); 12] = [
            ("abandoned_total", "counter", "Clients that left early.", load(&self.abandoned)),
            ("scored_pairs_total", "counter", "Pairs scored.", load(&self.pairs)),
            ("scored_tokens_total", "counter", "Tokens scored.", load(&self.tokens)),
            ("batches_total", "counter", "Passes through the network.", load(&self.batches)),
            ("scoring_seconds_total", "counter", "Time spent in the network.", scoring_s),
            ("reloads_total", "counter", "Models taken up while running.", load(&self.reloads)),
            ("failed_reloads_total", "counter", "Models refused.", load(&self.failed_reloads)),
            ("connections", "gauge", "Open connections.", load(&self.connections)),
            ("requests_in_work", "gauge", "Requests in work.", now.requests as f64),
            ("tokens_in_work", "gauge", "Tokens in work.", now.tokens as f64),
            ("ready", "gauge", "1 once a model is loaded.", f64::from(u8::from(now.is_ready))),
            ("seconds_per_token", "gauge", "Mean scoring time.", self.seconds_per_token()),
        ];
        for (name, kind, help, value) in rows {
            let _ = writeln!(text, "# HELP whetstone_{name} {help}");
            let _ = writeln!(text, "# TYPE whetstone_{name} {kind}\nwhetstone_{name} {value}");
        }
        text
    }

    fn histogram(&self, text: &mut String) {
        let name = "whetstone_request_seconds";
        let _ = writeln!(text, "# HELP {name} From the first byte of a request to its answer.");
        let _ = writeln!(text, "# TYPE {name} histogram");
        for (path, times) in lock(&self.times).iter() {
            for (bound, count) in BOUNDS.iter().zip(times.buckets) {
                let _ = writeln!(text, "{name}_bucket{{path=\"{path}\",le=\"{bound}\"}} {count}");
            }
            let Times { count, sum, .. } = times;
            let _ = writeln!(text, "{name}_bucket{{path=\"{path}\",le=\"+Inf\"}} {count}");
            let _ = writeln!(text, "{name}_sum{{path=\"{path}\"}} {sum}");
            let _ = writeln!(text, "{name}_count{{path=\"{path}\"}} {count}");
        }
    }
}

/// A thread that panicked leaves whole numbers behind, so that its poison does not matter.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_counts_in_its_bucket_and_in_all_above() {
        let metrics = Metrics::default();
        for ms in [3, 30, 120_000] {
            metrics.request("/rerank", 200, Duration::from_millis(ms));
        }
        let text = metrics.text(&Now { requests: 0, tokens: 0, is_ready: true });
        for line in [
            "whetstone_requests_total{path=\"/rerank\",status=\"200\"} 3",
            "whetstone_request_seconds_bucket{path=\"/rerank\",le=\"0.005\"} 1",
            "whetstone_request_seconds_bucket{path=\"/rerank\",le=\"0.05\"} 2",
            "whetstone_request_seconds_bucket{path=\"/rerank\",le=\"60\"} 2",
            "whetstone_request_seconds_bucket{path=\"/rerank\",le=\"+Inf\"} 3",
            "whetstone_request_seconds_sum{path=\"/rerank\"} 120.033",
            "whetstone_ready 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
