//! A server that runs while a test asks it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};
use whetstone_serve::{Event, Handle, Result, ServeConfig, Server};

/// No event of a test takes nearly as long.
const LONGEST: Duration = Duration::from_secs(30);

pub fn tiny_model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracles/tiny-model")
}

/// A copy of the tiny model for a test to change.
pub fn copy_of_tiny_model() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(tiny_model()).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    folder
}

pub struct Running {
    pub address: SocketAddr,
    pub handle: Handle,
    thread: Option<JoinHandle<Result<()>>>,
    events: Arc<Mutex<Vec<Event>>>,
}

impl Running {
    /// Starts a server on a free port, with a change to its config, and waits for the model.
    pub fn start(change: impl FnOnce(&mut ServeConfig)) -> Self {
        let mut config = ServeConfig::new(tiny_model());
        config.port = 0;
        change(&mut config);
        let events = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&events);
        let listener = move |event: &Event| log.lock().unwrap().push(event.clone());
        let server = Server::bind(config, Arc::new(listener)).unwrap();
        let (address, handle) = (server.address(), server.handle());
        let thread = Some(std::thread::spawn(move || server.run()));
        let running = Self { address, handle, thread, events };
        running.wait_for(|event| matches!(event, Event::Ready { .. }));
        running
    }

    /// Returns the first event of a kind, once there is one.
    pub fn wait_for(&self, wanted: impl Fn(&Event) -> bool) -> Event {
        let started = Instant::now();
        loop {
            let events = self.events.lock().unwrap().clone();
            if let Some(event) = events.iter().find(|event| wanted(event)) {
                return event.clone();
            }
            assert!(started.elapsed() < LONGEST, "no such event among {events:?}");
            sleep(Duration::from_millis(5));
        }
    }

    /// Forgets the events so far.
    pub fn forget_events(&self) {
        self.events.lock().unwrap().clear();
    }

    /// Tells the server to stop, and returns how it ended.
    pub fn stop(mut self) -> (Result<()>, Vec<Event>) {
        self.handle.stop();
        let outcome = self.thread.take().unwrap().join().unwrap();
        (outcome, self.events.lock().unwrap().clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
