//! The thread that loads models: the first one, and another when the folder has a new one.

use crate::error::Result;
use crate::event::Event;
use crate::served::Served;
use crate::shared::Shared;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Instant, SystemTime};
use whetstone_records::{Hint, ModelDir, one_line};

/// Asks the loading thread for something. It ends when the sender is dropped.
pub struct Reload;

/// The manifests of a folder, each with its size and the time it was written.
type Manifests = Vec<(String, u64, Option<SystemTime>)>;

/// Loads the first model, then waits for wishes and for new manifests.
///
/// # Errors
/// The first model cannot be loaded. A later one that cannot leaves the old one in place.
pub fn run(shared: &Shared, wishes: &Receiver<Reload>) -> Result<()> {
    let folder = shared.config.model.as_path();
    let mut seen = stand(folder);
    let started = Instant::now();
    let model = Served::open(&shared.config)?;
    let ready = Event::Ready { model: model.name.clone(), seconds: seconds(started) };
    shared.set_model(model);
    shared.tell(ready);
    loop {
        let wished = match wishes.recv_timeout(shared.config.limits.poll) {
            Ok(Reload) => true,
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        };
        // Manifests are written last, so a new one stands beside whole files. While a folder is
        // replaced there may be none.
        let stands = stand(folder);
        if wished || (!stands.is_empty() && stands != seen) {
            seen = stands;
            reload(shared);
        }
    }
}

fn reload(shared: &Shared) {
    let started = Instant::now();
    let outcome = try_reload(shared);
    shared.metrics.reload(outcome.is_ok());
    shared.tell(match outcome {
        Ok(model) => Event::Reloaded { model, seconds: seconds(started) },
        Err(error) => Event::ReloadFailed { reason: one_line(&error), hint: error.hint() },
    });
}

/// Takes the folder's model up, if it scores as it should. Requests that are in work keep the old
/// one.
fn try_reload(shared: &Shared) -> Result<String> {
    shared.reload_keys()?;
    let model = Served::open(&shared.config)?;
    model.check_golden(&shared.config.model)?;
    let name = model.name.clone();
    shared.set_model(model);
    Ok(name)
}

fn stand(folder: &Path) -> Manifests {
    let file = |entry: std::fs::DirEntry| {
        let name = entry.file_name().into_string().ok()?;
        let metadata = entry.metadata().ok()?;
        // A hidden name is a manifest that is being written.
        let is_whole = name.ends_with(".json") && !name.starts_with('.');
        is_whole.then_some((name, metadata.len(), metadata.modified().ok()))
    };
    let entries = std::fs::read_dir(ModelDir::new(folder).path("manifests"));
    let mut stands: Manifests = entries.into_iter().flatten().flatten().filter_map(file).collect();
    stands.sort();
    stands
}

fn seconds(since: Instant) -> f64 {
    (since.elapsed().as_secs_f64() * 1000.0).round() / 1000.0
}
