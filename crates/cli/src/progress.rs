//! Progress of a stage: bars on a terminal; elsewhere a line at the start and end of each part.

use crate::output;
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressState, ProgressStyle};
use std::fmt::Write;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};
use whetstone_records::Progress;

/// Where there is no bar, time between two lines about a long part.
const EVERY: Duration = Duration::from_secs(30);

/// The part in progress.
struct Part {
    name: String,
    unit: String,
    total: Option<u64>,
    done: u64,
    message: String,
    started: Instant,
    /// Time of the last line about it.
    told: Instant,
}

impl Part {
    fn new(name: &str, total: Option<u64>, unit: &str) -> Self {
        let (name, unit, now) = (name.to_owned(), unit.to_owned(), Instant::now());
        Self { name, unit, total, done: 0, message: String::new(), started: now, told: now }
    }

    /// A line about a long part's progress, if `EVERY` has passed since the last one.
    fn interim(&mut self) -> Option<String> {
        let total = self.total.filter(|_| self.told.elapsed() >= EVERY)?;
        self.told = Instant::now();
        let line =
            format!("{}: {} of {}", self.name, HumanCount(self.done), count(total, &self.unit));
        Some(self.with_message(line))
    }

    fn with_message(&self, mut line: String) -> String {
        if !self.message.is_empty() {
            let _ = write!(line, ", {}", self.message);
        }
        line
    }

    /// The line that remains when the part is over.
    fn summary(&self) -> String {
        let seconds = self.started.elapsed().as_secs_f64();
        let rate = self.done as f64 / seconds.max(1e-3);
        let line = match self.done {
            0 => format!("{}: {seconds:.1} s", self.name),
            _ => format!(
                "{}: {} in {seconds:.1} s ({})",
                self.name,
                count(self.done, &self.unit),
                speed(rate, &self.unit)
            ),
        };
        self.with_message(line)
    }
}

fn count(done: u64, unit: &str) -> String {
    if unit == "bytes" {
        HumanBytes(done).to_string()
    } else {
        format!("{} {unit}", HumanCount(done))
    }
}

fn speed(rate: f64, unit: &str) -> String {
    match unit {
        "bytes" => format!("{}/s", HumanBytes(rate as u64)),
        _ if rate < 100.0 => format!("{rate:.1} {unit}/s"),
        _ => format!("{rate:.0} {unit}/s"),
    }
}

/// Bars with rate and time left, for a terminal.
#[derive(Default)]
pub struct Bars(Mutex<Option<(Part, ProgressBar)>>);

impl Bars {
    fn part(&self) -> MutexGuard<'_, Option<(Part, ProgressBar)>> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Progress for Bars {
    fn start(&self, part: &str, total: Option<u64>, unit: &str) {
        self.finish();
        let bar = ProgressBar::new(total.unwrap_or_default()).with_prefix(part.to_owned());
        bar.set_style(match (total, unit) {
            (Some(_), "bytes") => {
                bar_style("{prefix} [{bar:24}] {done} of {total}, {rate}, {eta} left  {msg}", unit)
            }
            (Some(_), _) => bar_style(
                "{prefix} [{bar:24}] {human_pos} of {total}, {rate}, {eta} left  {msg}",
                unit,
            ),
            // Nothing to count.
            (None, "") => bar_style("{prefix} {spinner} {elapsed}  {msg}", unit),
            (None, _) => bar_style("{prefix} {spinner} {done}, {rate}, {elapsed}  {msg}", unit),
        });
        bar.enable_steady_tick(Duration::from_millis(200));
        *self.part() = Some((Part::new(part, total, unit), bar));
    }

    fn advance(&self, count: u64) {
        if let Some((part, bar)) = &mut *self.part() {
            part.done += count;
            bar.inc(count);
        }
    }

    fn message(&self, text: &str) {
        if let Some((part, bar)) = &mut *self.part() {
            part.message = text.to_owned();
            bar.set_message(text.to_owned());
        }
    }

    fn finish(&self) {
        if let Some((part, bar)) = self.part().take() {
            bar.finish_and_clear();
            output::talk(&part.summary());
        }
    }

    fn warn(&self, text: &str) {
        match &*self.part() {
            Some((_, bar)) => bar.suspend(|| output::warning(text)),
            None => output::warning(text),
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        // An error in the middle of a part must leave no torn bar behind.
        if let Some((_, bar)) = self.part().take() {
            bar.finish_and_clear();
        }
    }
}

fn bar_style(template: &str, unit: &str) -> ProgressStyle {
    let [done_unit, total_unit, rate_unit] = [(); 3].map(|()| unit.to_owned());
    let write = |text: String, out: &mut dyn Write| {
        let _ = out.write_str(&text);
    };
    ProgressStyle::with_template(template)
        .expect("the templates above are valid")
        .progress_chars("=> ")
        .with_key("done", move |state: &ProgressState, out: &mut dyn Write| {
            write(count(state.pos(), &done_unit), out)
        })
        .with_key("total", move |state: &ProgressState, out: &mut dyn Write| {
            write(count(state.len().unwrap_or_default(), &total_unit), out)
        })
        .with_key("rate", move |state: &ProgressState, out: &mut dyn Write| {
            write(speed(state.per_sec(), &rate_unit), out)
        })
}

/// Plain lines without control characters, for logs and pipes: at the start and end of each part,
/// and every half a minute in between.
#[derive(Default)]
pub struct Lines(Mutex<Option<Part>>);

impl Lines {
    fn part(&self) -> MutexGuard<'_, Option<Part>> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Progress for Lines {
    fn start(&self, part: &str, total: Option<u64>, unit: &str) {
        self.finish();
        let of = total.map(|total| format!(": {}", count(total, unit))).unwrap_or_default();
        output::talk(&format!("{part}{of} …"));
        *self.part() = Some(Part::new(part, total, unit));
    }

    fn advance(&self, count: u64) {
        if let Some(part) = &mut *self.part() {
            part.done += count;
            part.interim().iter().for_each(|line| output::talk(line));
        }
    }

    fn message(&self, text: &str) {
        if let Some(part) = &mut *self.part() {
            part.message = text.to_owned();
        }
    }

    fn finish(&self) {
        if let Some(part) = self.part().take() {
            output::talk(&part.summary());
        }
    }

    fn warn(&self, text: &str) {
        output::warning(text);
    }
}

/// Warnings only: `--quiet`.
pub struct Quiet;

impl Progress for Quiet {
    fn warn(&self, text: &str) {
        output::warning(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_has_count_seconds_rate_and_the_last_message() {
        let mut part = Part::new("train", Some(80), "steps");
        part.done = 50;
        part.message = "loss 0.41".into();
        part.started = Instant::now() - Duration::from_secs(10);
        assert_eq!(part.summary(), "train: 50 steps in 10.0 s (5.0 steps/s), loss 0.41");
    }

    #[test]
    fn a_log_hears_of_a_long_part_every_half_a_minute() {
        let mut part = Part::new("train", Some(2000), "steps");
        (part.done, part.message) = (1500, "loss 0.41".into());
        assert_eq!(part.interim(), None);
        part.told -= EVERY;
        assert_eq!(part.interim().as_deref(), Some("train: 1,500 of 2,000 steps, loss 0.41"));
        assert_eq!(part.interim(), None);
    }

    #[test]
    fn bytes_are_told_in_units_people_read() {
        assert_eq!(count(90868376, "bytes"), "86.66 MiB");
        assert_eq!(speed(12345.0, "passages"), "12345 passages/s");
    }
}
