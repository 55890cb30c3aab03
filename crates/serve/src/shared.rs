//! What all connections and threads of a server share.

use crate::config::ServeConfig;
use crate::error::Result;
use crate::event::{Event, Listener};
use crate::keys::Keys;
use crate::metrics::{Metrics, Now};
use crate::queue::{Job, Queue};
use crate::served::Served;
use std::sync::{Arc, PoisonError, RwLock, mpsc};
use tokio::sync::Semaphore;

/// What all connections and threads of a server share.
pub struct Shared {
    pub config: ServeConfig,
    pub queue: Queue,
    pub metrics: Metrics,
    /// Bytes of bodies that may still be read into memory.
    pub room: Arc<Semaphore>,
    /// None while the first model is loading.
    model: RwLock<Option<Arc<Served>>>,
    /// None lets everybody in.
    keys: RwLock<Option<Arc<Keys>>>,
    listener: Listener,
}

impl Shared {
    /// Returns the shared state, and the end of the queue for the scoring thread.
    pub fn new(config: ServeConfig, listener: Listener) -> Result<(Self, mpsc::Receiver<Job>)> {
        let (queue, jobs) = Queue::new(config.limits.max_requests);
        let keys = config.api_keys.as_deref().map(Keys::read).transpose()?;
        let shared = Self {
            queue,
            metrics: Metrics::default(),
            room: Arc::new(Semaphore::new(config.limits.max_held_bytes)),
            model: RwLock::new(None),
            keys: RwLock::new(keys.map(Arc::new)),
            listener,
            config,
        };
        Ok((shared, jobs))
    }

    /// The model that answers new requests.
    pub fn model(&self) -> Option<Arc<Served>> {
        self.model.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn set_model(&self, model: Served) {
        *self.model.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(model));
    }

    pub fn keys(&self) -> Option<Arc<Keys>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the file of keys again.
    pub fn reload_keys(&self) -> Result<()> {
        if let Some(path) = &self.config.api_keys {
            let keys = Arc::new(Keys::read(path)?);
            *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Some(keys);
        }
        Ok(())
    }

    pub fn tell(&self, event: Event) {
        (self.listener)(&event);
    }

    pub fn now(&self) -> Now {
        Now {
            requests: self.queue.requests(),
            tokens: self.queue.tokens(),
            is_ready: self.model().is_some(),
        }
    }
}
